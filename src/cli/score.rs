//! `tweedie score`: evaluates the learned or exact score at given points.

use std::path::PathBuf;

use clap::ValueEnum;

use super::class::one_class;
use super::error::CliError;
use super::settings::{DeviceArguments, cache_folder, class, expect_file, expect_output, extension, note};
use super::source::{Source, read_points};
use crate::config::Overrides;
use crate::data;
use crate::engine::Device;
use crate::gpu::Choice;
use crate::number::short;
use crate::sde::Quantity;
use crate::train::draw::scoring;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;

/// Evaluate the score at given points and one noise level
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("level").required(true).args(["t", "sigma", "noise_to_signal"])))]
pub(super) struct Arguments {
    /// Folder of a run, folder of a checkpoint in it, or a config with model.kind = "exact"
    #[arg(value_name = "RUN_OR_CONFIG")]
    source: PathBuf,
    /// The points x_t, (N, D) or (N, the data's shape)
    #[arg(long, value_name = "FILE.npy")]
    x: PathBuf,
    /// Noise level as time, from 0, where the process has noise there, to its t_max
    #[arg(long, value_name = "T", value_parser = time, allow_negative_numbers = true)]
    t: Option<f64>,
    /// Noise level as the standard deviation of x_t given x_0, > 0; 0 for a run with loss.noise = "none"
    #[arg(long, value_name = "S", value_parser = sigma, allow_negative_numbers = true)]
    sigma: Option<f64>,
    /// Noise level as sigma over alpha, > 0
    #[arg(long, value_name = "R", value_parser = positive, allow_negative_numbers = true)]
    noise_to_signal: Option<f64>,
    /// What to write
    #[arg(long, value_enum, default_value = "score")]
    output: Output,
    /// Class of the points, for a network trained with model.conditional = true [default: any]
    #[arg(long, value_name = "CLASS", value_parser = class, allow_negative_numbers = true)]
    class: Option<u32>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where to write it, in the shape of --x
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
}

/// What is asked of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The gradient of the log density of x_t
    Score,
    /// The mean of the data given x_t
    Denoised,
    /// The mean of the unit noise in x_t
    Epsilon,
    /// The mean of the direction in which x_t moves as noise grows
    Velocity,
}

/// A noise level in the user's own terms; the SDE turns it into a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Time(f64),
    Sigma(f64),
    NoiseToSignal(f64),
}

/// All that scoring needs, checked.
#[derive(Debug)]
struct Request {
    source: Source,
    x: PathBuf,
    level: Level,
    output: Output,
    class: Option<u32>,
    device: Choice,
    out: PathBuf,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "must be a number > 0".to_string())
}

fn sigma(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "must be a number ≥ 0".to_string())
}

fn time(text: &str) -> Result<f64, String> {
    sigma(text).ok().filter(|time| *time <= 1.0).ok_or_else(|| "must be a number ≥ 0 and ≤ 1".to_string())
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    score(arguments.check()?)
}

impl Arguments {
    fn check(self) -> Result<Request, CliError> {
        let level = match (self.t, self.sigma, self.noise_to_signal) {
            (Some(t), ..) => Level::Time(t),
            (_, Some(sigma), _) => Level::Sigma(sigma),
            (.., Some(ratio)) => Level::NoiseToSignal(ratio),
            (None, None, None) => {
                return Err(CliError::bad_input("a noise level is missing: --t, --sigma or --noise-to-signal"));
            }
        };
        extension("--x", &self.x, &["npy"])?;
        expect_file("--x", &self.x)?;
        extension("--out", &self.out, &["npy"])?;
        expect_output("--out", &self.out, &[("--x", Some(&self.x))])?;
        let source = Source::open(&self.source, &Overrides::none())?;
        let (output, class, device) = (self.output, self.class, self.device.device);
        Ok(Request { source, x: self.x, level, output, class, device, out: self.out })
    }
}

