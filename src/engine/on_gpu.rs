//! The engine of a GPU: a plan and its player.

use std::collections::BTreeMap;

use super::ports::Ports;
use super::{Engine, EngineError, Program, ProgramName, Snapshot};
use crate::gpu::{self, Player, Store, Trust};
use crate::lower::{LowerOptions, lower};

pub(super) struct GpuEngine {
    store: Store,
    player: Player,
    /// In the order of the plan.
    ports: Ports,
    /// Names of the store's tensors: what no program uses is not kept.
    names: Vec<String>,
    watched: Vec<String>,
}

impl GpuEngine {
    pub fn new(device: &gpu::Device, programs: &[Program], options: &LowerOptions) -> Result<Self, EngineError> {
        let sources: Vec<_> = programs.iter().map(Program::source).collect();
        let plan = lower(&sources, options)?;
        let names = plan.store.iter().map(|port| port.name.clone()).collect();
        let mut store = Store::new(device);
        // SAFETY: the plan was lowered above.
        let trust = unsafe { Trust::own() };
        let ports = Ports::new(programs, options.max_batch);
        let options = gpu::Options { trust, ..gpu::Options::default() };
        let player = Player::new(device, plan, &mut store, options)?;
        Ok(Self { store, player, ports, names, watched: Vec::new() })
    }

    fn set<T: gpu::Element>(&mut self, name: &str, data: &[T]) -> Result<(), EngineError> {
        if self.names.iter().any(|known| known == name) {
            self.store.upload(name, 0, data)?;
        }
        Ok(())
    }
}

impl Engine for GpuEngine {
    fn set_floats(&mut self, name: &str, data: &[f32]) -> Result<(), EngineError> {
        self.set(name, data)
    }

    fn set_words(&mut self, name: &str, data: &[u32]) -> Result<(), EngineError> {
        self.set(name, data)
    }

    fn set_bytes(&mut self, name: &str, data: &[u8]) -> Result<(), EngineError> {
        // Four bytes to a word of the shader.
        let mut padded = data.to_vec();
        padded.resize(data.len().next_multiple_of(4), 0);
        self.set(name, &padded)
    }

    fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, EngineError> {
        self.ports.expect_state(name, count)?;
        Ok(self.store.download(name, 0, count)?)
    }

    fn words(&mut self, name: &str, count: usize) -> Result<Vec<u32>, EngineError> {
        self.ports.expect_state(name, count)?;
        Ok(self.store.download(name, 0, count)?)
    }

    fn set_input(&mut self, program: ProgramName, name: &str, batch: u32, data: &[f32]) -> Result<(), EngineError> {
        let number = self.ports.find_input(program, name, batch, data.len())?;
        self.player.set_batch(number, batch)?;
        Ok(self.player.write_input(number, name, data)?)
    }

    fn output(&mut self, program: ProgramName, name: &str) -> Result<Vec<f32>, EngineError> {
        let number = self.ports.find_output(program, name)?;
        Ok(self.player.read_output(number, name)?)
    }

    fn has_state(&self, name: &str) -> bool {
        self.ports.has_state(name)
    }

    fn watch(&mut self, names: &[&str], longest: usize) -> Result<(), EngineError> {
        self.ports.expect_watchable(names, longest)?;
        self.player.watch(&self.store, names, longest)?;
        self.watched = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn advance(&mut self, program: ProgramName, batch: u32, most: usize) -> Result<usize, EngineError> {
        let number = self.ports.find(program)?;
        let done = self.player.advance(number, batch, most)?;
        if done > 0 {
            self.ports.ran(number);
        }
        Ok(done)
    }

    fn wait(&mut self) -> Result<(), EngineError> {
        Ok(self.player.wait()?)
    }

    fn poll(&mut self) -> Result<Vec<Snapshot>, EngineError> {
        let snapshots = self.player.snapshots()?;
        // A snapshot is bytes: each tensor is given as words and as floats.
        let snapshots = snapshots.iter().map(|snapshot| Snapshot {
            words: self.watched.iter().map(|name| (name.clone(), snapshot.values(name))).collect::<BTreeMap<_, _>>(),
            floats: self.watched.iter().map(|name| (name.clone(), snapshot.values(name))).collect(),
        });
        Ok(snapshots.collect())
    }

    fn profile(&mut self, program: ProgramName, batch: u32, runs: u64) -> Result<Option<gpu::Profile>, EngineError> {
        let number = self.ports.find(program)?;
        Ok(Some(self.player.profile(number, batch, runs)?))
    }

    fn allocated_bytes(&self) -> u64 {
        let memory = self.player.device().memory();
        memory.allocated_bytes.unwrap_or(memory.buffer_bytes)
    }
}
