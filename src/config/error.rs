//! What can be wrong with a config, in one line.

pub(super) use crate::violation::Violation;
use crate::word::Word;

/// A config that cannot be used. Its `Display` is one line: file, key, value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct ConfigError {
    line: String,
}

impl ConfigError {
    /// A complaint about the file as a whole.
    pub(super) fn file(name: &str, what: &str) -> Self {
        Self::line(format!("{name}: {what}"))
    }

    /// Any one line; line breaks inside become spaces.
    pub(super) fn line(line: String) -> Self {
        Self { line: line.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}

/// `allowed` as a list, with the nearest match to `word` where one is near enough to be a slip of the keyboard.
pub(super) fn allowed(word: &str, allowed: &[&str]) -> String {
    let mut line = format!("allowed: {}", allowed.join(", "));
    let nearest = allowed.iter().map(|candidate| (distance(word, candidate), candidate)).min();
    if let Some((edits, candidate)) = nearest
        && edits <= 1 + word.chars().count() / 4
    {
        line += &format!(" (did you mean {candidate}?)");
    }
    line
}

/// The value of this word.
///
/// # Errors
/// There is none; the text says which there are.
pub fn word<W: Word>(name: &str) -> Result<W, String> {
    let names: Vec<&str> = W::all().iter().map(Word::name).collect();
    W::named(name).ok_or_else(|| allowed(name, &names))
}

/// Levenshtein's distance: the fewest insertions, deletions and replacements that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{allowed, distance};

    #[test]
    fn distances_of_the_textbook() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("saturday", "sunday"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn a_far_word_gets_no_suggestion() {
        assert_eq!(allowed("vpp", &["vp", "ve"]), "allowed: vp, ve (did you mean vp?)");
        assert_eq!(allowed("rectified", &["vp", "ve"]), "allowed: vp, ve");
    }
}
