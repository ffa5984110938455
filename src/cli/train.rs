//! `tweedie train`: trains a score network as a config says.

use std::path::PathBuf;

use super::CliError;
use super::interrupt::Interrupt;
use super::settings::{ConfigArguments, DeviceArguments, count, seed};
use crate::gpu::Choice;
use crate::train::config::{Config, Model, Overrides};
use crate::train::run_folder::{Existing, RunFolder, check_free};

/// Train a score network as a config says
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Training steps; short for --set train.steps=N
    #[arg(long, value_name = "N", value_parser = count())]
    steps: Option<u64>,
    /// Seed of the run; short for --set train.seed=N
    #[arg(long, value_name = "N", value_parser = seed())]
    seed: Option<u64>,
    /// Folder of the run [default: runs/NAME for NAME.toml]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Go on with the run that is in the folder, from its latest checkpoint
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace the run that is in the folder
    #[arg(long)]
    overwrite: bool,
    /// Show the time of each kernel
    #[arg(long)]
    profile: bool,
}

/// All that training needs, checked.
#[derive(Debug)]
struct Request {
    config: Config,
    folder: PathBuf,
    start: Start,
    device: Choice,
    profile: bool,
}

/// Where training begins.
#[derive(Debug)]
enum Start {
    /// At step 0, in a folder that is new or may be overwritten.
    New(Existing),
    /// At the latest checkpoint of the folder's run; at step 0 if it was stopped before the first.
    Resume,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    let request = arguments.check()?;
    train(request, &Interrupt::install()?)
}

impl Arguments {
    /// Everything that can be known to be wrong before the first byte is written.
    fn check(self) -> Result<Request, CliError> {
        let mut overrides = self.config.overrides()?;
        for (flag, key, value) in [("--steps", "steps", self.steps), ("--seed", "seed", self.seed)] {
            if let Some(value) = value {
                // The parsers of both flags end far below.
                overrides.insert(flag, "train", key, i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
        let config = self.config.read(&overrides)?;
        if matches!(config.model, Model::Exact(_)) {
            let path = self.config.config.display();
            return Err(CliError::bad_input(format!(
                "{path}: model.kind = \"exact\" has nothing to train; draw from it by tweedie sample {path} --out samples.png"
            )));
        }
        let folder = match self.out {
            Some(folder) => folder,
            None => PathBuf::from("runs").join(self.config.config.file_stem().unwrap_or_default()),
        };
        let start = if self.resume {
            check_resumable(&config, &folder)?;
            Start::Resume
        } else {
            let existing = if self.overwrite { Existing::Overwrite } else { Existing::Refuse };
            check_free(&folder, existing)?;
            Start::New(existing)
        };
        Ok(Request { config, folder, start, device: self.device.device, profile: self.profile })
    }
}

/// A run can only be resumed by a config that would have begun it.
fn check_resumable(config: &Config, folder: &std::path::Path) -> Result<(), CliError> {
    let run = RunFolder::open(folder)?;
    let old = Config::read(&run.config_path(), &Overrides::none())?;
    if let Some((key, new, old)) = config.obstacle_to_resuming(&old) {
        let folder = folder.display();
        return Err(CliError::bad_input(format!(
            "{folder}: cannot be resumed with {key} = {new}, for it was trained with {old}; choose another folder by --out"
        )));
    }
    match run.latest()? {
        Some(latest) if latest.step > config.train.steps => Err(CliError::bad_input(format!(
            "{}: is at step {} already, beyond train.steps = {}",
            folder.display(),
            latest.step,
            config.train.steps
        ))),
        _ => Ok(()),
    }
}

/// Trains. The training loop is not connected to the command line yet.
fn train(request: Request, interrupt: &Interrupt) -> Result<(), CliError> {
    let Request { config, folder, start, device, profile } = request;
    let begins = match start {
        Start::New(Existing::Refuse) => "in a new folder",
        Start::New(Existing::Overwrite) => "in place of the old run",
        Start::Resume => "where the run was stopped",
    };
    let _ = (config.fingerprint(), device, profile, interrupt.requested());
    Err(CliError::failed(format!("{}: this build cannot train yet ({begins})", folder.display())))
}
