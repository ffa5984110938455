//! What can go wrong with data.

use std::path::{Path, PathBuf};

/// An error of the data room: each prints as one line that names the place, what was found and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused to write a file: a full disk, say.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its reader takes.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What stands in it.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// The parts of a data set do not fit together.
    #[error("data set `{name}`: found {found}; expected {expected}")]
    Dataset {
        /// The data set's name.
        name: String,
        /// What was found.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A Gaussian mixture that is none.
    #[error("mixture: {key}: found {found}; expected {expected}")]
    Mixture {
        /// The offending part: `weights`, `means` or `widths`, with an index where one is at fault.
        key: String,
        /// What was found.
        found: String,
        /// What would be right.
        expected: String,
    },
}

impl DataError {
    /// Whether what was asked for is at fault, and not the disk that was written to.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }

    /// An error of reading `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    /// A file whose contents are not as they should be.
    pub(crate) fn format(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }

    /// A data set's error, told of the file that it came from.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Dataset { found, expected, .. } => Self::Format { path: path.to_path_buf(), found, expected },
            other => other,
        }
    }
}
