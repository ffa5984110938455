//! The text preprocessor of the shaders: imports, conditions, unrolled loops, substitution.
//!
//! | line | meaning |
//! |---|---|
//! | `#import NAME KEY=VALUE …` | the file `shaders/shared/NAME.wgsl`, once for each list of arguments, which are defined inside it |
//! | `#ifdef NAME`, `#ifndef NAME`, `#if EXPRESSION`, `#else`, `#endif` | keeps lines; an expression holds when it is not zero |
//! | `#for i in A..B`, `#endfor` | repeats lines for `i` from `A` to `B - 1`, in the text |
//! | `${NAME}` alone on a line | a hook: its text is composed in turn, so it may import |
//! | `${NAME}`, `${EXPRESSION}` | text, or an integer expression of `+ - * / % ( )` |

use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ComposeError {
    /// The template, shared file or hook.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

/// Names and the texts or numbers that stand for them.
pub type Defines = BTreeMap<String, String>;

macro_rules! shared {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/shared/", $name, ".wgsl")))),*]
    };
}

/// The files that `#import` finds.
const SHARED: &[(&str, &str)] =
    shared!["bijection", "grid", "matmul", "numerics", "numerics_of", "philox", "random", "unfold", "wide"];

/// Composes `text`, which errors call `file`.
pub fn compose(file: &str, text: &str, defines: &Defines) -> Result<String, ComposeError> {
    let mut composer = Composer { defines: defines.clone(), imported: BTreeSet::new(), out: String::new(), depth: 0 };
    let lines: Vec<&str> = text.lines().collect();
    composer.block(&At { file, line: 1 }, &lines)?;
    Ok(composer.out)
}

struct At<'a> {
    file: &'a str,
    line: usize,
}

impl At<'_> {
    fn plus(&self, lines: usize) -> At<'_> {
        At { file: self.file, line: self.line + lines }
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, ComposeError> {
        Err(ComposeError { file: self.file.to_string(), line: self.line, what: what.into() })
    }
}

struct Composer {
    defines: Defines,
    imported: BTreeSet<String>,
    out: String,
    depth: usize,
}

impl Composer {
    fn block(&mut self, at: &At, lines: &[&str]) -> Result<(), ComposeError> {
        let mut i = 0;
        while i < lines.len() {
            let here = at.plus(i);
            let line = lines[i].trim();
            i += 1;
            let Some((word, rest)) = line.strip_prefix('#').map(|d| d.split_once(' ').unwrap_or((d, ""))) else {
                self.plain(&here, lines[i - 1])?;
                continue;
            };
            let rest = rest.trim();
            match word {
                "import" => self.import(&here, rest)?,
                "ifdef" | "ifndef" | "if" => {
                    let holds = match word {
                        "if" => self.evaluate(&here, rest)? != 0,
                        _ => self.defines.contains_key(rest) == (word == "ifdef"),
                    };
                    let (other, end) = matching(&here, &lines[i..])?;
                    let (first, kept) =
                        if holds { (i, &lines[i..i + other]) } else { (i + other, &lines[i + other..i + end]) };
                    self.block(&at.plus(first), kept.strip_prefix(&["#else"]).unwrap_or(kept))?;
                    i += end + 1;
                }
                "for" => {
                    let (_, end) = matching(&here, &lines[i..])?;
                    let parsed =
                        rest.split_once(" in ").and_then(|(name, range)| Some((name, range.split_once("..")?)));
                    let Some((name, (from, to))) = parsed else {
                        return here.error(format!("`{line}`: a loop reads `#for i in A..B`"));
                    };
                    let (from, to) = (self.evaluate(&here, from)?, self.evaluate(&here, to)?);
                    let outer = self.defines.get(name).cloned();
                    for value in from..to {
                        self.defines.insert(name.to_string(), value.to_string());
                        self.block(&at.plus(i), &lines[i..i + end])?;
                    }
                    self.restore(name, outer);
                    i += end + 1;
                }
                _ => return here.error(format!("`#{word}` does not belong here, or is no directive")),
            }
        }
        Ok(())
    }

    fn restore(&mut self, name: &str, outer: Option<String>) {
        match outer {
            Some(value) => self.defines.insert(name.to_string(), value),
            None => self.defines.remove(name),
        };
    }

    fn import(&mut self, here: &At, rest: &str) -> Result<(), ComposeError> {
        let mut words = rest.split_whitespace();
        let name = words.next().unwrap_or("");
        let Some((_, text)) = SHARED.iter().find(|(known, _)| *known == name) else {
            return here.error(format!("`#import {name}`: no such file in shaders/shared"));
        };
        if !self.imported.insert(rest.to_string()) {
            return Ok(());
        }
        let mut outer = Vec::new();
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return here.error(format!("`{word}`: an import's argument reads KEY=VALUE"));
            };
            outer.push((key, self.defines.insert(key.to_string(), value.to_string())));
        }
        self.nested(here, &format!("shaders/shared/{name}.wgsl"), text)?;
        outer.into_iter().for_each(|(key, value)| self.restore(key, value));
        Ok(())
    }

    fn nested(&mut self, here: &At, file: &str, text: &str) -> Result<(), ComposeError> {
        if self.depth == 16 {
            return here.error(format!("{file} contains itself"));
        }
        self.depth += 1;
        let lines: Vec<&str> = text.lines().collect();
        self.block(&At { file, line: 1 }, &lines)?;
        self.depth -= 1;
        Ok(())
    }

    fn plain(&mut self, here: &At, line: &str) -> Result<(), ComposeError> {
        let alone = line.trim().strip_prefix("${").and_then(|l| l.strip_suffix('}'));
        if let Some(text) = alone.and_then(|name| self.defines.get(name)).cloned() {
            return self.nested(here, alone.unwrap_or(""), &text);
        }
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inside, after)) = after.split_once('}') else {
                return here.error("`${` without `}`");
            };
            self.out.push_str(before);
            match self.defines.get(inside) {
                Some(text) => self.out.push_str(text),
                None => self.out.push_str(&self.evaluate(here, inside)?.to_string()),
            }
            rest = after;
        }
        self.out.push_str(rest);
        self.out.push('\n');
        Ok(())
    }

    fn evaluate(&self, here: &At, text: &str) -> Result<i64, ComposeError> {
        let mut parser = Expression { rest: text, defines: &self.defines };
        match parser.sum() {
            Some(value) if parser.rest.trim().is_empty() => Ok(value),
            _ => here.error(format!("`{text}`: not an expression of numbers and defined names")),
        }
    }
}

