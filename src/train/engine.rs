//! One face for both devices: programs over a store, run many times.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::gpu::{self, GpuError};
use crate::plan::lower::{self, Limits, LowerError, Options, Source};

/// What a run on either device can fail with.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The graph does not fit the device.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The GPU.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The CPU executor.
    #[error(transparent)]
    Cpu(#[from] cpu::CpuError),
}

/// Where to compute.
pub enum Device {
    /// The CPU executor in f32.
    Cpu,
    /// A GPU.
    Gpu(gpu::Device),
}

impl Device {
    /// What `choice` asks for, and one line that says why. `cache` is a folder for compiled pipelines.
    ///
    /// # Errors
    /// When a GPU was asked for that is not there; the message lists what is.
    pub fn open(choice: &gpu::Choice, cache: Option<&Path>) -> Result<(Self, String), EngineError> {
        if *choice == gpu::Choice::Cpu {
            return Ok((Self::Cpu, "CPU: asked for".to_owned()));
        }
        let options = gpu::OpenOptions { cache_dir: cache.map(Path::to_owned), ..gpu::OpenOptions::default() };
        let (device, reason) = gpu::Device::choose(choice, &options)?;
        Ok((device.map_or(Self::Cpu, Self::Gpu), reason))
    }

    /// What the device allows a plan; the CPU allows everything.
    pub fn lower_options(&self, max_batch: u32) -> Options {
        match self {
            Self::Cpu => Options { max_batch, limits: Limits::BASELINE, software: false },
            Self::Gpu(device) => {
                let limits = device.limits();
                let limits = Limits {
                    // Every kernel has a form for eight buffers; more would only make more variants.
                    storage_buffers: Limits::BASELINE.storage_buffers,
                    binding_bytes: limits.binding_bytes,
                    buffer_bytes: limits.buffer_bytes,
                    workgroups: limits.workgroups,
                };
                Options { max_batch, limits, software: device.report().is_software() }
            }
        }
    }
}

/// What the store held when some step had ended.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Content of the watched tensors that hold words.
    pub words: BTreeMap<String, Vec<u32>>,
    /// Content of the watched tensors that hold floats.
    pub floats: BTreeMap<String, Vec<f32>>,
}

/// Programs on a device, over one store.
pub struct Engine(Kind);

enum Kind {
    Cpu(Box<CpuEngine>),
    Gpu(Box<GpuEngine>),
}

struct CpuEngine {
    store: cpu::Store<f32>,
    programs: BTreeMap<String, CpuProgram>,
    watched: Vec<String>,
    longest_news: usize,
    news: Vec<News>,
}

struct CpuProgram {
    program: cpu::Program<f32>,
    inputs: BTreeMap<String, Vec<f32>>,
}

struct GpuEngine {
    store: gpu::Store,
    player: gpu::Player,
    /// Elements of every store tensor for the largest batch.
    lengths: BTreeMap<String, usize>,
    watched: Vec<String>,
}

/// The CPU device comes back about this often, so that progress can be shown and Ctrl-C be heard.
const CPU_SLICE: Duration = Duration::from_millis(100);

impl Engine {
    /// Loads programs onto a device.
    ///
    /// # Errors
    /// When the programs do not fit the device.
    pub fn new(device: &Device, sources: &[Source], max_batch: u32) -> Result<Self, EngineError> {
        Ok(Self(match device {
            Device::Cpu => {
                let programs = sources.iter().map(|source| {
                    let program = cpu::Program::new(source.graph, source.parameters_from);
                    (source.name.to_owned(), CpuProgram { program, inputs: BTreeMap::new() })
                });
                Kind::Cpu(Box::new(CpuEngine {
                    store: cpu::Store::new(),
                    programs: programs.collect(),
                    watched: Vec::new(),
                    longest_news: 1,
                    news: Vec::new(),
                }))
            }
            Device::Gpu(gpu) => {
                let plan = lower::lower(sources, &device.lower_options(max_batch))?;
                let lengths =
                    plan.store.iter().map(|port| (port.name.clone(), port.elements.at(u64::from(max_batch)) as usize));
                let lengths = lengths.collect();
                let mut store = crate::gpu::Store::new(gpu);
                let options = crate::gpu::Options { trust: crate::gpu::Trust::Own, ..Default::default() };
                let player = crate::gpu::Player::new(gpu, plan, &mut store, options)?;
                Kind::Gpu(Box::new(GpuEngine { store, player, lengths, watched: Vec::new() }))
            }
        }))
    }

