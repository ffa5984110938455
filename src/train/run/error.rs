//! Why a run's folder cannot be used.

use std::path::PathBuf;

use crate::train::run::checkpoint::CheckpointError;
use crate::train::run::checkpoint_folder::CheckpointFolder;

/// A run's folder that cannot be used. Its `Display` is one line that names the path and the ways out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is a run already.
    #[error("{}: a run is here already; go on with it by --resume, replace it by --overwrite, or choose another folder by --out", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something that is not ours.
    #[error("{}: is not empty and holds no run (it has no config.toml); choose another folder by --out", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Another process trains here.
    #[error("{}: another process trains in this folder; wait for it, or choose another folder by --out", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The path is neither a run nor a checkpoint.
    #[error("{}: {what}", path.display())]
    NoRun {
        /// What was given.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The latest checkpoint is damaged, and an older one is not.
    #[error("{damage}; {} is whole: to take it, write step-{} into {}", whole.path.display(), whole.step, pointer.display())]
    Damaged {
        /// What is wrong.
        damage: CheckpointError,
        /// The newest one that is whole.
        whole: CheckpointFolder,
        /// The file that names the latest.
        pointer: PathBuf,
    },
    /// A file in it cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl RunError {
    /// Whether the user's argument is at fault, rather than the disk.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            Self::Checkpoint(CheckpointError::Io { .. }) | Self::Damaged { damage: CheckpointError::Io { .. }, .. }
        )
    }
}
