//! What can go wrong with a picture.

use crate::data::DataError;
use std::path::{Path, PathBuf};

/// An error of a picture: each prints as one line that names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] DataError),
    /// The values do not have the shape that was stated.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Shape {
        /// The picture's file.
        path: PathBuf,
        /// What was given.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// The plot could not be drawn.
    #[error("{}: cannot draw: {reason}", path.display())]
    Draw {
        /// The picture's file.
        path: PathBuf,
        /// The drawing library's reason.
        reason: String,
    },
}

impl PictureError {
    pub(super) fn shape(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Shape { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }

    pub(super) fn draw(path: &Path, reason: impl ToString) -> Self {
        // A reason of several lines would break the rule of one line an error.
        Self::Draw { path: path.to_path_buf(), reason: reason.to_string().replace('\n', " ") }
    }
}
