//! `tweedie likelihood`: how probable a model holds data to be.

use std::path::PathBuf;

use clap::ValueEnum;

use super::CliError;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::settings::{
    DeviceArguments, cache_folder, count, expect_file, expect_folder_of, extension, note, print, seed,
};
use super::source::{Source, read_points};
use crate::data;
use crate::likelihood::Divergence;
use crate::loss::Projection;
use crate::number::short;
use crate::sampler::dormand_prince::DormandPrince;
use crate::train::config::Overrides;
use crate::train::engine::Device;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::likelihood::{self, Likelihood, Method, Question};

/// Evaluate the likelihood of data: bits per dimension and nats
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder of a run, folder of a checkpoint in it, or a config with model.kind = "exact"
    #[arg(value_name = "RUN_OR_CONFIG")]
    source: PathBuf,
    /// test (what training never saw), train, or a file of samples, (N, D) or (N, the data's shape)
    #[arg(long, default_value = "test", value_name = "test|train|FILE.npy")]
    data: PathBuf,
    /// Take the first N samples only
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    n: Option<u64>,
    /// The density along the probability flow, or the variational bound of the reverse SDE
    #[arg(long, value_enum, default_value = "flow")]
    method: MethodName,
    /// The divergence of the flow: exact, or along a random direction
    #[arg(long, value_enum, default_value = "rademacher")]
    divergence: DivergenceName,
    /// Of the flow's solver, absolute and relative
    #[arg(long, value_name = "X", default_value = "1e-5", value_parser = tolerance, allow_negative_numbers = true)]
    tolerance: f64,
    /// Noise levels at which the bound looks at each sample
    #[arg(long, value_name = "N", default_value = "64", value_parser = small_count, allow_negative_numbers = true)]
    times: u32,
    /// Repeat with other random numbers, and take the mean
    #[arg(long, value_name = "N", default_value = "1", value_parser = small_count, allow_negative_numbers = true)]
    repeats: u32,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value = "0", value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where to write the log density of each sample in nats, (N,)
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Where to write what the flow makes of each sample, as sample --noise takes it to lead it back by rk45
    #[arg(long, value_name = "FILE.npy")]
    encoded: Option<PathBuf>,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// The density along the probability flow
    Flow,
    /// The variational bound
    Bound,
}

/// How the divergence is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DivergenceName {
    /// By all derivatives: time and memory grow with the number of coordinates
    Exact,
    /// Along coordinates of 1 or -1
    Rademacher,
    /// Along normal coordinates
    Gaussian,
    /// Along a direction of fixed length
    Sphere,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1e-6..=0.1).contains(number));
    number.ok_or_else(|| "must be a number ≥ 1e-6 and ≤ 0.1".to_string())
}

