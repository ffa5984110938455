//! `tweedie likelihood`: how probable a model holds data to be.

use std::path::PathBuf;

use clap::ValueEnum;

use super::class::{ClassChoice, chosen_classes, class_choice};
use super::error::CliError;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::settings::{DeviceArguments, cache_folder, count, expect_file, expect_output, extension, note, print, seed};
use super::source::{Source, read_points};
use crate::config::Overrides;
use crate::data;
use crate::engine::Device;
use crate::likelihood::Divergence;
use crate::loss::Projection;
use crate::number::short;
use crate::sampler::dormand_prince::DormandPrince;
use crate::train::draw::likelihood::{self, Likelihood, Mean, Method, Question};
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment};

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
    /// The divergence of the flow: exact, or along a random direction [default: rademacher]
    #[arg(long, value_enum)]
    divergence: Option<DivergenceName>,
    /// Of the flow's solver, absolute and relative [default: 1e-5]
    #[arg(long, value_name = "X", value_parser = tolerance, allow_negative_numbers = true)]
    tolerance: Option<f64>,
    /// Noise levels at which the bound looks at each sample [default: 64]
    #[arg(long, value_name = "N", value_parser = small_count, allow_negative_numbers = true)]
    times: Option<u32>,
    /// Class that the network is told, if it was trained with model.conditional = true: each sample's own, any, or a number
    /// [default: own for test and train, any for a file]
    #[arg(long, value_name = "own|any|CLASS", value_parser = class_choice, allow_negative_numbers = true)]
    class: Option<ClassChoice>,
    /// Repeat with other random numbers, and take the mean [default: 1]
    #[arg(long, value_name = "N", value_parser = small_count, allow_negative_numbers = true)]
    repeats: Option<u32>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where to write the log density of each sample in nats, (N,); NaN where there is none
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
        let other = if flag == "--encoded" { ("--out", arguments.out.as_deref()) } else { ("--data", None) };
        expect_output(flag, out, &[("--data", Some(&arguments.data)), other])?;
    }
    let name = arguments.data.to_string_lossy().into_owned();
    if !matches!(name.as_str(), "test" | "train") {
        if arguments.data.extension().is_none_or(|extension| extension != "npy") {
            return Err(CliError::bad_input(format!("--data {name}: must be test, train or a .npy file")));
        }
        expect_file("--data", &arguments.data)?;
    }
    let source = Source::open(&arguments.source, &Overrides::none())?;
    let experiment = source.experiment()?;
    if experiment.is_without_noise() {
        return Err(CliError::bad_input(format!(
            "{}: trained with loss.noise = \"none\": a likelihood needs the score at every noise level",
            source.describe()
        )));
    }
    if let Some(line) = arguments.idle_flag(&experiment) {
        return Err(CliError::bad_input(line));
    }
    let (values, labels) = match name.as_str() {
        "test" => (experiment.held_out().values.to_f32(), experiment.held_out().labels.as_deref()),
        "train" => (experiment.train_data().values.to_f32(), experiment.train_data().labels.as_deref()),
        _ => (read_points("--data", &arguments.data, &experiment)?.values, None),
    };
    if let Some(levels) = experiment.train_data().levels {
        check_levels(&name, &values, levels)?;
    }
    let dims = experiment.dims();
    let n = arguments.n.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX).min(values.len() / dims);
    let question = Question {
        data: &values[..n * dims],
        bin_width: experiment.bin_width(),
        classes: chosen_classes(arguments.class, &name, labels.map(|labels| &labels[..n]), &experiment)?,
        method: arguments.method(),
        repeats: arguments.repeats.unwrap_or(1),
        seed: arguments.seed.unwrap_or(0),
    };
    question.check(&experiment)?;
    let (device, reason) =
        Device::open(&arguments.device.device, cache_folder().as_deref()).map_err(TrainError::from)?;
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
    let mut unknown = String::new();
    if let Some(out) = &arguments.out {
        let nats: Vec<f32> = answer.log_density.iter().map(|nats| *nats as f32).collect();
        data::write_npy(out, &[nats.len()], &nats)?;
        unknown = format!(", NaN in {}", out.display());
    }
    if let Some(encoded) = &arguments.encoded {
        let shape = [vec![n], experiment.train_data().shape.clone()].concat();
        data::write_npy(encoded, &shape, &answer.encoded)?;
    }
    print(&report(&answer, &question, experiment.train_data().levels, &name, &source.describe()))?;
    let known = answer.known();
    match answer.faults.first() {
        _ if answer.stopped => Err(CliError::Interrupted(format!(
            "stopped: {known} of {n} samples are done, the others are without a likelihood{unknown}"
        ))),
        Some(fault) => {
            Err(CliError::failed(format!("{fault}; {} of {n} samples are without a likelihood{unknown}", n - known)))
        }
        None => Ok(()),
    }
}

