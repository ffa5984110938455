//! `metrics.jsonl`: the losses of a run, one JSON object a line.
//!
//! ```text
//! {"kind":"train","step":10,"loss":0.91,"grad_norm":1.7,"learning_rate":0.001,"timing":{"seconds":0.4,"steps_per_sec":25.0}}
//! {"kind":"evaluation","step":500,"held_out_loss":0.31,"per_level":[{"t":0.1,"sigma":0.3,"loss":0.9,"variance":0.4}]}
//! ```
//!
//! A run that was killed and resumed has the lines of the run that was not, but for `timing`. For that, every line of a
//! step is written before that step's checkpoint, and resuming takes the file back to the checkpoint's step.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use crate::data::whole;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// A training step.
    Train(TrainLine),
    /// The held-out loss after a training step.
    Evaluation(EvaluationLine),
}

/// A training step. All but `timing` is the same in every run with the same config, device and build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainLine {
    /// Steps done, this one included.
    pub step: u64,
    /// Loss of the step's batch. NaN is written as `null`.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f32,
    /// Norm of the whole gradient before it was clipped. NaN is written as `null`.
    #[serde(deserialize_with = "nan_if_null")]
    pub grad_norm: f32,
    /// Learning rate of the step.
    pub learning_rate: f32,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// What depends on the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds since this process began to train.
    pub seconds: f64,
    /// Steps per second since the line before.
    pub steps_per_sec: f64,
}

/// The held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationLine {
    /// Training steps done.
    pub step: u64,
    /// Loss of the averaged weights on the held-out samples. NaN is written as `null`.
    #[serde(deserialize_with = "nan_if_null")]
    pub held_out_loss: f32,
    /// The same at single noise levels.
    pub per_level: Vec<LevelLoss>,
    /// Of a learned schedule: ln SNR at evenly spaced shares of the way from data to noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<f32>>,
}

/// Loss at one noise level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelLoss {
    /// Time in (0, 1].
    pub t: f32,
    /// Standard deviation of x_t given x_0.
    pub sigma: f32,
    /// Loss there. NaN is written as `null`.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f32,
    /// Variance of the loss of one sample. NaN is written as `null`.
    #[serde(default, deserialize_with = "nan_if_null")]
    pub variance: f32,
    /// Loss of the exact score on the same samples, where it is known: what no network can lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreducible: Option<f32>,
}

impl Line {
    /// The training steps done when it was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Train(line) => line.step,
            Self::Evaluation(line) => line.step,
        }
    }

    /// The line without what differs from run to run.
    pub fn without_timing(mut self) -> Self {
        if let Self::Train(line) = &mut self {
            line.timing = None;
        }
        self
    }
}

/// JSON has no NaN.
fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::<f32>::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

/// A log that cannot be read or written. Its `Display` is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system did not let us read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not one of ours.
    #[error("{}: line {number}: is none that tweedie writes ({}); remove the line to go on", path.display(), reason(source))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        number: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// What serde says of a line, without the number that it gives every line, 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.clone(), |(what, _)| format!("{what}, column {}", error.column()))
}

/// The log of a run, open at its end.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens the log to go on after `step` training steps: what comes later, and a last line that was torn or is none of
    /// ours, is dropped. A file that does not exist is made. For a new run, `step` is 0.
    ///
    /// # Errors
    /// A line other than the last is not one of ours, or the operating system refuses. The file is then untouched.
    pub fn open(path: &Path, step: u64) -> Result<Self, LogError> {
        let io = |source| LogError::Io { path: path.to_path_buf(), source };
        if path.exists() {
            let text = fs::read(path).map_err(|source| LogError::Read { path: path.to_path_buf(), source })?;
            let mut kept = Vec::with_capacity(text.len());
            for (bytes, line) in parse(&text, path)? {
                if line.step() <= step {
                    kept.extend_from_slice(bytes);
                    kept.push(b'\n');
                }
            }
            if kept != text {
                whole::replace(path, |file| file.write_all(&kept)).map_err(io)?;
            }
        }
        let file = File::options().create(true).append(true).open(path).map_err(io)?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends a line, in a single write.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn write(&mut self, line: &Line) -> Result<(), LogError> {
        let mut text = serde_json::to_string(line).expect("numbers and words always have a JSON form");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|source| self.io(source))
    }

    /// Waits until all lines are on the disk: to be called before a checkpoint is written.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_all().map_err(|source| self.io(source))
    }

    fn io(&self, source: std::io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), source }
    }
}

/// All lines of a log. A last line that was torn or is none of ours is left out.
///
/// # Errors
/// The file cannot be read, or a line other than the last is not one of ours.
pub fn read(path: &Path) -> Result<Vec<Line>, LogError> {
    let text = fs::read(path).map_err(|source| LogError::Read { path: path.to_path_buf(), source })?;
    Ok(parse(&text, path)?.into_iter().map(|(_, line)| line).collect())
}

/// Every whole line with its bytes. What follows the last line break is torn, and so is a last line that a file system
/// has filled with something else when the power went.
fn parse<'a>(text: &'a [u8], path: &Path) -> Result<Vec<(&'a [u8], Line)>, LogError> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &text[..end]);
    if whole.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = whole.split(|byte| *byte == b'\n').enumerate().peekable();
    let mut parsed = Vec::new();
    while let Some((index, bytes)) = lines.next() {
        match serde_json::from_slice(bytes) {
            Ok(line) => parsed.push((bytes, line)),
            Err(_) if lines.peek().is_none() => {}
            Err(source) => return Err(LogError::Line { path: path.to_path_buf(), number: index + 1, source }),
        }
    }
    Ok(parsed)
}