    /// Puts floats into the store; names that no program uses are ignored.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn set_floats(&mut self, name: &str, data: &[f32]) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => engine.store.upload(name, data),
            Kind::Gpu(engine) if engine.lengths.contains_key(name) => engine.store.upload(name, 0, data)?,
            Kind::Gpu(_) => {}
        }
        Ok(())
    }

    /// Puts words into the store: a clock is `[step, sample_base, seed low word, seed high word]`.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn set_words(&mut self, name: &str, data: &[u32]) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => engine.store.upload_words(name, data),
            Kind::Gpu(engine) if engine.lengths.contains_key(name) => engine.store.upload(name, 0, data)?,
            Kind::Gpu(_) => {}
        }
        Ok(())
    }

    /// Puts bytes into the store: a data set.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn set_bytes(&mut self, name: &str, data: &[u8]) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => engine.store.upload_bytes(name, data),
            Kind::Gpu(engine) if engine.lengths.contains_key(name) => {
                let mut padded = data.to_vec();
                padded.resize(data.len().next_multiple_of(4), 0);
                let words: Vec<u32> = bytemuck::pod_collect_to_vec(&padded);
                engine.store.upload(name, 0, &words)?;
            }
            Kind::Gpu(_) => {}
        }
        Ok(())
    }

    /// The first `count` floats of a store tensor; waits for what is under way.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, EngineError> {
        Ok(match &mut self.0 {
            Kind::Cpu(engine) => {
                engine.store.get(name).map(|data| data[..count.min(data.len())].to_vec()).unwrap_or_default()
            }
            Kind::Gpu(engine) => engine.store.download(name, 0, count)?,
        })
    }

    /// The first `count` words of a store tensor; waits for what is under way.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn words(&mut self, name: &str, count: usize) -> Result<Vec<u32>, EngineError> {
        Ok(match &mut self.0 {
            Kind::Cpu(engine) => {
                engine.store.words(name).map(|data| data[..count.min(data.len())].to_vec()).unwrap_or_default()
            }
            Kind::Gpu(engine) => engine.store.download(name, 0, count)?,
        })
    }

    /// Writes an input of a program, for runs of `batch` samples.
    ///
    /// # Errors
    /// When there is no such input or its length is another.
    pub fn set_input(&mut self, program: &str, name: &str, batch: u32, data: &[f32]) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => {
                engine.program(program).inputs.insert(name.to_owned(), data.to_vec());
            }
            Kind::Gpu(engine) => {
                let number = engine.player.program(program)?;
                engine.player.set_batch(number, batch)?;
                engine.player.write_input(number, name, data)?;
            }
        }
        Ok(())
    }

    /// An output of a program's last run; waits for it.
    ///
    /// # Errors
    /// When there is no such output.
    pub fn output(&mut self, program: &str, name: &str) -> Result<Vec<f32>, EngineError> {
        Ok(match &mut self.0 {
            Kind::Cpu(engine) => engine.program(program).program.output(name).to_vec(),
            Kind::Gpu(engine) => {
                let number = engine.player.program(program)?;
                engine.player.read_output(number, name)?
            }
        })
    }

    /// From now on [`news`](Self::news) brings these store tensors, at least every `longest` runs.
    ///
    /// # Errors
    /// When a tensor is not in the store.
    pub fn watch(&mut self, names: &[&str], longest: usize) -> Result<(), EngineError> {
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        match &mut self.0 {
            Kind::Cpu(engine) => (engine.watched, engine.longest_news) = (owned, longest),
            Kind::Gpu(engine) => {
                engine.player.watch(&engine.store, names, longest)?;
                engine.watched = owned;
            }
        }
        Ok(())
    }

    /// Runs a program between once and `most` times: about a tenth of a second of work. On a GPU this only submits it.
    /// Returns how often.
    ///
    /// # Errors
    /// When an input is missing, or the device is lost.
    pub fn advance(&mut self, program: &str, batch: u32, most: usize) -> Result<usize, EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => engine.advance(program, batch as usize, most),
            Kind::Gpu(engine) => {
                let number = engine.player.program(program)?;
                Ok(engine.player.advance(number, batch, most)?)
            }
        }
    }

    /// Runs a program `times` times, and waits.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn run(&mut self, program: &str, batch: u32, times: usize) -> Result<(), EngineError> {
        let mut left = times;
        while left > 0 {
            left -= self.advance(program, batch, left)?;
        }
        self.wait()
    }

    /// Waits for everything that was submitted.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn wait(&mut self) -> Result<(), EngineError> {
        if let Kind::Gpu(engine) = &mut self.0 {
            engine.player.wait()?;
        }
        Ok(())
    }

    /// What has arrived of the watched tensors, oldest first. Does not wait.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn news(&mut self) -> Result<Vec<News>, EngineError> {
        match &mut self.0 {
            Kind::Cpu(engine) => Ok(std::mem::take(&mut engine.news)),
            Kind::Gpu(engine) => {
                let snapshots = engine.player.snapshots()?;
                Ok(snapshots
                    .into_iter()
                    .map(|snapshot| News {
                        words: engine.watched.iter().map(|name| (name.clone(), snapshot.values(name))).collect(),
                        floats: engine.watched.iter().map(|name| (name.clone(), snapshot.values(name))).collect(),
                    })
                    .collect())
            }
        }
    }

    /// Time per kernel of a program, if the device is a GPU with timestamps.
    ///
    /// # Errors
    /// When the device cannot measure.
    pub fn profile(&mut self, program: &str, batch: u32, runs: u64) -> Result<Option<gpu::Profile>, EngineError> {
        match &mut self.0 {
            Kind::Cpu(_) => Ok(None),
            Kind::Gpu(engine) => {
                let number = engine.player.program(program)?;
                Ok(Some(engine.player.profile(number, batch, runs)?))
            }
        }
    }

    /// Bytes that the device has allocated for this process.
    pub fn allocated_bytes(&self) -> u64 {
        match &self.0 {
            Kind::Cpu(engine) => engine.programs.values().map(|program| program.program.buffer_bytes() as u64).sum(),
            Kind::Gpu(engine) => {
                let memory = engine.player.device().memory();
                memory.allocated_bytes.unwrap_or(memory.buffer_bytes)
            }
        }
    }
}

impl CpuEngine {
    fn program(&mut self, name: &str) -> &mut CpuProgram {
        self.programs.get_mut(name).unwrap_or_else(|| panic!("no program is called {name}"))
    }

    fn advance(&mut self, name: &str, batch: usize, most: usize) -> Result<usize, EngineError> {
        let started = Instant::now();
        let watching = !self.watched.is_empty();
        let most = if watching { most.min(self.longest_news) } else { most };
        let program = self.programs.get_mut(name).unwrap_or_else(|| panic!("no program is called {name}"));
        let inputs: Vec<(&str, &[f32])> =
            program.inputs.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
        let mut done = 0;
        while done < most && (done == 0 || started.elapsed() < CPU_SLICE) {
            program.program.run(&mut self.store, &inputs, batch)?;
            done += 1;
        }
        if watching {
            let mut news = News { words: BTreeMap::new(), floats: BTreeMap::new() };
            for name in &self.watched {
                if let Some(words) = self.store.words(name) {
                    news.words.insert(name.clone(), words.to_vec());
                } else if let Some(floats) = self.store.get(name) {
                    news.floats.insert(name.clone(), floats.to_vec());
                }
            }
            self.news.push(news);
        }
        Ok(done)
    }
}