/// Values that stand for intervals have to lie on the levels in their middle, from -1 to 1.
fn check_levels(name: &str, values: &[f32], levels: u32) -> Result<(), CliError> {
    let width = 2.0 / f64::from(levels.max(2) - 1);
    let off = |x: &f32| {
        let level = (f64::from(*x) + 1.0) / width;
        (level - level.round()).abs() > 0.01 || !(-0.01..f64::from(levels) - 0.99).contains(&level)
    };
    let Some(place) = values.iter().position(off) else { return Ok(()) };
    Err(CliError::bad_input(format!(
        "--data {name}: value {place} (counted from 0) is {}; must be one of {levels} levels from -1 to 1, {} apart",
        values[place],
        short(width, 6)
    )))
}

impl Arguments {
    /// A flag that was given, and that counts nothing beside the others.
    fn idle_flag(&self, experiment: &Experiment) -> Option<String> {
        let flow = self.method == MethodName::Flow;
        let still = flow && self.divergence == Some(DivergenceName::Exact) && experiment.bin_width().is_none();
        let divergence = self.divergence.and_then(|name| name.to_possible_value());
        let no_times = "the flow asks for no noise levels; --method bound does";
        let no_flow = "the bound follows no flow; --method flow does";
        let no_draws = "with --divergence exact nothing is random in the flow of continuous values";
        let flags = [
            ("--times", self.times.map(|n| n.to_string()), flow, no_times),
            ("--divergence", divergence.map(|value| value.get_name().to_owned()), !flow, no_flow),
            ("--tolerance", self.tolerance.map(|x| x.to_string()), !flow, no_flow),
            ("--encoded", self.encoded.as_ref().map(|path| path.display().to_string()), !flow, no_flow),
            ("--repeats", self.repeats.map(|n| n.to_string()), still, no_draws),
            ("--seed", self.seed.map(|n| n.to_string()), still, no_draws),
        ];
        let (flag, value, _, why) = flags.into_iter().find(|(_, value, idle, _)| *idle && value.is_some())?;
        Some(format!("{flag} {}: must be left out: {why}", value.unwrap_or_default()))
    }

    fn method(&self) -> Method {
        let divergence = match self.divergence.unwrap_or(DivergenceName::Rademacher) {
            DivergenceName::Exact => Divergence::Exact,
            DivergenceName::Rademacher => Divergence::Hutchinson(Projection::Rademacher),
            DivergenceName::Gaussian => Divergence::Hutchinson(Projection::Gaussian),
            DivergenceName::Sphere => Divergence::Hutchinson(Projection::Sphere),
        };
        let tolerance = self.tolerance.unwrap_or(1e-5);
        match self.method {
            MethodName::Flow => {
                Method::Flow { divergence, solver: DormandPrince { absolute: tolerance, relative: tolerance } }
            }
            MethodName::Bound => Method::Bound { times: self.times.unwrap_or(64) as usize },
        }
    }
}

/// What is printed.
fn report(answer: &Likelihood, question: &Question, levels: Option<u32>, name: &str, source: &str) -> String {
    let plus = |Mean { value, error }: Mean| match error {
        Some(error) => format!("{value:.4} ± {error:.4}"),
        None => format!("{value:.4}"),
    };
    let [bits, nats] = [answer.bits_per_dimension(), answer.nats()].map(plus);
    let at_most = if matches!(question.method, Method::Bound { .. }) { ["at most ", "at least "] } else { ["", ""] };
    let of = levels.map_or_else(|| "continuous values".to_string(), |levels| format!("{levels} levels"));
    let (known, n) = (answer.known(), answer.log_density.len());
    let count = if known < n { format!("{known} of {n}") } else { n.to_string() };
    let conditioning = match question.classes {
        Classes::Each(_) => " told their classes".to_owned(),
        Classes::One(class) => format!(" told class {class}"),
        Classes::Any | Classes::InTurn => String::new(),
    };
    format!(
        "{name}, {count} samples{conditioning}, {source}\n\
         {}{bits} bits per dimension ({of})\n\
         {}{nats} nats of log density\n\
         evaluations of the model: {} each, at most {}\n",
        at_most[0],
        at_most[1],
        short(answer.evaluations.mean, 4),
        short(answer.evaluations.most, 6),
    )
}
