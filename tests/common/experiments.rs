//! Configs run as the program runs them, in f32, on the CPU and on the tests' GPU.
#![allow(dead_code)]

use std::sync::OnceLock;

use tweedie::gpu::Choice;
use tweedie::sampler::Noise;
use tweedie::sde::Learned;
use tweedie::train::config::{Config, Overrides};
use tweedie::train::engine::Device;
use tweedie::train::experiment::{Classes, Drawing, Experiment};
use tweedie::train::likelihood::{self, Likelihood, Method, Question};
use tweedie::train::sampling::{self, Draw};

use crate::forward::{Forward, Kind};
use crate::gpu;

/// Both devices, and their names.
pub fn devices() -> [(&'static str, &'static Device); 2] {
    static GPU: OnceLock<Device> = OnceLock::new();
    static CPU: Device = Device::Cpu;
    let on_gpu = GPU.get_or_init(|| {
        let choice = match gpu::choice() {
            "gpu" => Choice::Gpu,
            name => Choice::Named(name.to_owned()),
        };
        Device::open(&choice, None).unwrap_or_else(|error| panic!("{error}")).0
    });
    [("CPU", &CPU), ("GPU", on_gpu)]
}

/// The exact scores of `data` (the text of `[data]`) under a process, with the keys `sample` of `[sample]`.
pub fn experiment(process: &Forward, data: &str, sample: &str) -> Experiment {
    // A config has a learned process for networks alone.
    let learned = match process.kind {
        Kind::Learned { log_snr_max, log_snr_min } => {
            Some(Learned { log_snr: [log_snr_max, log_snr_min], times: vec![process.t_min, process.t_max] })
        }
        _ => None,
    };
    let sde = if learned.is_some() { "[sde]\nkind = \"vp\"\n".to_owned() } else { process.toml() };
    let toml = format!("{data}\n[model]\nkind = \"exact\"\n{sde}\n[sample]\n{sample}\n");
    let config =
        Config::parse(&toml, "test.toml", &Overrides::none()).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    let mut experiment = Experiment::new(&config).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    if let Some(learned) = learned {
        experiment.sde = Box::new(learned);
    }
    experiment
}

/// Samples by the config's sampler and grid: the prior draw `noise` (`[n, D]`) and the noise of the steps, where they are given.
pub fn draw(
    experiment: &Experiment,
    device: &Device,
    n: usize,
    seed: u64,
    noise: Option<Vec<f32>>,
    step_noise: Option<Vec<f32>>,
) -> Result<Vec<f32>, String> {
    let sampler = experiment.config.sample.sampler();
    let given = if step_noise.is_some() { Noise::Given } else { Noise::Drawn };
    let drawing = Drawing { noise: given, ..experiment.drawing(&sampler) };
    let mut engine = experiment.drawing_engine(device, &drawing, n).map_err(|error| error.to_string())?;
    let draw = Draw {
        n,
        grid: experiment.config.grid(),
        seed,
        noise,
        step_noise,
        classes: Classes::Any,
        guidance: 1.0,
        known: None,
        frames: 0,
    };
    let drawn = sampling::draw(engine.as_mut(), experiment, &sampler, &draw, &mut |_, _| true);
    drawn.map(|drawn| drawn.samples).map_err(|error| error.to_string())
}

/// Log densities of `data` (`[n, D]`) along the flow.
pub fn log_densities(experiment: &Experiment, device: &Device, data: &[f32], method: Method) -> Likelihood {
    let question = Question { data, bin_width: None, classes: Classes::Any, method, repeats: 1, seed: 0 };
    let mut engine = likelihood::load(experiment, device, &question).unwrap_or_else(|error| panic!("{error}"));
    likelihood::evaluate(engine.as_mut(), experiment, &question, &mut |_, _| true)
        .unwrap_or_else(|error| panic!("{error}"))
}
