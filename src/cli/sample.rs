//! `tweedie sample`: draws samples from a run or from an exact score.

use std::path::PathBuf;

use super::CliError;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::settings::{
    DeviceArguments, cache_folder, count, expect_file, expect_folder_of, extension, print, sampler_steps, seed,
};
use super::source::{Source, read_points};
use super::train::FRAMES;
use crate::data;
use crate::gpu::Choice;
use crate::train::artifacts;
use crate::train::config::{Sample, SamplerKind};
use crate::train::engine::Device;
use crate::train::error::TrainError;
use crate::train::experiment::{Experiment, sampler_of};
use crate::train::room;
use crate::train::sampling::{self, Draw};

/// Draw samples from a run, from a checkpoint in it, or from the config of an exact score
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder of a run, folder of a checkpoint in it, or a config with model.kind = "exact"
    #[arg(value_name = "RUN_OR_CONFIG", required_unless_present = "list")]
    source: Option<PathBuf>,
    /// Number of samples [default: the config's sample.n]
    #[arg(long, value_name = "N", value_parser = count())]
    n: Option<u64>,
    /// Name of the sampler, see --list [default: the config's sample.kind]
    #[arg(long, value_name = "NAME", value_parser = sampler)]
    sampler: Option<SamplerKind>,
    /// Steps of the sampler [default: the config's sample.steps]
    #[arg(long, value_name = "N", value_parser = sampler_steps())]
    steps: Option<u64>,
    /// Seed of the prior draw and the sampler's noise [default: the config's sample.seed]
    #[arg(long, value_name = "N", value_parser = seed())]
    seed: Option<u64>,
    /// Start from these standard normal values, (N, D) or (N, the data's shape), instead of drawing them
    #[arg(long, value_name = "FILE.npy", conflicts_with = "n")]
    noise: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where to write: .png, .gif (the trajectory), .npy or .csv
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    out: Option<PathBuf>,
    /// List the samplers
    #[arg(long)]
    list: bool,
}

/// A sampler by its name, for clap.
fn sampler(name: &str) -> Result<SamplerKind, String> {
    SamplerKind::ALL.into_iter().find(|sampler| sampler.name() == name).ok_or_else(|| {
        let names = SamplerKind::ALL.map(SamplerKind::name).join(", ");
        format!("must be one of {names}")
    })
}

/// What the samples are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    Gif,
    Npy,
    Csv,
}

/// All that sampling needs, checked.
#[derive(Debug)]
struct Request {
    source: Source,
    /// The config's `[sample]` with the flags applied.
    settings: Sample,
    noise: Option<PathBuf>,
    device: Choice,
    out: PathBuf,
    format: Format,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    if arguments.list {
        return print(&SamplerKind::ALL.map(|sampler| format!("{:16}{}\n", sampler.name(), sampler.about())).concat());
    }
    sample(arguments.check()?)
}

impl Arguments {
    fn check(self) -> Result<Request, CliError> {
        let (source, out) = self.source.zip(self.out).expect("clap requires both where --list is not given");
        let format = match extension("--out", &out, &["png", "gif", "npy", "csv"])? {
            "png" => Format::Png,
            "gif" => Format::Gif,
            "npy" => Format::Npy,
            _ => Format::Csv,
        };
        expect_folder_of("--out", &out)?;
        if let Some(noise) = &self.noise {
            extension("--noise", noise, &["npy"])?;
            expect_file("--noise", noise)?;
        }
        let source = Source::open(&source)?;
        let mut settings = source.config().sample.clone();
        settings.sampler = self.sampler.unwrap_or(settings.sampler);
        settings.steps = self.steps.unwrap_or(settings.steps);
        settings.seed = self.seed.unwrap_or(settings.seed);
        if let Some(n) = self.n {
            settings.n =
                usize::try_from(n).map_err(|_| CliError::bad_input(format!("--n {n}: too many for this machine")))?;
        }
        Ok(Request { source, settings, noise: self.noise, device: self.device.device, out, format })
    }
}

fn sample(request: Request) -> Result<(), CliError> {
    let Request { source, settings, noise, device, out, format } = request;
    let experiment = Experiment::new(source.config())?;
    let noise = noise.map(|path| read_points("--noise", &path, &experiment)).transpose()?;
    let n = noise.as_ref().map_or(settings.n, |noise| noise.values.len() / experiment.dims());
    if matches!(format, Format::Png | Format::Gif) && !artifacts::has_picture(&experiment) {
        return Err(CliError::bad_input(format!(
            "--out {}: samples of shape {:?} are neither images nor points in the plane; write .npy or .csv",
            out.display(),
            experiment.train.shape
        )));
    }
    let frames = if format == Format::Gif { FRAMES } else { 0 };
    room::for_samples(&format!("--n {n}"), n, experiment.dims(), frames)?;
    let (device, reason) = Device::open(&device, cache_folder().as_deref()).map_err(TrainError::from)?;
    let experiment = source.restore(experiment);
    let sampler = sampler_of(settings.sampler);
    let draw = Draw {
        n,
        steps: settings.steps as usize,
        seed: settings.seed,
        denoise: settings.denoise,
        noise: noise.map(|noise| noise.values),
        frames,
    };
    let engine = experiment.drawing_engine(&device, sampler.as_ref(), draw.steps, n);
    let mut engine = engine.map_err(TrainError::from)?;
    source.load(&experiment, engine.as_mut())?;
    eprintln!("device: {reason}");
    let interrupt = Interrupt::install()?;
    let mut bar: Option<Progress> = None;
    let drawn = sampling::draw(engine.as_mut(), &experiment, sampler.as_ref(), &draw, &mut |done, total| {
        bar.get_or_insert_with(|| Progress::new("sample", 0, total)).update(done, None);
        !interrupt.requested()
    })?;
    if let Some(bar) = bar {
        bar.finish();
    }
    let mut shape = vec![n];
    shape.extend(&experiment.train.shape);
    match format {
        Format::Png => artifacts::samples(&out, &experiment, &drawn.samples)?,
        Format::Gif => artifacts::animation(&out, &experiment, &drawn)?,
        Format::Npy => data::write_npy(&out, &shape, &drawn.samples)?,
        Format::Csv => {
            let names: Vec<String> = (0..experiment.dims()).map(|i| format!("x{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            data::write_csv(&out, &names, experiment.dims(), &drawn.samples)?;
        }
    }
    eprintln!(
        "{}: {n} samples from {} by {}, {} evaluations each",
        out.display(),
        source.describe(),
        sampler.name(),
        drawn.evaluations
    );
    Ok(())
}
