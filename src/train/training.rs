//! The training loop: asks the device for steps, and in between logs, evaluates, saves and listens for Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::Config;
use crate::engine::{Device, Engine, Snapshot};
use crate::gpu::Choice;
use crate::loss::{Record, training_states};
use crate::train::error::TrainError;
use crate::train::evaluation::{self, HeldOut};
use crate::train::experiment::advice;
use crate::train::experiment::memory;
use crate::train::experiment::{Experiment, RING_ROWS};
use crate::train::program_names::{ACCUMULATE, TRAIN};
use crate::train::run::checkpoint::SavedCheckpoint;
use crate::train::run::log::{self, EvaluationLine, Line, Log, Timing, TrainLine};
use crate::train::run::run_folder::RunFolder;
use crate::train::run::training_folder::{Existing, TrainingFolder, check_free};
use crate::train::saved_state;

/// What to train, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The experiment.
    pub config: Config,
    /// The run's folder.
    pub out: PathBuf,
    /// How to start.
    pub start: Start,
    /// On which device.
    pub device: Choice,
    /// Where compiled pipelines are kept.
    pub cache: Option<PathBuf>,
}

/// How a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From initial weights.
    New(Existing),
    /// From the run's last checkpoint.
    Resume,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// It was asked to stop, and has saved a checkpoint.
    Stopped,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Loss of the last step that was logged.
    pub loss: f32,
    /// Training steps a second since this process began.
    pub steps_per_sec: f64,
}

/// Someone who watches a run. The library itself prints nothing.
pub trait Observer {
    /// The device was chosen, and why.
    fn device(&mut self, _reason: &str) {}
    /// Something worth a line.
    fn note(&mut self, _text: &str) {}
    /// The graph is ready: parameters of the network, size of the training set.
    fn ready(&mut self, _experiment: &Experiment, _start: u64) {}
    /// A few steps are done.
    fn progress(&mut self, _progress: Progress) {}
    /// The held-out loss was measured.
    fn evaluated(&mut self, _line: &EvaluationLine) {}
    /// `train.sample_every` more steps are done: a moment to draw into the run's folder.
    ///
    /// # Errors
    /// What ends the run.
    fn draw(
        &mut self,
        _experiment: &Experiment,
        _engine: &mut dyn Engine,
        _folder: &Path,
        _step: u64,
    ) -> Result<(), TrainError> {
        Ok(())
    }
    /// Whether the run should save and stop.
    fn stop(&mut self) -> bool {
        false
    }
}

/// A run under way.
pub struct Training {
    /// The experiment.
    pub experiment: Experiment,
    /// The device with its programs.
    pub engine: Box<dyn Engine>,
    folder: TrainingFolder,
    log: Log,
    /// Steps that the device was asked for.
    submitted: u64,
    /// Steps whose losses have arrived.
    arrived: u64,
    last_loss: f32,
    started: Instant,
    first_step: u64,
    last_log: (Instant, u64),
}

/// Trains. Returns what is needed to draw from the run.
///
/// # Errors
/// Bad input, a device that fails, a disk that is full; or a loss that is not finite, after a checkpoint of the step
/// before it.
pub fn train(request: &Request, observer: &mut dyn Observer) -> Result<(Training, Outcome), TrainError> {
    let mut training = Training::start(request, observer)?;
    let outcome = training.go_on(observer)?;
    Ok((training, outcome))
}

