//! The engine of the CPU device.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ports::Ports;
use super::{Engine, EngineError, Program, ProgramName, Snapshot};
use crate::cpu::{self, CpuError, Store};
use crate::gpu::Profile;

/// It comes back about this often, so that progress can be shown and Ctrl-C be noticed.
const SLICE: Duration = Duration::from_millis(100);

pub(super) struct CpuEngine {
    store: Store<f32>,
    ports: Ports,
    runnable: Vec<Runnable>,
    watched: Vec<String>,
    longest: usize,
    snapshots: Vec<Snapshot>,
}

/// A program and its inputs.
struct Runnable {
    program: cpu::Program<f32>,
    inputs: BTreeMap<String, Vec<f32>>,
}

impl CpuEngine {
    /// Loads programs that run at most `max_batch` samples, if there is memory for the largest of them.
    pub fn new(programs: &[Program], max_batch: u32) -> Result<Self, EngineError> {
        let load = |program: &Program| Runnable {
            program: cpu::Program::new(&program.graph, program.parameters_from),
            inputs: BTreeMap::new(),
        };
        let runnable: Vec<Runnable> = programs.iter().map(load).collect();
        let batch = max_batch as usize;
        let bytes = runnable.iter().map(|runnable| runnable.program.planned_bytes(batch)).max().unwrap_or(0);
        if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
            return Err(CpuError::OutOfMemory { bytes, batch }.into());
        }
        let (ports, store) = (Ports::new(programs, max_batch), Store::new());
        Ok(Self { store, ports, runnable, watched: Vec::new(), longest: usize::MAX, snapshots: Vec::new() })
    }

    fn take_snapshot(&mut self) {
        let mut snapshot = Snapshot::default();
        for name in &self.watched {
            if let Some(words) = self.store.words(name) {
                snapshot.words.insert(name.clone(), words.to_vec());
            } else if let Some(floats) = self.store.get(name) {
                snapshot.floats.insert(name.clone(), floats.to_vec());
            }
        }
        self.snapshots.push(snapshot);
    }
}

impl Engine for CpuEngine {
    fn set_floats(&mut self, name: &str, data: &[f32]) -> Result<(), EngineError> {
        self.store.upload(name, data);
        Ok(())
    }

    fn set_words(&mut self, name: &str, data: &[u32]) -> Result<(), EngineError> {
        self.store.upload_words(name, data);
        Ok(())
    }

    fn set_bytes(&mut self, name: &str, data: &[u8]) -> Result<(), EngineError> {
        self.store.upload_bytes(name, data);
        Ok(())
    }

    fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, EngineError> {
        self.ports.expect_state(name, count)?;
        let missing = || CpuError::MissingState { name: name.to_owned() };
        first(name, self.store.get(name).ok_or_else(missing)?, count)
    }

    fn words(&mut self, name: &str, count: usize) -> Result<Vec<u32>, EngineError> {
        self.ports.expect_state(name, count)?;
        let missing = || CpuError::MissingState { name: name.to_owned() };
        first(name, self.store.words(name).ok_or_else(missing)?, count)
    }

    fn set_input(&mut self, program: ProgramName, name: &str, batch: u32, data: &[f32]) -> Result<(), EngineError> {
        let place = self.ports.find_input(program, name, batch, data.len())?;
        self.runnable[place].inputs.insert(name.to_owned(), data.to_vec());
        Ok(())
    }

    fn output(&mut self, program: ProgramName, name: &str) -> Result<Vec<f32>, EngineError> {
        let place = self.ports.find_output(program, name)?;
        Ok(self.runnable[place].program.output(name).to_vec())
    }

    fn has_state(&self, name: &str) -> bool {
        self.ports.has_state(name)
    }

    fn watch(&mut self, names: &[&str], longest: usize) -> Result<(), EngineError> {
        self.ports.expect_watchable(names, longest)?;
        self.watched = names.iter().map(|name| (*name).to_owned()).collect();
        self.longest = longest;
        Ok(())
    }

    fn advance(&mut self, program: ProgramName, batch: u32, most: usize) -> Result<usize, EngineError> {
        let place = self.ports.find(program)?;
        let started = Instant::now();
        let watching = !self.watched.is_empty();
        let most = if watching { most.min(self.longest) } else { most };
        let runnable = &mut self.runnable[place];
        let inputs: Vec<(&str, &[f32])> =
            runnable.inputs.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let mut done = 0;
        while done < most && (done == 0 || started.elapsed() < SLICE) {
            runnable.program.run(&mut self.store, &inputs, batch as usize)?;
            done += 1;
        }
        if done > 0 {
            self.ports.ran(place);
        }
        if watching {
            self.take_snapshot();
        }
        Ok(done)
    }

    fn wait(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Snapshot>, EngineError> {
        Ok(std::mem::take(&mut self.snapshots))
    }

    fn profile(&mut self, program: ProgramName, _batch: u32, _runs: u64) -> Result<Option<Profile>, EngineError> {
        self.ports.find(program)?;
        Ok(None)
    }

    fn allocated_bytes(&self) -> u64 {
        self.runnable.iter().map(|runnable| runnable.program.buffer_bytes() as u64).sum()
    }
}

/// The first elements of a state, which for a smaller batch than the largest holds fewer than it could.
fn first<T: Copy>(name: &str, data: &[T], count: usize) -> Result<Vec<T>, EngineError> {
    let too_few = || EngineError::StateLength { name: name.to_owned(), elements: data.len(), asked: count };
    data.get(..count).map(<[T]>::to_vec).ok_or_else(too_few)
}
