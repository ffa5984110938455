//! `tweedie train`: trains a score network as a config says.

use std::path::{Path, PathBuf};

use super::drawing_bar::DrawingBar;
use super::error::CliError;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::settings::{ConfigArguments, DeviceArguments, cache_folder, note, print};
use crate::config::{Model, Origin};
use crate::engine::Engine;
use crate::gpu::Choice;
use crate::sampler::AnySampler;
use crate::train::draw::request::SampleRequest;
use crate::train::draw::{artifacts, sampling};
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment, FRAMES};
use crate::train::run::training_folder::Existing;
use crate::train::training::{self, Observer, Outcome, Request, Start, Training};

/// Steps that `--profile` times, after training.
const PROFILED_STEPS: u64 = 20;

/// Train a score network as a config says
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Training steps; short for --set train.steps=N
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// Seed of the run; short for --set train.seed=N
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
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

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    let profile = arguments.profile;
    let (request, origin) = arguments.check()?;
    train(&request, &origin, profile)
}

impl Arguments {
    /// Everything that can be known to be wrong before the first byte is written.
    fn check(self) -> Result<(Request, Origin), CliError> {
        let mut overrides = self.config.overrides()?;
        overrides.insert_text("--steps", "train", "steps", self.steps.as_ref());
        overrides.insert_text("--seed", "train", "seed", self.seed.as_ref());
        let (config, origin) = self.config.read(&overrides)?;
        if matches!(config.model, Model::Exact(_)) {
            let path = self.config.config.display();
            let what = format!(
                "model.kind = \"exact\" has nothing to train; where {path} itself says so, tweedie sample {path} --out samples.png draws from it"
            );
            return Err(CliError::bad_input(origin.line("model.kind", &what)));
        }
        let out = match self.out {
            Some(folder) => folder,
            None => PathBuf::from("runs").join(self.config.config.file_stem().unwrap_or_default()),
        };
        let existing = if self.overwrite { Existing::Overwrite } else { Existing::Refuse };
        let start = if self.resume { Start::Resume } else { Start::New(existing) };
        Ok((Request { config, out, start, device: self.device.device, cache: cache_folder() }, origin))
    }
}

/// Says what happens, and listens to Ctrl-C.
struct Terminal {
    interrupt: Interrupt,
    bar: Option<Progress>,
    steps: u64,
}

impl Observer for Terminal {
    fn device(&mut self, reason: &str) {
        note(format_args!("device: {reason}"));
    }

    fn note(&mut self, text: &str) {
        note(text);
    }

    fn ready(&mut self, experiment: &Experiment, start: u64) {
        note(format_args!(
            "{}: {} samples to train on, {} held out; a network of {} weights",
            experiment.train_data().name,
            experiment.train_data().len(),
            experiment.held_out().len(),
            experiment.weights()
        ));
        if start > 0 {
            note(format_args!("going on from step {start}"));
        }
        self.bar = Some(Progress::new("train", start, self.steps));
    }

    fn progress(&mut self, progress: training::Progress) {
        if let Some(bar) = &mut self.bar {
            bar.update(progress.step, progress.loss.is_finite().then_some(progress.loss));
        }
    }

    fn draw(
        &mut self,
        experiment: &Experiment,
        engine: &mut dyn Engine,
        folder: &Path,
        step: u64,
    ) -> Result<(), TrainError> {
        if !artifacts::has_picture(experiment) {
            return Ok(());
        }
        let sampler = experiment.config().sample.sampler();
        let going_on = &mut |_, _| !self.interrupt.requested();
        let drawn = match sampling::draw(engine, experiment, &sampler, &a_picture(experiment, 0), going_on) {
            // The loop sees the same request, saves, and stops.
            Err(TrainError::Interrupted) => return Ok(()),
            drawn => drawn?,
        };
        let folder = folder.join("samples");
        std::fs::create_dir_all(&folder)
            .map_err(|error| TrainError::Picture(format!("{}: {error}", folder.display())))?;
        artifacts::samples(&folder.join(format!("step-{step}.png")), experiment, &drawn.samples)
    }

    fn stop(&mut self) -> bool {
        self.interrupt.requested()
    }
}

