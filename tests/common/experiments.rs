//! Configs run as the program runs them, in f32, on the CPU and on the tests' GPU.

use tweedie::config::{Config, Overrides};
use tweedie::engine::{Device, Engine};
use tweedie::gpu::Choice;
use tweedie::sampler::Noise;
use tweedie::sde::{EvenLogSnr, Quantity};
use tweedie::train::draw::likelihood::{self, Likelihood, Method, Question};
use tweedie::train::draw::request::SampleRequest;
use tweedie::train::draw::sampling;
use tweedie::train::draw::scoring;
use tweedie::train::experiment::{Classes, Drawing, Experiment};

use crate::common::forward::{Forward, Kind};
use crate::common::gpu;
use crate::common::pool::{Lease, Pool};

/// Both devices, and their names.
pub fn devices() -> [(&'static str, &'static Device); 2] {
    static CPU: Device = Device::Cpu;
    static GPUS: Pool<Device> = Pool::new();
    fn on_gpu() -> Device {
        let choice = match gpu::choice() {
            "gpu" => Choice::Gpu,
            name => Choice::Named(name.to_owned()),
        };
        Device::open(&choice, None).unwrap_or_else(|error| panic!("{error}")).0
    }
    thread_local!(static LEASE: Lease<Device> = GPUS.lease(on_gpu));
    [("CPU", &CPU), ("GPU", LEASE.with(|lease| lease.thing))]
}

/// The exact scores of `data` (the text of `[data]`) under a process, with the keys `sample` of `[sample]`.
pub fn experiment(process: &Forward, data: &str, sample: &str) -> Experiment {
    // A config has a learned process for networks alone.
    let learned = match process.kind {
        Kind::Learned { log_snr_max, log_snr_min } => {
            Some(EvenLogSnr { log_snr: [log_snr_max, log_snr_min], times: vec![process.t_min, process.t_max] })
        }
        _ => None,
    };
    let sde = if learned.is_some() { "[sde]\nkind = \"vp\"\n".to_owned() } else { process.toml() };
    let toml = format!("{data}\n[model]\nkind = \"exact\"\n{sde}\n[sample]\n{sample}\n");
    let config =
        Config::parse(&toml, "test.toml", &Overrides::none()).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    let experiment = Experiment::new(&config).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    match learned {
        Some(learned) => experiment.with_sde(Box::new(learned)).unwrap_or_else(|error| panic!("{error}\n{toml}")),
        None => experiment,
    }
}

/// Exact samples on a device by one sampler, on any grid.
pub struct Samples<'a> {
    process: &'a Forward,
    data: &'a str,
    engine: Box<dyn Engine>,
    given: bool,
    n: usize,
}

impl<'a> Samples<'a> {
    /// `n` at a time by the sampler and options that `sample` (keys of `[sample]`) names, for grids of no more steps
    /// than there. `given`: the noise of the steps is given.
    pub fn new(process: &'a Forward, data: &'a str, sample: &str, device: &Device, n: usize, given: bool) -> Self {
        let experiment = experiment(process, data, sample);
        let sampler = experiment.config().sample.sampler();
        let noise = if given { Noise::Given } else { Noise::Drawn };
        let drawing = Drawing { noise, ..experiment.drawing(&sampler) };
        let engine =
            experiment.drawing_engine(device, &drawing, experiment.chunk(n)).unwrap_or_else(|error| panic!("{error}"));
        Self { process, data, engine, given, n }
    }

    /// By the same sampler with the grid of `sample`: `[n, D]`. `prior` (`[n, D]`) are standard normal numbers in the
    /// place of those of `seed`, `steps` those of the steps, `[rows, draws, n, D]`, made for so many rows and draws.
    pub fn draw(
        &mut self,
        sample: &str,
        seed: u64,
        prior: Option<&[f32]>,
        steps: impl FnOnce(usize, usize) -> Vec<f32>,
    ) -> Result<Vec<f32>, String> {
        let experiment = experiment(self.process, self.data, sample);
        let sampler = experiment.config().sample.sampler();
        let grid = experiment.config().grid();
        let draw = SampleRequest {
            n: self.n,
            grid,
            seed,
            noise: prior.map(<[f32]>::to_vec),
            step_noise: self.given.then(|| steps(sampler.rows(&grid), sampler.draws())),
            classes: Classes::Any,
            guidance: 1.0,
            known: None,
            frames: 0,
        };
        let drawn = sampling::draw(self.engine.as_mut(), &experiment, &sampler, &draw, &mut |_, _| true);
        drawn.map(|drawn| drawn.samples).map_err(|error| error.to_string())
    }
}

/// Log densities of `data` (`[n, D]`) along the flow.
pub fn log_densities(experiment: &Experiment, device: &Device, data: &[f32], method: Method) -> Likelihood {
    let question = Question { data, bin_width: None, classes: Classes::Any, method, repeats: 1, seed: 0 };
    let mut engine = likelihood::load(experiment, device, &question).unwrap_or_else(|error| panic!("{error}"));
    likelihood::evaluate(engine.as_mut(), experiment, &question, &mut |_, _| true)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Exact scores on a device.
pub struct Scores {
    experiment: Experiment,
    engine: Box<dyn Engine>,
}

impl Scores {
    /// Of `data` under a process, for `n` points at a time.
    pub fn new(process: &Forward, data: &str, device: &Device, n: usize) -> Self {
        let experiment = experiment(process, data, "");
        let engine = experiment.scoring_engine(device, n).unwrap_or_else(|error| panic!("{error}"));
        Self { experiment, engine }
    }

    /// A quantity at the points `x` (`[n, D]`) and time `t`.
    pub fn at(&mut self, x: &[f32], t: f64, quantity: Quantity) -> Result<Vec<f32>, String> {
        let found = scoring::evaluate(self.engine.as_mut(), &self.experiment, x, Classes::Any, t, quantity);
        found.map_err(|error| error.to_string())
    }
}