impl Training {
    /// Prepares the folder, the device and the store.
    ///
    /// # Errors
    /// Bad input, before anything is touched; or a device that fails.
    pub fn start(request: &Request, observer: &mut dyn Observer) -> Result<Self, TrainError> {
        let config = &request.config;
        let place = Place::find(request)?;
        let mut experiment = Experiment::new(config)?;
        if !experiment.is_trainable() {
            let text = "model.kind = \"exact\": has nothing to train; use `sample` or `score` on the config";
            return Err(TrainError::unfit("model.kind", text));
        }
        if experiment.train_data().is_constant() {
            let name = &experiment.train_data().name;
            let text = format!("[data]: all samples are the same in {name}: there is nothing to learn");
            return Err(TrainError::unfit("data", text));
        }
        memory::for_training(&experiment)?;
        place.check(&experiment)?;
        let (device, reason) = Device::open(&request.device, request.cache.as_deref())?;
        let mut engine = experiment.training_engine(&device)?;
        let (folder, latest) = place.enter(request)?;
        // Only now: of bad input nothing is said but what is wrong with it.
        observer.device(&reason);
        if let Some(note) = folder.note() {
            observer.note(note);
        }
        advice::notes(&experiment).iter().for_each(|note| observer.note(note));
        let step = latest.as_ref().map_or(0, |latest| latest.checkpoint.step);
        experiment.fill_store(engine.as_mut())?;
        match latest {
            Some(latest) => saved_state::restore(&experiment, engine.as_mut(), &latest)?,
            None => experiment.initialise(engine.as_mut())?,
        }
        experiment.follow_store(engine.as_mut())?;
        experiment.set_clock(engine.as_mut(), step)?;
        engine.watch(&[training_states::RING, training_states::CLOCK, training_states::STATUS], RING_ROWS / 2)?;
        let log = Log::open(&folder.metrics_path(), step)?;
        let now = Instant::now();
        observer.ready(&experiment, step);
        Ok(Self {
            experiment,
            engine,
            folder,
            log,
            submitted: step,
            arrived: step,
            last_loss: f32::NAN,
            started: now,
            first_step: step,
            last_log: (now, step),
        })
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.arrived
    }

