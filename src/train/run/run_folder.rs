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

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::data::whole::{self, UNFINISHED};
use crate::train::run::checkpoint::{Checkpoint, CheckpointError, at, read_step, sync_folder, unreadable};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const LATEST: &str = "latest";
const LOCK: &str = "lock";
/// The pictures of a run.
const PICTURES: [&str; 5] = ["loss.png", "samples.png", "trajectory.gif", "trajectory.png", "scores.png"];

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
        whole: Step,
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

/// A run's folder, to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// A checkpoint's folder in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its step.
    pub step: u64,
    /// Where it lies.
    pub path: PathBuf,
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
    pub fn find(argument: &Path) -> Result<(Self, Step), RunError> {
        let parent = fs::canonicalize(argument).ok().and_then(|path| path.parent().map(Path::to_path_buf));
        if step_of(argument).is_some()
            && !argument.join(CONFIG).exists()
            && let Some(parent) = parent
        {
            let step = read_step(argument)?;
            return Ok((Self::open(&parent)?, Step { step, path: argument.to_path_buf() }));
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
    pub fn checkpoints(&self) -> Result<Vec<Step>, RunError> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable(&self.path))? {
            let path = entry.map_err(unreadable(&self.path))?.path();
            if let Some(step) = step_of(&path).filter(|_| path.is_dir()) {
                steps.push(Step { step, path });
            }
        }
        steps.sort_by_key(|step| step.step);
        Ok(steps)
    }

    /// The newest checkpoint, or `None` before the first.
    ///
    /// # Errors
    /// `latest` does not hold the name of a checkpoint in this folder, or the folder cannot be read.
    pub fn latest(&self) -> Result<Option<Step>, RunError> {
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
        let Some(step) = name.strip_prefix("step-").and_then(step_number) else {
            let what = format!(
                "holds {name:?} and should hold a name such as step-1000; remove this file to take the newest checkpoint that is there"
            );
            return Err(RunError::NoRun { path: pointer, what });
        };
        match Some(step).filter(|_| path.is_dir()) {
            Some(step) => Ok(Some(Step { step, path })),
            None => {
                let what = format!(
                    "names the checkpoint {name:?}, which is not there; remove this file to take the newest checkpoint that is"
                );
                Err(RunError::NoRun { path: pointer, what })
            }
        }
    }
}

impl RunFolder {
    /// Reads the checkpoint `step` of this run.
    ///
    /// # Errors
    /// It is broken; if it is the one that `latest` names, the newest older one that is whole is named.
    pub fn read(&self, step: &Step) -> Result<Checkpoint, RunError> {
        let damage = match Checkpoint::read(&step.path) {
            Ok(checkpoint) => return Ok(checkpoint),
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
const NOWHERE: &str = "is a symbolic link to something that is not there";

/// Whether the path is a symbolic link without anything at its end.
fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

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
    _lock: File,
    note: Option<String>,
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
    /// As [`check_free`]; another process trains there; or the operating system refuses.
    pub fn create(path: &Path, existing: Existing, config: &str) -> Result<Self, RunError> {
        check_free(path, existing)?;
        fs::create_dir_all(path).map_err(at(path))?;
        let run = Self::locked(RunFolder { path: path.to_path_buf() })?;
        run.clear()?;
        run.replace(CONFIG, config)?;
        Ok(run)
    }

    /// Opens the folder of a run to go on with it, and removes what a killed process left unfinished.
    ///
    /// # Errors
    /// There is no run, another process trains there, or the operating system refuses.
    pub fn resume(path: &Path) -> Result<Self, RunError> {
        let run = Self::locked(RunFolder::open(path)?)?;
        run.remove_unfinished()?;
        Ok(run)
    }

    fn locked(folder: RunFolder) -> Result<Self, RunError> {
        let (lock, note) = lock(&folder.path)?;
        Ok(Self { folder, _lock: lock, note })
    }

    /// What the user should know of the folder: that it could not be locked, and why.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Replaces the config, for a run that is resumed to another number of steps.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn write_config(&self, config: &str) -> Result<(), RunError> {
        self.replace(CONFIG, config)
    }

    /// Writes a checkpoint, makes it the latest, and removes the oldest ones until `keep` are left. A step that is the
    /// latest already is not written again.
    ///
    /// # Errors
    /// The operating system refuses; the checkpoints that were there are untouched.
    pub fn save(&self, checkpoint: &Checkpoint, keep: usize) -> Result<Step, RunError> {
        let name = format!("step-{}", checkpoint.step);
        let step = Step { step: checkpoint.step, path: self.path.join(&name) };
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
    fn remove_step(&self, step: &Step) -> Result<(), RunError> {
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
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|digits| step_number(digits).is_some());
    of_ours(stem) || numbered("step-") || numbered("removed-") || whole::target(name).is_some_and(of_ours)
}

/// N of a path whose last part is `step-N`.
fn step_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix("step-")?;
    step_number(digits)
}

fn step_number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|step: &u64| step.to_string() == digits)
}

/// The lock goes with the process, however that ends. Where there is none, a line says so.
fn lock(folder: &Path) -> Result<(File, Option<String>), RunError> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RunError::Busy { path: folder.to_path_buf() }),
        // Some network file systems know no locks; a run there is worth more than its guard.
        Err(TryLockError::Error(error)) => {
            let note =
                format!("{}: cannot be locked ({error}): see to it that no other process trains here", path.display());
            Ok((file, Some(note)))
        }
        Ok(()) => Ok((file, None)),
    }
}
