//! The folder of a run that is trained in: made, gone on with, and written to.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::data::whole::{self, UNFINISHED};
use crate::train::run::checkpoint::{Checkpoint, SavedCheckpoint, at, sync_folder};
use crate::train::run::checkpoint_folder::{self, CheckpointFolder};
use crate::train::run::error::RunError;
use crate::train::run::lock::{LOCK, Lock};
use crate::train::run::run_folder::{CONFIG, LATEST, METRICS, NOWHERE, RunFolder, leads_nowhere};

/// The pictures of a run.
const PICTURES: [&str; 5] = ["loss.png", "samples.png", "trajectory.gif", "trajectory.png", "scores.png"];

/// What to do where a run is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Refuse,
    /// Remove what the old run has written, and nothing else.
    Overwrite,
}

/// A run's folder, to train in. No other process can open it to train while this value lives.
#[derive(Debug)]
pub struct TrainingFolder {
    folder: RunFolder,
    lock: Lock,
}

impl std::ops::Deref for TrainingFolder {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

/// Says whether a run can be started in `path`, and touches nothing: what [`TrainingFolder::create`] will say, early.
///
/// # Errors
/// A run is there and `existing` does not allow to overwrite it, or the folder holds something else.
pub fn check_free(path: &Path, existing: Existing) -> Result<(), RunError> {
    if path.join(CONFIG).exists() {
        return match existing {
            Existing::Refuse => Err(RunError::Exists { path: path.to_path_buf() }),
            Existing::Overwrite => Ok(()),
        };
    }
    // The nearest of the folders above that is there has to be a folder.
    let there = path.ancestors().find(|above| above.exists() || above.is_symlink());
    if let Some(there) = there.filter(|above| !above.is_dir()) {
        let what = if leads_nowhere(there) { NOWHERE } else { "is a file, and should be a folder" };
        let what = format!("{what}; choose another folder by --out");
        return Err(RunError::NoRun { path: there.to_path_buf(), what });
    }
    if !path.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(at(path))?;
    // A process that was killed before it wrote the config has left its lock, and perhaps an unfinished file.
    let foreign = entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name != LOCK && !is_unfinished(&name)
    });
    if foreign { Err(RunError::Foreign { path: path.to_path_buf() }) } else { Ok(()) }
}

impl TrainingFolder {
    /// Makes the folder of a new run, `config` (TOML) in it.
    ///
    /// # Errors
    /// As [`check_free`], under the lock; another process trains there; or the operating system refuses.
    pub fn create(path: &Path, existing: Existing, config: &str) -> Result<Self, RunError> {
        check_free(path, existing)?;
        fs::create_dir_all(path).map_err(at(path))?;
        let run = Self { lock: Lock::take(path)?, folder: RunFolder { path: path.to_path_buf() } };
        // A process that has held the lock since may have left a run.
        check_free(path, existing)?;
        run.clear()?;
        run.replace(CONFIG, config)?;
        Ok(run)
    }

    /// Opens the folder of a run to go on with it: its lock, and then its latest checkpoint, `None` before the first.
    /// Changes nothing, but for the lock's file where there was none; [`go_on`](Self::go_on) does.
    ///
    /// # Errors
    /// There is no run, another process trains there, or the latest checkpoint cannot be found or read.
    pub fn resume(path: &Path) -> Result<(Self, Option<SavedCheckpoint>), RunError> {
        RunFolder::open(path)?;
        let lock = Lock::take(path)?;
        // A process that has held the lock since may have left another run.
        let folder = RunFolder::open(path)?;
        let latest = folder.latest()?.map(|step| folder.read(&step)).transpose()?;
        Ok((Self { folder, lock }, latest))
    }

