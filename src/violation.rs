//! What is wrong with the value of a key.

/// A key whose value is not allowed, seen from inside its table; who has read it adds the file and the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {wanted}")]
pub struct Violation {
    /// Relative key, with an index where an entry of an array is meant: `widths[2]`.
    pub key: String,
    /// What would be right.
    pub wanted: String,
}

impl Violation {
    /// `key` must be as `wanted` says.
    pub fn new(key: &str, wanted: &str) -> Self {
        Self { key: key.to_string(), wanted: wanted.to_string() }
    }
}