fn small_count(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| (1..=100_000).contains(number));
    number.ok_or_else(|| "must be a whole number ≥ 1 and ≤ 100000".to_string())
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    for (flag, out) in [("--out", &arguments.out), ("--encoded", &arguments.encoded)] {
        let Some(out) = out else { continue };
        extension(flag, out, &["npy"])?;
        expect_folder_of(flag, out)?;
    }
    if let (Some(encoded), MethodName::Bound) = (&arguments.encoded, arguments.method) {
        return Err(CliError::bad_input(format!(
            "--encoded {}: must be left out with --method bound, which follows no flow",
            encoded.display()
        )));
    }
    let name = arguments.data.to_string_lossy().into_owned();
    if !matches!(name.as_str(), "test" | "train") {
        if arguments.data.extension().is_none_or(|extension| extension != "npy") {
            return Err(CliError::bad_input(format!("--data {name}: must be test, train or a .npy file")));
        }
        expect_file("--data", &arguments.data)?;
    }
    let source = Source::open(&arguments.source, &Overrides::none())?;
    let experiment = Experiment::new(source.config())?;
    if experiment.is_without_noise() {
        return Err(CliError::bad_input(format!(
            "{}: trained with loss.noise = \"none\": a likelihood needs the score at every noise level",
            source.describe()
        )));
    }
    let mut values = match name.as_str() {
        "test" => experiment.held_out.values.to_f32(),
        "train" => experiment.train.values.to_f32(),
        _ => read_points("--data", &arguments.data, &experiment)?.values,
    };
    let dims = experiment.dims();
    if let Some(n) = arguments.n.and_then(|n| usize::try_from(n).ok()) {
        values.truncate(n.saturating_mul(dims));
    }
    let levels = experiment.train.levels;
    let method = arguments.method(&experiment)?;
    let question = Question {
        data: &values,
        bin_width: experiment.bin_width(),
        method,
        repeats: arguments.repeats,
        seed: arguments.seed,
    };
    let (device, reason) =
        Device::open(&arguments.device.device, cache_folder().as_deref()).map_err(TrainError::from)?;
    let experiment = source.restore(experiment);
    let mut engine = likelihood::load(&experiment, &device, &question)?;
    source.load(&experiment, engine.as_mut())?;
    note(format_args!("device: {reason}"));
    let interrupt = Interrupt::install()?;
    let mut bar: Option<Progress> = None;
    let answer = likelihood::evaluate(engine.as_mut(), &experiment, &question, &mut |done, total| {
        bar.get_or_insert_with(|| Progress::new("likelihood", 0, total)).update(done, None);
        !interrupt.requested()
    })?;
    if let Some(bar) = bar {
        bar.finish();
    }
    if let Some(out) = &arguments.out {
        let nats: Vec<f32> = answer.log_density.iter().map(|nats| *nats as f32).collect();
        data::write_npy(out, &[nats.len()], &nats)?;
    }
    if let Some(encoded) = &arguments.encoded {
        let shape = [vec![answer.log_density.len()], experiment.train.shape.clone()].concat();
        data::write_npy(encoded, &shape, &answer.encoded)?;
    }
    print(&report(&answer, &question, dims, levels, &name, &source.describe()))
}

impl Arguments {
    fn method(&self, experiment: &Experiment) -> Result<Method, CliError> {
        let divergence = match self.divergence {
            DivergenceName::Exact => Divergence::Exact,
            DivergenceName::Rademacher => Divergence::Hutchinson(Projection::Rademacher),
            DivergenceName::Gaussian => Divergence::Hutchinson(Projection::Gaussian),
            DivergenceName::Sphere => Divergence::Hutchinson(Projection::Sphere),
        };
        match self.method {
            MethodName::Flow => {
                let solver = DormandPrince { absolute: self.tolerance, relative: self.tolerance };
                Ok(Method::Flow { divergence, solver })
            }
            MethodName::Bound if experiment.sde.loses_all_signal() => Err(CliError::bad_input(format!(
                "--method bound: needs a process that keeps some signal, and {} has none at t = {}; must be flow",
                experiment.sde.name(),
                experiment.sde.t_max()
            ))),
            MethodName::Bound => Ok(Method::Bound { times: self.times as usize }),
        }
    }
}

/// What is printed.
fn report(
    answer: &Likelihood,
    question: &Question,
    dims: usize,
    levels: Option<u32>,
    name: &str,
    source: &str,
) -> String {
    let plus = |(mean, error): (f64, f64)| format!("{mean:.4} ± {error:.4}");
    let bits = plus(answer.bits_per_dimension(dims, question.bin_width));
    let nats = plus(Likelihood::mean(&answer.log_density));
    let at_most = if matches!(question.method, Method::Bound { .. }) { ["at most ", "at least "] } else { ["", ""] };
    let of = levels.map_or_else(|| "continuous values".to_string(), |levels| format!("{levels} levels"));
    let (mean, most) = answer.evaluations;
    format!(
        "{name}, {} samples, {source}\n\
         {}{bits} bits per dimension ({of})\n\
         {}{nats} nats of log density\n\
         evaluations of the model: {} each, at most {}\n",
        answer.log_density.len(),
        at_most[0],
        at_most[1],
        short(mean, 4),
        short(most, 6),
    )
}
