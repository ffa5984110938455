//! `tweedie sample`: draws samples from a run or from an exact score.

use std::path::PathBuf;

use super::CliError;
use super::settings::{DeviceArguments, count, expect_file, expect_folder_of, extension, seed};
use super::source::Source;
use crate::gpu::Choice;
use crate::train::config::{Sample, SamplerKind};

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
    #[arg(long, value_name = "N", value_parser = count())]
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
        for sampler in SamplerKind::ALL {
            println!("{:16}{}", sampler.name(), sampler.about());
        }
        return Ok(());
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

/// Draws and writes. The samplers are not connected to the command line yet.
fn sample(request: Request) -> Result<(), CliError> {
    let Request { source, settings, noise, device, out, format } = request;
    let _ = (source.config(), settings.n, noise, device, format);
    Err(CliError::failed(format!("{}: this build cannot sample yet (from {})", out.display(), source.describe())))
}