fn score(request: Request) -> Result<(), CliError> {
    let Request { source, x, level, output, class, device, out } = request;
    let experiment = source.experiment()?;
    let classes = one_class(class, &experiment)?;
    let points = read_points("--x", &x, &experiment)?;
    let sde = experiment.sde();
    let t = match level {
        _ if experiment.is_without_noise() => without_noise(&experiment, level, output),
        Level::Sigma(0.0) => Err("--sigma 0: must be above 0, but for a run with loss.noise = \"none\"".to_owned()),
        Level::Time(t) if t > sde.t_max() => Err(format!(
            "--t {t}: must be at most {}, where the {} process of this model ends",
            sde.t_max(),
            sde.name()
        )),
        Level::Time(t) if sde.at(t).sigma < f64::from(f32::MIN_POSITIVE) => Err(format!(
            "--t {t}: must be larger: the {} process of this model has sigma = {} there, no noise whose score there could be",
            sde.name(),
            short(sde.at(t).sigma, 4)
        )),
        Level::Time(t) => Ok(t),
        Level::Sigma(sigma) => sde.t_of_sigma(sigma).map_err(|error| format!("--sigma {sigma}: {}", error.range())),
        Level::NoiseToSignal(ratio) => {
            sde.t_of_noise_to_signal(ratio).map_err(|error| format!("--noise-to-signal {ratio}: {}", error.range()))
        }
    };
    let t = t.map_err(CliError::bad_input)?;
    if output == Output::Epsilon && sde.at(t).alpha == 0.0 {
        return Err(CliError::bad_input(format!(
            "--output epsilon: at t = {t} nothing of the data is left in the {} process, and epsilon is x itself, whatever \
             the network; must be denoised, velocity or score",
            sde.name()
        )));
    }
    if experiment.is_trainable() && !experiment.is_without_noise() && t < sde.t_min() {
        note(format_args!("t = {} is below sde.t_min = {}: no such noise was trained", short(t, 6), sde.t_min()));
    }
    let (device, reason) = Device::open(&device, cache_folder().as_deref()).map_err(TrainError::from)?;
    let n = points.values.len() / experiment.dims();
    let mut engine = experiment.scoring_engine(&device, n).map_err(TrainError::from)?;
    source.load(&experiment, engine.as_mut())?;
    note(format_args!("device: {reason}"));
    let quantity = match output {
        Output::Score => Quantity::Score,
        Output::Denoised => Quantity::Denoised,
        Output::Epsilon => Quantity::Epsilon,
        Output::Velocity => Quantity::Velocity,
    };
    let values = scoring::evaluate(engine.as_mut(), &experiment, &points.values, classes, t, quantity)?;
    data::write_npy(&out, &points.shape, &values)?;
    let at = experiment.sde().at(t);
    let level = match experiment.is_without_noise() {
        true => "without noise".to_owned(),
        false => format!(
            "at t = {}, sigma = {}, noise-to-signal = {}",
            short(t, 6),
            short(at.sigma, 6),
            short(at.noise_to_signal(), 6)
        ),
    };
    note(format_args!("{}: {} of {n} points {level}, from {}", out.display(), quantity.name(), source.describe()));
    Ok(())
}

/// The time to ask a network at that knows the score of the data alone, if that is what is asked for.
fn without_noise(experiment: &Experiment, level: Level, output: Output) -> Result<f64, String> {
    let why = "was trained with loss.noise = \"none\" and knows";
    let asked = match level {
        Level::Sigma(0.0) if output == Output::Score => return Ok(experiment.time_without_noise()),
        Level::Sigma(0.0) => return Err(format!("--output: this network {why} nothing but the score; leave it out")),
        Level::Sigma(sigma) => format!("--sigma {sigma}"),
        Level::Time(t) => format!("--t {t}"),
        Level::NoiseToSignal(ratio) => format!("--noise-to-signal {ratio}"),
    };
    Err(format!("{asked}: this network {why} the score of the data alone: must be --sigma 0"))
}