    /// Goes on with a run: removes what a killed process left unfinished, and replaces the config, which may ask for
    /// another number of steps.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn go_on(&self, config: &str) -> Result<(), RunError> {
        self.remove_unfinished()?;
        self.replace(CONFIG, config)
    }

    /// What the user should know of the folder: that it could not be locked, and why.
    pub fn note(&self) -> Option<&str> {
        self.lock.note.as_deref()
    }

    /// Writes a checkpoint, makes it the latest, and removes the oldest ones until `keep` are left. A step that is the
    /// latest already is not written again.
    ///
    /// # Errors
    /// The operating system refuses; the checkpoints that were there are untouched.
    pub fn save(&self, checkpoint: &Checkpoint, keep: usize) -> Result<CheckpointFolder, RunError> {
        let name = CheckpointFolder::name(checkpoint.step);
        let step = CheckpointFolder { step: checkpoint.step, path: self.path.join(&name) };
        if self.latest()?.is_some_and(|latest| latest.step == step.step) && self.path.join(LATEST).exists() {
            self.prune(keep)?;
            return Ok(step);
        }
        let unfinished = self.path.join(name.clone() + UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        checkpoint.write(&unfinished)?;
        if step.path.exists() {
            // Of a process that was killed before it could move the pointer.
            self.remove_step(&step)?;
        }
        fs::rename(&unfinished, &step.path).map_err(at(&step.path))?;
        sync_folder(&self.path)?;
        self.replace(LATEST, &format!("{name}\n"))?;
        self.prune(keep)?;
        Ok(step)
    }

    /// Removes the oldest checkpoints until `keep` are left. The latest always stays.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn prune(&self, keep: usize) -> Result<(), RunError> {
        let latest = self.latest()?;
        let mut old = self.checkpoints()?;
        old.retain(|step| latest.as_ref().is_some_and(|latest| step.step < latest.step));
        let surplus = (old.len() + 1).saturating_sub(keep.max(1));
        old.iter().take(surplus).try_for_each(|step| self.remove_step(step))
    }

    /// Renames before removing, so that a kill in between leaves no half checkpoint under a good name.
    fn remove_step(&self, step: &CheckpointFolder) -> Result<(), RunError> {
        let doomed = self.path.join(format!("removed-{}{UNFINISHED}", step.step));
        if doomed.exists() {
            fs::remove_dir_all(&doomed).map_err(at(&doomed))?;
        }
        fs::rename(&step.path, &doomed).map_err(at(&step.path))?;
        Ok(fs::remove_dir_all(&doomed).map_err(at(&doomed))?)
    }

    /// Replaces a small file in one step.
    fn replace(&self, name: &str, text: &str) -> Result<(), RunError> {
        let path = self.path.join(name);
        whole::replace(&path, |file| file.write_all(text.as_bytes())).map_err(at(&path))?;
        Ok(sync_folder(&self.path)?)
    }

    /// Removes what an earlier run has written: its pointer first, its config last.
    fn clear(&self) -> Result<(), RunError> {
        self.remove_unfinished()?;
        let steps = self.checkpoints()?;
        self.remove_file(LATEST)?;
        steps.iter().try_for_each(|step| self.remove_step(step))?;
        for name in [METRICS].into_iter().chain(PICTURES).chain([CONFIG]) {
            self.remove_file(name)?;
        }
        Ok(())
    }

    fn remove_file(&self, name: &str) -> Result<(), RunError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&path)(error).into()),
            _ => Ok(()),
        }
    }

    fn remove_unfinished(&self) -> Result<(), RunError> {
        for entry in fs::read_dir(&self.path).map_err(at(&self.path))? {
            let path = entry.map_err(at(&self.path))?.path();
            if path.file_name().is_some_and(|name| is_unfinished(&name.to_string_lossy())) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(at(&path))?;
            }
        }
        Ok(())
    }
}

/// Whether this is the name of a file or folder that a process of ours was writing or removing in a run's folder.
fn is_unfinished(name: &str) -> bool {
    let of_ours = |file: &str| [CONFIG, METRICS, LATEST].contains(&file) || PICTURES.contains(&file);
    let Some(stem) = name.strip_suffix(UNFINISHED) else { return false };
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|digits| checkpoint_folder::number(digits).is_some());
    of_ours(stem) || numbered("step-") || numbered("removed-") || whole::target(name).is_some_and(of_ours)
}