/// How many of the lines after an opening directive come before its `#else` (or end), and before its end.
fn matching(here: &At, lines: &[&str]) -> Result<(usize, usize), ComposeError> {
    let (mut depth, mut other) = (0, None);
    for (i, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.starts_with("#if") || line.starts_with("#for ") {
            depth += 1;
        } else if line == "#else" && depth == 0 {
            other = Some(i);
        } else if line == "#endif" || line == "#endfor" {
            if depth == 0 {
                return Ok((other.unwrap_or(i), i));
            }
            depth -= 1;
        }
    }
    here.error("this directive has no end (#endif or #endfor)")
}

struct Expression<'a> {
    rest: &'a str,
    defines: &'a Defines,
}

impl Expression<'_> {
    fn eat(&mut self, symbols: &[char]) -> Option<char> {
        self.rest = self.rest.trim_start();
        let symbol = self.rest.chars().next().filter(|c| symbols.contains(c))?;
        self.rest = &self.rest[1..];
        Some(symbol)
    }

    fn sum(&mut self) -> Option<i64> {
        let mut value = self.product()?;
        while let Some(sign) = self.eat(&['+', '-']) {
            let next = self.product()?;
            value = if sign == '+' { value.checked_add(next)? } else { value.checked_sub(next)? };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<i64> {
        let mut value = self.atom()?;
        while let Some(sign) = self.eat(&['*', '/', '%']) {
            let next = self.atom()?;
            value = match sign {
                '*' => value.checked_mul(next)?,
                '/' => value.checked_div(next)?,
                _ => value.checked_rem(next)?,
            };
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<i64> {
        if self.eat(&['(']).is_some() {
            let value = self.sum()?;
            return self.eat(&[')']).map(|_| value);
        }
        let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.defines.get(word).map_or(word, |text| text.as_str()).trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, defines: &[(&str, &str)]) -> Result<String, String> {
        let defines = defines.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        compose("t.wgsl", text, &defines).map_err(|e| e.to_string())
    }

    #[test]
    fn loops_unroll_and_nest() {
        let text = "#for i in 0..N\n#for j in i..2\nx${i}${j} ${i*10 + j%2}\n#endfor\n#endfor\nend";
        assert_eq!(run(text, &[("N", "2")]).unwrap(), "x00 0\nx01 1\nx11 11\nend\n");
    }

    #[test]
    fn conditions_choose_between_branches() {
        let text = "#ifdef A\na\n#if N - 2\nn\n#endif\n#else\nb\n#ifndef A\nc\n#endif\n#endif";
        assert_eq!(run(text, &[("A", ""), ("N", "2")]).unwrap(), "a\n");
        assert_eq!(run(text, &[("A", ""), ("N", "3")]).unwrap(), "a\nn\n");
        assert_eq!(run(text, &[]).unwrap(), "b\nc\n");
    }

    #[test]
    fn hooks_may_span_lines_import_and_see_defines() {
        let out = run("  ${HOOK}\n#import grid", &[("HOOK", "#import grid\nlet y = ${W}u;"), ("W", "7")]).unwrap();
        assert_eq!(out.matches("fn workgroup_number").count(), 1, "an import comes once");
        assert!(out.contains("let y = 7u;"));
    }

    #[test]
    fn imports_with_other_arguments_come_again() {
        let out = run("#import numerics", &[]).unwrap();
        assert!(out.contains("fn expm1_1(x: f32) -> f32") && out.contains("fn expm1_4(x: vec4<f32>) -> vec4<f32>"));
    }

    #[test]
    fn errors_name_file_and_line() {
        assert_eq!(run("a\n#for i in 0..2\n${NAME}\n#endfor", &[]).unwrap_err().split(": ").next(), Some("t.wgsl:3"));
        assert_eq!(run("a\n#if 1\nb", &[]).unwrap_err(), "t.wgsl:2: this directive has no end (#endif or #endfor)");
        assert!(run("#else", &[]).unwrap_err().starts_with("t.wgsl:1"));
        assert!(run("#import nothing", &[]).unwrap_err().contains("`#import nothing`"));
        assert!(run("${HOOK}", &[("HOOK", "ok\n${1/0}")]).unwrap_err().starts_with("HOOK:2"));
        assert!(run("${HOOK}", &[("HOOK", "${HOOK}")]).unwrap_err().contains("contains itself"));
        assert!(run("${1 + }", &[]).is_err() && run("${9223372036854775807 + 1}", &[]).is_err());
    }
}
