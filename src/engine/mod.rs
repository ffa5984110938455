//! One face for both devices: programs over a store, run many times.

#[cfg(feature = "cpu")]
mod on_cpu;
mod on_gpu;
mod ports;
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use crate::gpu::{self, GpuError};
use crate::lower::{LowerError, LowerOptions};
use crate::plan::Limits;

pub use program::{Program, ProgramName};

/// What a run on either device can fail with.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No program of this name was loaded.
    #[error("no program is called {name}; there are: {known}")]
    NoProgram {
        /// What was asked for.
        name: ProgramName,
        /// What there is.
        known: String,
    },
    /// A program has no input or output of this name.
    #[error("program {program} has no {kind} `{name}`; it has: {known}")]
    NoPort {
        /// The program.
        program: ProgramName,
        /// `input` or `output`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// An output of a program that has not run.
    #[error("program {program} has not run, and has no outputs yet")]
    NotRun {
        /// The program.
        program: ProgramName,
    },
    /// An input of another length than the program's.
    #[error("input `{name}` of program {program} takes {expected} elements at batch {batch}, not {found}")]
    InputLength {
        /// The program.
        program: ProgramName,
        /// The input.
        name: String,
        /// How many elements it takes.
        expected: usize,
        /// For how many samples.
        batch: u32,
        /// How many were given.
        found: usize,
    },
    /// No program that was loaded has a state of this name.
    #[error("no program has a state `{name}`; there are: {known}")]
    NoState {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// More elements of a state than it has.
    #[error("state `{name}` has {elements} elements, not {asked}")]
    StateLength {
        /// The state.
        name: String,
        /// How many it has.
        elements: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// No state, or no run, to be watched.
    #[error("watching takes at least one state and one run")]
    NothingWatched,
    /// The graph does not fit the device.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The GPU.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The CPU executor.
    #[cfg(feature = "cpu")]
    #[error(transparent)]
    Cpu(#[from] crate::cpu::CpuError),
}

impl EngineError {
    /// Whether the user can mend it by asking for something else: another device, a smaller batch or network.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Lower(_) | Self::Gpu(GpuError::NoAdapter(_) | GpuError::TooLarge { .. }) => true,
            #[cfg(feature = "cpu")]
            Self::Cpu(crate::cpu::CpuError::OutOfMemory { .. }) => true,
            _ => false,
        }
    }
}

/// Where to compute.
pub enum Device {
    /// The CPU executor in f32.
    #[cfg(feature = "cpu")]
    Cpu,
    /// A GPU.
    Gpu(gpu::Device),
}

impl Device {
    /// What `choice` asks for, and one line that says why; more lines follow where something is worth one. `cache` is a
    /// folder for compiled pipelines.
    ///
    /// # Errors
    /// When a GPU was asked for that is not there; the message lists what is.
    pub fn open(choice: &gpu::Choice, cache: Option<&Path>) -> Result<(Self, String), EngineError> {
        let options = gpu::OpenOptions { cache_dir: cache.map(Path::to_owned), ..gpu::OpenOptions::default() };
        let (device, reason) = gpu::Device::choose(choice, &options)?;
        match device {
            Some(device) => {
                // What is worth a line, such as a damaged pipeline cache, follows the reason.
                let reason = [vec![reason], device.take_notes()].concat().join("\n");
                Ok((Self::Gpu(device), reason))
            }
            #[cfg(feature = "cpu")]
            None => Ok((Self::Cpu, reason)),
            #[cfg(not(feature = "cpu"))]
            None => Err(GpuError::NoAdapter(format!("{reason}; this build has no CPU device (feature cpu)")).into()),
        }
    }

    /// What the device allows a plan. (The CPU runs graphs, not plans.)
    pub fn lower_options(&self, max_batch: u32) -> LowerOptions {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => LowerOptions { max_batch, ..LowerOptions::default() },
            Self::Gpu(device) => {
                let limits = device.limits();
                let limits = Limits {
                    storage_buffers: limits.storage_buffers as usize,
                    binding_bytes: limits.binding_bytes,
                    buffer_bytes: limits.buffer_bytes,
                    workgroups: limits.workgroups,
                };
                LowerOptions { max_batch, limits, driver: device.driver() }
            }
        }
    }
}