/// The samples that the config asks for, and so many moments on their way.
fn a_picture(experiment: &Experiment, frames: usize) -> SampleRequest {
    let settings = &experiment.config().sample;
    SampleRequest {
        n: settings.n,
        grid: experiment.config().grid(),
        seed: settings.seed,
        noise: None,
        step_noise: None,
        classes: Classes::InTurn,
        guidance: 1.0,
        known: None,
        frames,
    }
}

fn train(request: &Request, origin: &Origin, profile: bool) -> Result<(), CliError> {
    let mut terminal = Terminal { interrupt: Interrupt::install()?, bar: None, steps: request.config.train.steps };
    let result = training::train(request, &mut terminal);
    if let Some(bar) = terminal.bar.take() {
        bar.finish();
    }
    let (mut training, outcome) = result.map_err(|error| error.in_config(origin))?;
    let folder = training.folder().path().to_owned();
    artifacts::loss(&folder, &training.folder().metrics_path())?;
    if outcome == Outcome::Stopped {
        return Err(CliError::Interrupted(format!(
            "stopped after step {} and saved; go on with tweedie train {} --resume",
            training.step(),
            again(request)
        )));
    }
    match draw_pictures(&mut training, &folder, &terminal.interrupt) {
        Err(CliError::Interrupted(_)) => {
            return Err(CliError::Interrupted(format!(
                "stopped after the last step, which is saved, and before the pictures; draw them with tweedie train {} \
                 --resume",
                again(request)
            )));
        }
        result => result?,
    }
    if profile {
        show_profile(&mut training)?;
    }
    note(format_args!("done: {}", folder.display()));
    Ok(())
}

/// The arguments that name this run and its device again.
fn again(request: &Request) -> String {
    let device = match &request.device {
        Choice::Auto => String::new(),
        Choice::Gpu => " --device gpu".to_owned(),
        Choice::Cpu => " --device cpu".to_owned(),
        Choice::Named(name) => format!(" --device {}", quoted(name)),
    };
    let quoted_path = |path: &Path| quoted(&path.display().to_string());
    format!("{} --out {}{device}", quoted_path(&request.out.join("config.toml")), quoted_path(&request.out))
}

/// A word of a command line as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/\\._-+:@,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `samples.png`, `trajectory.gif`, `trajectory.png` (not of an adaptive sampler) and, in the plane, `scores.png`.
fn draw_pictures(training: &mut Training, folder: &Path, interrupt: &Interrupt) -> Result<(), CliError> {
    let Training { experiment, engine, .. } = training;
    if !artifacts::has_picture(experiment) {
        return Ok(());
    }
    if experiment.is_without_noise() {
        note("no samples are drawn: with loss.noise = \"none\" the network knows the score of the data alone");
        return Ok(artifacts::scores(&folder.join("scores.png"), experiment, engine.as_mut(), &[])?);
    }
    let sampler = experiment.config().sample.sampler();
    let has_moments = matches!(sampler, AnySampler::Stepwise(_));
    let draw = a_picture(experiment, if has_moments { FRAMES } else { 0 });
    let mut bar = DrawingBar::default();
    let drawn = sampling::draw(engine.as_mut(), experiment, &sampler, &draw, &mut |done, total| {
        bar.update(experiment, &sampler, &draw, done, total);
        !interrupt.requested()
    })?;
    bar.finish();
    artifacts::samples(&folder.join("samples.png"), experiment, &drawn.samples)?;
    if !has_moments {
        note(format_args!("no trajectory is drawn: samples by {} have no moments in common", sampler.name()));
    } else {
        artifacts::animation(&folder.join("trajectory.gif"), experiment, &drawn)?;
        artifacts::strip(&folder.join("trajectory.png"), experiment, &drawn)?;
    }
    artifacts::scores(&folder.join("scores.png"), experiment, engine.as_mut(), &drawn.samples)?;
    Ok(())
}

fn show_profile(training: &mut Training) -> Result<(), CliError> {
    let batch = training.experiment.batch();
    match training
        .engine
        .profile(training.experiment.busiest_program(), batch, PROFILED_STEPS)
        .map_err(TrainError::from)?
    {
        None => note("--profile: kernels are timed on GPUs; this run was on the CPU"),
        Some(profile) => print(&super::profile::table(&profile))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_a_shell_would_split_is_quoted() {
        assert_eq!(quoted("runs/digits-2.b"), "runs/digits-2.b");
        assert_eq!(quoted("my runs/it's"), r"'my runs/it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
