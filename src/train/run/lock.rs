//! Only one process trains in a folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::train::run::checkpoint::at;
use crate::train::run::error::RunError;

/// The name of the file that is locked.
pub(super) const LOCK: &str = "lock";

/// The lock of a run's folder. It goes with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    /// That there is none, and why.
    pub note: Option<String>,
}

impl Lock {
    /// Locks a folder that is there. The locked file is made where there is none, and stays.
    ///
    /// # Errors
    /// Another process holds the lock, or the operating system refuses to open the file.
    pub fn take(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(RunError::Busy { path: folder.to_path_buf() }),
            // Some network file systems know no locks; a run there is worth more than its guard.
            Err(TryLockError::Error(error)) => {
                let path = path.display();
                let note = format!("{path}: cannot be locked ({error}): see to it that no other process trains here");
                Ok(Self { _file: file, note: Some(note) })
            }
            Ok(()) => Ok(Self { _file: file, note: None }),
        }
    }
}