    /// Trains on until `train.steps` of the experiment are done, or the observer asks to stop.
    ///
    /// # Errors
    /// As [`train`].
    pub fn go_on(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let train = self.experiment.config().train.clone();
        if self.submitted == 0 && !self.evaluated_at(0)? {
            self.evaluate(observer)?;
        }
        while self.submitted < train.steps {
            let next = [train.checkpoint_every, train.evaluate_every, train.sample_every]
                .into_iter()
                .filter(|every| *every > 0)
                .map(|every| (self.submitted / every + 1) * every)
                .fold(train.steps, u64::min);
            let most = (next - self.submitted).min(RING_ROWS as u64 / 2);
            self.submitted += self.advance(most as usize)? as u64;
            self.poll(observer)?;
            let stop = observer.stop();
            if self.submitted == next || stop {
                self.engine.wait()?;
                self.poll(observer)?;
                if self.submitted.is_multiple_of(train.evaluate_every) || self.submitted == train.steps {
                    self.evaluate(observer)?;
                }
                if self.submitted.is_multiple_of(train.checkpoint_every) || self.submitted == train.steps || stop {
                    self.save()?;
                }
                if train.sample_every > 0 && self.submitted.is_multiple_of(train.sample_every) && !stop {
                    self.experiment.follow_store(self.engine.as_mut())?;
                    observer.draw(&self.experiment, self.engine.as_mut(), self.folder.path(), self.submitted)?;
                }
            }
            if stop && self.submitted < train.steps {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// Asks the device for up to `most` steps; says how many it took on.
    fn advance(&mut self, most: usize) -> Result<usize, TrainError> {
        let (batch, micro_batches) = (self.experiment.batch(), self.experiment.micro_batches());
        if micro_batches == 1 {
            return Ok(self.engine.advance(TRAIN, batch, most)?);
        }
        let mut left = micro_batches;
        while left > 0 {
            left -= self.engine.advance(ACCUMULATE, batch, left)?;
        }
        Ok(self.engine.advance(TRAIN, batch, 1)?)
    }

    /// Takes in the losses that have arrived.
    fn poll(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        for snapshot in self.engine.poll()? {
            self.take_in(&snapshot)?;
        }
        let steps_per_sec = (self.arrived - self.first_step) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let steps = self.experiment.config().train.steps;
        observer.progress(Progress { step: self.arrived, steps, loss: self.last_loss, steps_per_sec });
        Ok(())
    }

    fn take_in(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let done = u64::from(snapshot.words[training_states::CLOCK][0]);
        let (ring, status) = (&snapshot.floats[training_states::RING], snapshot.floats[training_states::STATUS][0]);
        let every = self.experiment.config().train.log_every;
        for step in self.arrived..done {
            let record = Record::of(ring, step).expect("the ring of training has rows");
            let Record { loss, gradient_norm: grad_norm, learning_rate, .. } = record;
            self.last_loss = loss;
            if (step + 1).is_multiple_of(every) {
                let now = Instant::now();
                let (then, before) = self.last_log;
                let steps_per_sec = (step + 1 - before) as f64 / (now - then).as_secs_f64().max(1e-9);
                // Losses arrive in bundles; the time since the last bundle stands for all lines of this one.
                if step + 1 + every > done {
                    self.last_log = (now, step + 1);
                }
                let timing = Timing { seconds: (now - self.started).as_secs_f64(), steps_per_sec };
                let line = TrainLine { step: step + 1, loss, grad_norm, learning_rate, timing: Some(timing) };
                self.log.write(&Line::Train(line))?;
            }
        }
        self.arrived = self.arrived.max(done);
        if status != 0.0 {
            return Err(self.not_finite());
        }
        Ok(())
    }

    /// The device has stopped by itself before a step that would have spoilt the weights: save what there is, and name
    /// the step and the noise level.
    fn not_finite(&mut self) -> TrainError {
        let step = self.arrived + 1;
        let saved = self.engine.wait().map_err(TrainError::from).and_then(|()| {
            self.submitted = self.arrived;
            self.save()
        });
        let level = evaluation::bad_noise_level(self.engine.as_mut(), &self.experiment);
        match (saved, level) {
            (Err(error), _) => error,
            (Ok(()), level) => TrainError::NotFinite { step, level, checkpoint: self.arrived },
        }
    }

    fn evaluated_at(&self, step: u64) -> Result<bool, TrainError> {
        let lines = log::read(&self.folder.metrics_path())?;
        Ok(lines.iter().any(|line| matches!(line, Line::Evaluation(line) if line.step == step)))
    }

    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.experiment.follow_store(self.engine.as_mut())?;
        let HeldOut { loss, levels } = evaluation::held_out(self.engine.as_mut(), &self.experiment)?;
        let schedule = self.experiment.schedule();
        let line = EvaluationLine { step: self.arrived, held_out_loss: loss, per_level: levels, schedule };
        observer.evaluated(&line);
        self.log.write(&Line::Evaluation(line))?;
        self.last_log = (Instant::now(), self.arrived);
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.log.sync()?;
        let checkpoint = saved_state::to_checkpoint(&self.experiment, self.engine.as_mut(), self.arrived)?;
        self.folder.save(&checkpoint, self.experiment.config().train.keep)?;
        Ok(())
    }
}

/// A run's folder before the first step, unchanged until all else is known to be good.
enum Place {
    /// Free for a new run.
    Free(Existing),
    /// Of a run that is to go on, from its latest checkpoint.
    Taken(TrainingFolder, Option<SavedCheckpoint>),
}

impl Place {
    fn find(request: &Request) -> Result<Self, TrainError> {
        match request.start {
            Start::New(existing) => {
                check_free(&request.out, existing)?;
                Ok(Self::Free(existing))
            }
            Start::Resume => {
                let (folder, latest) = saved_state::resume(&request.config, &request.out)?;
                Ok(Self::Taken(folder, latest))
            }
        }
    }

    fn check(&self, experiment: &Experiment) -> Result<(), TrainError> {
        match self {
            Self::Free(_) => Ok(()),
            Self::Taken(folder, latest) => saved_state::check(experiment, folder, latest.as_ref()),
        }
    }

    /// Makes or changes the folder. Gives the checkpoint to go on from.
    fn enter(self, request: &Request) -> Result<(TrainingFolder, Option<SavedCheckpoint>), TrainError> {
        let toml = request.config.to_toml();
        match self {
            Self::Free(existing) => Ok((TrainingFolder::create(&request.out, existing, &toml)?, None)),
            Self::Taken(folder, latest) => {
                folder.go_on(&toml)?;
                Ok((folder, latest))
            }
        }
    }
}
