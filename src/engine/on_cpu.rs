//! The engine of the CPU device.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Engine, EngineError, News};
use crate::cpu::{CpuError, Program, Store};
use crate::gpu::Profile;
use crate::lower::Source;

/// It comes back about this often, so that progress can be shown and Ctrl-C be heard.
const SLICE: Duration = Duration::from_millis(100);

pub(super) struct CpuEngine {
    store: Store<f32>,
    programs: BTreeMap<String, Loaded>,
    watched: Vec<String>,
    longest: usize,
    news: Vec<News>,
}

struct Loaded {
    program: Program<f32>,
    inputs: BTreeMap<String, Vec<f32>>,
}

impl CpuEngine {
    /// Loads programs that run at most `max_batch` samples, if there is memory for the largest of them.
    pub fn new(sources: &[Source], max_batch: u32) -> Result<Self, EngineError> {
        let load = |source: &Source| {
            let program = Program::new(source.graph, source.parameters_from);
            (source.name.to_owned(), Loaded { program, inputs: BTreeMap::new() })
        };
        let programs: BTreeMap<String, Loaded> = sources.iter().map(load).collect();
        let batch = max_batch as usize;
        let bytes = programs.values().map(|loaded| loaded.program.planned_bytes(batch)).max().unwrap_or(0);
        if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
            return Err(CpuError::OutOfMemory { bytes, batch }.into());
        }
        Ok(Self { store: Store::new(), programs, watched: Vec::new(), longest: usize::MAX, news: Vec::new() })
    }

    fn program(&mut self, name: &str) -> &mut Loaded {
        self.programs.get_mut(name).unwrap_or_else(|| panic!("no program is called {name}"))
    }

    fn take_news(&mut self) {
        let mut news = News::default();
        for name in &self.watched {
            if let Some(words) = self.store.words(name) {
                news.words.insert(name.clone(), words.to_vec());
            } else if let Some(floats) = self.store.get(name) {
                news.floats.insert(name.clone(), floats.to_vec());
            }
        }
        self.news.push(news);
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
        let missing = || CpuError::MissingState { name: name.to_owned() };
        let data = self.store.get(name).ok_or_else(missing)?;
        Ok(data[..count.min(data.len())].to_vec())
    }

    fn words(&mut self, name: &str, count: usize) -> Result<Vec<u32>, EngineError> {
        let missing = || CpuError::MissingState { name: name.to_owned() };
        let data = self.store.words(name).ok_or_else(missing)?;
        Ok(data[..count.min(data.len())].to_vec())
    }

    fn set_input(&mut self, program: &str, name: &str, _batch: u32, data: &[f32]) -> Result<(), EngineError> {
        self.program(program).inputs.insert(name.to_owned(), data.to_vec());
        Ok(())
    }

    fn output(&mut self, program: &str, name: &str) -> Result<Vec<f32>, EngineError> {
        Ok(self.program(program).program.output(name).to_vec())
    }

    fn watch(&mut self, names: &[&str], longest: usize) -> Result<(), EngineError> {
        self.watched = names.iter().map(|name| (*name).to_owned()).collect();
        self.longest = longest;
        Ok(())
    }

    fn advance(&mut self, program: &str, batch: u32, most: usize) -> Result<usize, EngineError> {
        let started = Instant::now();
        let watching = !self.watched.is_empty();
        let most = if watching { most.min(self.longest) } else { most };
        let loaded = self.programs.get_mut(program).unwrap_or_else(|| panic!("no program is called {program}"));
        let inputs: Vec<(&str, &[f32])> =
            loaded.inputs.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let mut done = 0;
        while done < most && (done == 0 || started.elapsed() < SLICE) {
            loaded.program.run(&mut self.store, &inputs, batch as usize)?;
            done += 1;
        }
        if watching {
            self.take_news();
        }
        Ok(done)
    }

    fn wait(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn news(&mut self) -> Result<Vec<News>, EngineError> {
        Ok(std::mem::take(&mut self.news))
    }

    fn profile(&mut self, _program: &str, _batch: u32, _runs: u64) -> Result<Option<Profile>, EngineError> {
        Ok(None)
    }

    fn allocated_bytes(&self) -> u64 {
        self.programs.values().map(|loaded| loaded.program.buffer_bytes() as u64).sum()
    }
}
