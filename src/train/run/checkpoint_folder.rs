//! A checkpoint's folder, and its name: `step-N`.

use std::path::{Path, PathBuf};

/// A checkpoint's folder in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    /// Its step.
    pub step: u64,
    /// Where it lies.
    pub path: PathBuf,
}

impl CheckpointFolder {
    /// The name of the folder of a step.
    pub(super) fn name(step: u64) -> String {
        format!("step-{step}")
    }

    /// N of a path whose last part is `step-N`.
    pub(super) fn number_in(path: &Path) -> Option<u64> {
        Self::number_of(path.file_name()?.to_str()?)
    }

    /// N of the name `step-N`.
    pub(super) fn number_of(name: &str) -> Option<u64> {
        number(name.strip_prefix("step-")?)
    }
}

/// The number that these digits are the usual form of.
pub(super) fn number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|step: &u64| step.to_string() == digits)
}
