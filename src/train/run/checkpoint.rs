//! Checkpoints: one folder of safetensors and JSON for one step, whole or not there at all.
//!
//! A checkpoint is plain data. [`run_folder`](crate::train::run::run_folder) says which folder it lies in and which one is
//! the latest, [`training_folder`](crate::train::run::training_folder) how many stay.
//!
//! | file | holds |
//! |---|---|
//! | `state.json` | step, seed, versions, the config's fingerprint, the size of every other file |
//! | `params.safetensors`, `ema.safetensors` | one f32 tensor per parameter, by name |
//! | `optimizer.safetensors` | `adam_m.NAME` and `adam_v.NAME` per parameter |
//! | `learned.safetensors` | what else training learns, by the state's name; only where there is such |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

/// Version of the folder's layout; a reader refuses all others.
pub const FORMAT: u32 = 1;
const STATE: &str = "state.json";

/// A checkpoint that cannot be written or read. Its `Display` is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused to write, or to look.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is missing, unreadable, truncated, of an unknown version, or holds something else than it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what would be right.
        what: String,
    },
}

impl CheckpointError {
    fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), what: what.into() }
    }
}

/// Turns the operating system's errors into ours, naming the path.
pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError + '_ {
    |source| CheckpointError::Io { path: path.to_path_buf(), source }
}

/// As [`at`], where a file was to be read: what the user names has to be readable.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError + '_ {
    |source| CheckpointError::content(path, format!("cannot be read: {source}"))
}

/// A named array of f32 in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Unique in its group.
    pub name: String,
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Vec<f32>,
}

/// What training leaves behind at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Training steps done.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// [`crate::config::Config::fingerprint`] of the run.
    pub fingerprint: String,
    /// Anything else that has to last, such as how the data was scaled.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// Tensors by group; group `params` lies in `params.safetensors`. The groups of a run are those of [`groups`]. Within
    /// a group, reading gives tensors sorted by name.
    pub groups: BTreeMap<String, Vec<NamedTensor>>,
}

/// A checkpoint, and the folder that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedCheckpoint {
    /// The folder, for errors.
    pub path: PathBuf,
    /// What lies in it.
    pub checkpoint: Checkpoint,
}

/// The groups of a run's tensors.
pub mod groups {
    /// The raw weights.
    pub const PARAMS: &str = "params";
    /// The moving averages of the weights.
    pub const EMA: &str = "ema";
    /// Adam's moments, `adam_m.NAME` and `adam_v.NAME`.
    pub const OPTIMIZER: &str = "optimizer";
    /// Whatever else training learns; only where there is such.
    pub const LEARNED: &str = "learned";
}

#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    tweedie: String,
    step: u64,
    seed: u64,
    fingerprint: String,
    /// Bytes of every other file.
    files: BTreeMap<String, u64>,
    extra: BTreeMap<String, serde_json::Value>,
}

impl Checkpoint {
    /// Writes all files into a folder that does not exist yet, and makes them and the folder last through a power cut.
    ///
    /// # Errors
    /// The folder exists, a tensor's values do not fit its shape, two tensors of a group have one name, or the
    /// operating system refuses.
    pub fn write(&self, folder: &Path) -> Result<(), CheckpointError> {
        fs::create_dir(folder).map_err(at(folder))?;
        let mut files = BTreeMap::new();
        for (group, tensors) in &self.groups {
            let path = folder.join(file_of(group));
            let bytes = to_safetensors(tensors).map_err(|what| CheckpointError::content(&path, what))?;
            write_synced(&path, &bytes)?;
            files.insert(file_of(group), bytes.len() as u64);
        }
        let state = State {
            format: FORMAT,
            tweedie: env!("CARGO_PKG_VERSION").to_string(),
            step: self.step,
            seed: self.seed,
            fingerprint: self.fingerprint.clone(),
            files,
            extra: self.extra.clone(),
        };
        let mut text = serde_json::to_string_pretty(&state).expect("numbers and strings always have a JSON form");
        text.push('\n');
        write_synced(&folder.join(STATE), text.as_bytes())?;
        sync_folder(folder)
    }