/// What the store held when some step had ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Content of the watched tensors that hold words.
    pub words: BTreeMap<String, Vec<u32>>,
    /// Content of the watched tensors that hold floats.
    pub floats: BTreeMap<String, Vec<f32>>,
}

/// Programs on a device, over one store.
pub trait Engine {
    /// Puts floats into the store; names that no program uses may be ignored.
    ///
    /// # Errors
    /// When they do not fit.
    fn set_floats(&mut self, name: &str, data: &[f32]) -> Result<(), EngineError>;

    /// Puts words into the store: a clock is `[step, sample_base, seed low word, seed high word]`.
    ///
    /// # Errors
    /// When they do not fit.
    fn set_words(&mut self, name: &str, data: &[u32]) -> Result<(), EngineError>;

    /// Puts bytes into the store: a data set.
    ///
    /// # Errors
    /// When they do not fit.
    fn set_bytes(&mut self, name: &str, data: &[u8]) -> Result<(), EngineError>;

    /// The first `count` floats of a store tensor; waits for what is under way.
    ///
    /// # Errors
    /// When no program has it, it has fewer, or the device is lost.
    fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, EngineError>;

    /// The first `count` words of a store tensor; waits for what is under way.
    ///
    /// # Errors
    /// When no program has it, it has fewer, or the device is lost.
    fn words(&mut self, name: &str, count: usize) -> Result<Vec<u32>, EngineError>;

    /// Writes an input of a program, for runs of `batch` samples.
    ///
    /// # Errors
    /// When there is no such program or input, or its length is another.
    fn set_input(&mut self, program: ProgramName, name: &str, batch: u32, data: &[f32]) -> Result<(), EngineError>;

    /// An output of a program's last run; waits for it.
    ///
    /// # Errors
    /// When there is no such program or output, or it has not run.
    fn output(&mut self, program: ProgramName, name: &str) -> Result<Vec<f32>, EngineError>;

    /// From now on [`poll`](Self::poll) brings these store tensors, at least every `longest` runs.
    ///
    /// # Errors
    /// When no program has such a tensor, no name is given, or `longest` is 0.
    fn watch(&mut self, names: &[&str], longest: usize) -> Result<(), EngineError>;

    /// Whether a program reads or writes this store tensor.
    fn has_state(&self, name: &str) -> bool;

    /// Runs a program between once and `most` times: about a tenth of a second of work. On a GPU this only submits it.
    /// Returns how often.
    ///
    /// # Errors
    /// When there is no such program, an input is missing, or the device is lost.
    fn advance(&mut self, program: ProgramName, batch: u32, most: usize) -> Result<usize, EngineError>;

    /// Waits for everything that was submitted.
    ///
    /// # Errors
    /// When the device is lost.
    fn wait(&mut self) -> Result<(), EngineError>;

    /// What has arrived of the watched tensors, oldest first. Does not wait.
    ///
    /// # Errors
    /// When the device is lost.
    fn poll(&mut self) -> Result<Vec<Snapshot>, EngineError>;

    /// Time per kernel of a program, if the device is a GPU.
    ///
    /// # Errors
    /// When there is no such program, or the GPU has no timestamps.
    fn profile(&mut self, program: ProgramName, batch: u32, runs: u64) -> Result<Option<gpu::Profile>, EngineError>;

    /// Bytes that the device holds for this engine.
    fn allocated_bytes(&self) -> u64;

    /// Runs a program `times` times, and waits.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    fn run(&mut self, program: ProgramName, batch: u32, times: usize) -> Result<(), EngineError> {
        let mut left = times;
        while left > 0 {
            left -= self.advance(program, batch, left)?;
        }
        self.wait()
    }
}

/// Loads programs onto a device.
///
/// # Errors
/// When the programs do not fit the device.
pub fn load(device: &Device, programs: &[Program], max_batch: u32) -> Result<Box<dyn Engine>, EngineError> {
    match device {
        #[cfg(feature = "cpu")]
        Device::Cpu => Ok(Box::new(on_cpu::CpuEngine::new(programs, max_batch)?)),
        Device::Gpu(gpu) => Ok(Box::new(on_gpu::GpuEngine::new(gpu, programs, &device.lower_options(max_batch))?)),
    }
}
