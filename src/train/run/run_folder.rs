//! The folder that a run leaves behind.
//!
//! ```text
//! runs/digits/
//!   config.toml      the resolved config
//!   metrics.jsonl    losses, see `log`
//!   step-1000/ …     checkpoints, see `checkpoint`
//!   latest           the name of the newest checkpoint's folder
//!   lock             held by the process that trains here
//! ```
//!
//! A checkpoint is written under a temporary name, synced, renamed to `step-N`, and only then named by `latest`, which
//! is itself replaced by a rename. So a process that is killed at any moment leaves the last checkpoint whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::train::run::checkpoint::{Checkpoint, SavedCheckpoint, read_step, unreadable};
use crate::train::run::checkpoint_folder::CheckpointFolder;
use crate::train::run::error::RunError;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const LATEST: &str = "latest";

/// A run's folder, to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    pub(super) path: PathBuf,
}

impl RunFolder {
    /// Opens the folder of a run.
    ///
    /// # Errors
    /// It does not exist, cannot be read, or has no `config.toml`.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let complain = |what: String| Err(RunError::NoRun { path: path.to_path_buf(), what });
        if leads_nowhere(path) {
            return complain(NOWHERE.to_string());
        }
        match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return complain(
                    "no such folder; a run's folder is what tweedie train has written, such as runs/digits".to_string(),
                );
            }
            Err(error) => return complain(format!("cannot be read: {error}")),
            Ok(_) => {}
        }
        match fs::metadata(path.join(CONFIG)) {
            Ok(config) if config.is_file() => Ok(Self { path: path.to_path_buf() }),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => complain(format!("cannot be read: {error}")),
            _ => complain("is not the folder of a run (it has no config.toml)".to_string()),
        }
    }

    /// What the argument RUN means: the folder of a run, whose latest checkpoint is taken, or the folder of one of its
    /// checkpoints.
    ///
    /// # Errors
    /// The path is neither, or the run has no checkpoint yet.
    pub fn find(argument: &Path) -> Result<(Self, CheckpointFolder), RunError> {
        let parent = fs::canonicalize(argument).ok().and_then(|path| path.parent().map(Path::to_path_buf));
        if CheckpointFolder::number_in(argument).is_some()
            && !argument.join(CONFIG).exists()
            && let Some(parent) = parent
        {
            let step = read_step(argument)?;
            return Ok((Self::open(&parent)?, CheckpointFolder { step, path: argument.to_path_buf() }));
        }
        let run = Self::open(argument)?;
        match run.latest()? {
            Some(step) => Ok((run, step)),
            None => Err(RunError::NoRun { path: argument.to_path_buf(), what: "has no checkpoint yet".to_string() }),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the resolved config lies.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Where the losses lie.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// All finished checkpoints, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<CheckpointFolder>, RunError> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable(&self.path))? {
            let path = entry.map_err(unreadable(&self.path))?.path();
            if let Some(step) = CheckpointFolder::number_in(&path).filter(|_| path.is_dir()) {
                steps.push(CheckpointFolder { step, path });
            }
        }
        steps.sort_by_key(|step| step.step);
        Ok(steps)
    }

    /// The newest checkpoint, or `None` before the first.
    ///
    /// # Errors
    /// `latest` does not hold the name of a checkpoint in this folder, or the folder cannot be read.
    pub fn latest(&self) -> Result<Option<CheckpointFolder>, RunError> {
        let pointer = self.path.join(LATEST);
        let name = match fs::read_to_string(&pointer) {
            Ok(name) => name.trim().to_string(),
            // Killed between the first checkpoint and its pointer: what has its final name is whole.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self.checkpoints()?.pop()),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                let what = "is not text; remove this file to take the newest checkpoint that is there".to_string();
                return Err(RunError::NoRun { path: pointer, what });
            }
            Err(error) => return Err(unreadable(&pointer)(error).into()),
        };
        let path = self.path.join(&name);
        // A name, and no way out of the run.
        let Some(step) = CheckpointFolder::number_of(&name) else {
            let what = format!(
                "holds {name:?} and should hold a name such as step-1000; remove this file to take the newest checkpoint that is there"
            );
            return Err(RunError::NoRun { path: pointer, what });
        };
        match Some(step).filter(|_| path.is_dir()) {
            Some(step) => Ok(Some(CheckpointFolder { step, path })),
            None => {
                let what = format!(
                    "names the checkpoint {name:?}, which is not there; remove this file to take the newest checkpoint that is"
                );
                Err(RunError::NoRun { path: pointer, what })
            }
        }
    }

    /// Reads the checkpoint `step` of this run.
    ///
    /// # Errors
    /// It is broken; if it is the one that `latest` names, the newest older one that is whole is named.
    pub fn read(&self, step: &CheckpointFolder) -> Result<SavedCheckpoint, RunError> {
        let damage = match Checkpoint::read(&step.path) {
            Ok(checkpoint) => return Ok(SavedCheckpoint { path: step.path.clone(), checkpoint }),
            Err(damage) => damage,
        };
        let is_latest = matches!(self.latest(), Ok(Some(latest)) if latest.step == step.step);
        let mut older = self.checkpoints().unwrap_or_default();
        older.retain(|other| other.step < step.step && is_latest);
        match older.into_iter().rev().find(|other| Checkpoint::read(&other.path).is_ok()) {
            Some(whole) => Err(RunError::Damaged { damage, whole, pointer: self.path.join(LATEST) }),
            None => Err(damage.into()),
        }
    }
}

/// What to say of a path that [`leads_nowhere`].
pub(super) const NOWHERE: &str = "is a symbolic link to something that is not there";

/// Whether the path is a symbolic link without anything at its end.
pub(super) fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}