    /// Reads a checkpoint's folder.
    ///
    /// # Errors
    /// One line that names the file: it is missing, truncated, of an unknown version or broken.
    pub fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let state = read_state(folder)?;
        let mut groups = BTreeMap::new();
        for (file, size) in &state.files {
            let path = folder.join(file);
            let Some(group) = file.strip_suffix(".safetensors").filter(|group| !group.contains(['/', '\\'])) else {
                return Err(CheckpointError::content(
                    &folder.join(STATE),
                    format!("names the file {file}, which is no .safetensors"),
                ));
            };
            let bytes = read_file(&path)?;
            if bytes.len() as u64 != *size {
                let what = format!(
                    "has {} bytes and should have {size} (as {STATE} says): truncated or replaced",
                    bytes.len()
                );
                return Err(CheckpointError::content(&path, what));
            }
            let tensors = from_safetensors(&bytes).map_err(|what| CheckpointError::content(&path, what))?;
            groups.insert(group.to_string(), tensors);
        }
        // Another version's configs may have other keys, so that its fingerprints compare with none of ours.
        let fingerprint = if state.tweedie == env!("CARGO_PKG_VERSION") { state.fingerprint } else { String::new() };
        Ok(Self { step: state.step, seed: state.seed, fingerprint, extra: state.extra, groups })
    }

    /// The tensors of a group in the order of `expected`, after checking that it has exactly those names and shapes.
    /// `folder` is where the checkpoint came from, for errors.
    ///
    /// # Errors
    /// One line that names the file and the first tensor that is missing, too much, of another shape, or holds what
    /// training leaves in no tensor.
    pub fn expect(
        &self,
        folder: &Path,
        group: &str,
        expected: &[(String, Vec<usize>)],
    ) -> Result<Vec<&NamedTensor>, CheckpointError> {
        let path = folder.join(file_of(group));
        let complain = |what: String| Err(CheckpointError::content(&path, what));
        let Some(tensors) = self.groups.get(group) else {
            return complain("is missing, and the model needs it".to_string());
        };
        let by_name: BTreeMap<&str, &NamedTensor> =
            tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let mut found = Vec::with_capacity(expected.len());
        for (name, shape) in expected {
            match by_name.get(name.as_str()) {
                Some(tensor) if tensor.shape == *shape => {
                    if let Some(place) = tensor.values.iter().position(|value| !is_sound(group, *value)) {
                        let value = tensor.values[place];
                        return complain(format!(
                            "tensor {name} holds {value} (value {place}, counted from 0): damaged"
                        ));
                    }
                    found.push(*tensor);
                }
                Some(tensor) => {
                    return complain(format!(
                        "tensor {name} has shape {:?}, and the model needs {shape:?}",
                        tensor.shape
                    ));
                }
                None => return complain(format!("has no tensor {name}, and the model needs it with shape {shape:?}")),
            }
        }
        match by_name.keys().find(|name| !expected.iter().any(|(known, _)| known == *name)) {
            Some(name) => complain(format!("tensor {name} belongs to no layer of the model")),
            None => Ok(found),
        }
    }
}

/// Whether training can leave this value: Adam's moments may overflow where the gradient is not clipped.
fn is_sound(group: &str, value: f32) -> bool {
    if group == groups::OPTIMIZER { !value.is_nan() } else { value.is_finite() }
}

/// The step of the checkpoint in a folder.
///
/// # Errors
/// As [`Checkpoint::read`], concerning `state.json`.
pub fn read_step(folder: &Path) -> Result<u64, CheckpointError> {
    read_state(folder).map(|state| state.step)
}

fn file_of(group: &str) -> String {
    format!("{group}.safetensors")
}

fn read_state(folder: &Path) -> Result<State, CheckpointError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let path = folder.join(STATE);
    let bytes = read_file(&path)?;
    let broken =
        |error: serde_json::Error| CheckpointError::content(&path, format!("not the state of a checkpoint: {error}"));
    // The version first: another one may have other keys.
    let version: Version = serde_json::from_slice(&bytes).map_err(broken)?;
    if version.format != FORMAT {
        let what = format!(
            "has format {}, and this tweedie ({}) reads format {FORMAT}",
            version.format,
            env!("CARGO_PKG_VERSION")
        );
        return Err(CheckpointError::content(&path, what));
    }
    serde_json::from_slice(&bytes).map_err(broken)
}

fn read_file(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CheckpointError::content(path, "is missing: not a whole checkpoint"))
        }
        result => result.map_err(unreadable(path)),
    }
}

fn to_safetensors(tensors: &[NamedTensor]) -> Result<Vec<u8>, String> {
    let bytes_of =
        |tensor: &NamedTensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let bytes: Vec<Vec<u8>> = tensors.iter().map(bytes_of).collect();
    let mut views = BTreeMap::new();
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(|_| {
            format!("tensor {} has {} values and shape {:?}", tensor.name, tensor.values.len(), tensor.shape)
        })?;
        if views.insert(tensor.name.as_str(), view).is_some() {
            return Err(format!("two tensors are called {}", tensor.name));
        }
    }
    safetensors::serialize(views, None).map_err(|error| error.to_string())
}

fn from_safetensors(bytes: &[u8]) -> Result<Vec<NamedTensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| format!("not a whole safetensors file: {error}"))?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} has type {:?} and should have F32", view.dtype()));
        }
        let words = view.data().as_chunks::<4>().0;
        let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        tensors.push(NamedTensor { name, shape: view.shape().to_vec(), values });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// Writes a file and waits until it is on the disk.
fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(at(path))
}

/// Makes the names in a folder last. Windows has no such call and needs none.
pub(super) fn sync_folder(folder: &Path) -> Result<(), CheckpointError> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder))?;
    }
    Ok(())
}
