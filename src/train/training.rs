//! The training loop: asks the device for steps, and in between logs, evaluates, saves and listens for Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::Config;
use crate::engine::{Device, Engine, News};
use crate::gpu::Choice;
use crate::train::error::TrainError;
use crate::train::evaluation::{self, Evaluation};
use crate::train::experiment::advice;
use crate::train::experiment::memory;
use crate::train::experiment::{Experiment, RING_COLUMNS, RING_ROWS};
use crate::train::run::checkpoint::{Checkpoint, EMA, LEARNED, OPTIMIZER, PARAMS, Tensor};
use crate::train::run::log::{EvaluationLine, Line, Log, Timing, TrainLine};
use crate::train::run::origin;
use crate::train::run::run_folder::{Existing, RunFolder, Step, TrainingFolder};

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
        match request.start {
            Start::New(existing) => crate::train::run::run_folder::check_free(&request.out, existing)?,
            Start::Resume => check_resumable(config, &request.out)?,
        }
        let mut experiment = Experiment::new(config)?;
        if !experiment.is_trainable() {
            let text = "model.kind = \"exact\": has nothing to train; use `sample` or `score` on the config";
            return Err(TrainError::unfit("model.kind", text));
        }
        if experiment.train.is_constant() {
            let name = &experiment.train.name;
            let text = format!("[data]: all samples are the same in {name}: there is nothing to learn");
            return Err(TrainError::unfit("data", text));
        }
        memory::for_training(&experiment)?;
        if request.start == Start::Resume {
            check_restorable(&experiment, &request.out)?;
        }
        let (device, reason) = Device::open(&request.device, request.cache.as_deref())?;
        let mut engine = experiment.training_engine(&device)?;
        let toml = config.to_toml();
        let (folder, checkpoint) = match request.start {
            Start::New(existing) => (TrainingFolder::create(&request.out, existing, &toml)?, None),
            Start::Resume => {
                let folder = TrainingFolder::resume(&request.out)?;
                let checkpoint = match folder.latest()? {
                    Some(step) => Some((step.path.clone(), folder.read(&step)?)),
                    None => None,
                };
                folder.write_config(&toml)?;
                (folder, checkpoint)
            }
        };
        // Only now: of bad input nothing is said but what is wrong with it.
        observer.device(&reason);
        if let Some(note) = folder.note() {
            observer.note(note);
        }
        advice::notes(&experiment).iter().for_each(|note| observer.note(note));
        let step = checkpoint.as_ref().map_or(0, |(_, checkpoint)| checkpoint.step);
        experiment.fill_store(engine.as_mut())?;
        match &checkpoint {
            Some((path, checkpoint)) => restore(&experiment, engine.as_mut(), path, checkpoint)?,
            None => experiment.initialise(engine.as_mut())?,
        }
        experiment.follow_store(engine.as_mut())?;
        experiment.set_clock(engine.as_mut(), step)?;
        engine.watch(&["ring", "clock", "status"], RING_ROWS / 2)?;
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
        let train = self.experiment.config.train.clone();
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
            self.hear(observer)?;
            let stop = observer.stop();
            if self.submitted == next || stop {
                self.engine.wait()?;
                self.hear(observer)?;
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
        let (batch, parts) = (self.experiment.batch(), self.experiment.parts());
        if parts == 1 {
            return Ok(self.engine.advance("train", batch, most)?);
        }
        let mut left = parts;
        while left > 0 {
            left -= self.engine.advance("accumulate", batch, left)?;
        }
        Ok(self.engine.advance("train", batch, 1)?)
    }

    /// Takes in the losses that have arrived.
    fn hear(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        for news in self.engine.news()? {
            self.take_in(&news)?;
        }
        let steps_per_sec = (self.arrived - self.first_step) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let steps = self.experiment.config.train.steps;
        observer.progress(Progress { step: self.arrived, steps, loss: self.last_loss, steps_per_sec });
        Ok(())
    }

    fn take_in(&mut self, news: &News) -> Result<(), TrainError> {
        let done = u64::from(news.words["clock"][0]);
        let (ring, status) = (&news.floats["ring"], news.floats["status"][0]);
        let every = self.experiment.config.train.log_every;
        for step in self.arrived..done {
            let row = (step as usize % RING_ROWS) * RING_COLUMNS;
            let [loss, grad_norm, learning_rate] = [ring[row], ring[row + 1], ring[row + 2]];
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
        let lines = crate::train::run::log::read(&self.folder.metrics_path())?;
        Ok(lines.iter().any(|line| matches!(line, Line::Evaluation(line) if line.step == step)))
    }

    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.experiment.follow_store(self.engine.as_mut())?;
        let Evaluation { loss, levels } = evaluation::held_out(self.engine.as_mut(), &self.experiment)?;
        let schedule = self.experiment.schedule();
        let line = EvaluationLine { step: self.arrived, held_out_loss: loss, per_level: levels, schedule };
        observer.evaluated(&line);
        self.log.write(&Line::Evaluation(line))?;
        self.last_log = (Instant::now(), self.arrived);
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.log.sync()?;
        let checkpoint = snapshot(&self.experiment, self.engine.as_mut(), self.arrived)?;
        self.folder.save(&checkpoint, self.experiment.config.train.keep)?;
        Ok(())
    }
}

fn check_resumable(config: &Config, out: &Path) -> Result<(), TrainError> {
    let folder = RunFolder::open(out)?;
    let old = Config::read(&folder.config_path(), &crate::config::Overrides::none())?;
    match old.obstacle_to_resuming(config) {
        None => match folder.latest()? {
            Some(Step { step, .. }) if step > config.train.steps => Err(TrainError::bad(format!(
                "{}: is at step {step} already, and train.steps = {} is less; ask for {step} steps or more",
                out.display(),
                config.train.steps
            ))),
            _ => Ok(()),
        },
        Some((key, was, is)) => Err(TrainError::bad(format!(
            "{}: was trained with {key} = {was} and cannot go on with {is}; leave the key as it was, or start a new run \
             with --out",
            out.display()
        ))),
    }
}

/// Reads what is to be restored, before anything is touched.
fn check_restorable(experiment: &Experiment, out: &Path) -> Result<(), TrainError> {
    let folder = RunFolder::open(out)?;
    if let Some(step) = folder.latest()? {
        let checkpoint = folder.read(&step)?;
        arena_of(experiment, &step.path, &checkpoint, PARAMS, &[""])?;
        arena_of(experiment, &step.path, &checkpoint, EMA, &[""])?;
        arena_of(experiment, &step.path, &checkpoint, OPTIMIZER, &["adam_m.", "adam_v."])?;
        learned(experiment, &step.path, &checkpoint)?;
        origin::check_config(&experiment.config, &checkpoint, &step.path)?;
        origin::check_data(experiment, &checkpoint, &step.path)?;
    }
    if folder.metrics_path().exists() {
        crate::train::run::log::read(&folder.metrics_path())?;
    }
    Ok(())
}

/// Everything that a resumed run needs.
fn snapshot(experiment: &Experiment, engine: &mut dyn Engine, step: u64) -> Result<Checkpoint, TrainError> {
    let mut states = Vec::new();
    for (name, elements) in experiment.learned_states() {
        states.push(Tensor { name: name.to_owned(), shape: vec![elements], values: engine.floats(name, elements)? });
    }
    let elements = experiment.arena_elements();
    let mut tensors = |arena: &str, prefix: &str| -> Result<Vec<Tensor>, TrainError> {
        let flat = engine.floats(arena, elements)?;
        Ok(experiment
            .parameters()
            .iter()
            .map(|parameter| Tensor {
                name: format!("{prefix}{}", parameter.name),
                shape: parameter.shape.clone(),
                values: flat[parameter.offset..parameter.offset + parameter.elements()].to_vec(),
            })
            .collect())
    };
    let mut moments = tensors("adam_m", "adam_m.")?;
    moments.extend(tensors("adam_v", "adam_v.")?);
    let groups = [
        (PARAMS.to_owned(), tensors("params", "")?),
        (EMA.to_owned(), tensors("ema", "")?),
        (OPTIMIZER.to_owned(), moments),
    ];
    Ok(Checkpoint {
        step,
        seed: experiment.config.train.seed,
        fingerprint: experiment.config.fingerprint(),
        extra: origin::record(experiment),
        groups: groups.into_iter().chain((!states.is_empty()).then(|| (LEARNED.to_owned(), states))).collect(),
    })
}

/// Puts a checkpoint back into the store.
fn restore(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    path: &Path,
    checkpoint: &Checkpoint,
) -> Result<(), TrainError> {
    for (arena, group, prefix) in [("params", PARAMS, ""), ("ema", EMA, "")] {
        engine.set_floats(arena, &arena_of(experiment, path, checkpoint, group, &[prefix])?[0])?;
    }
    let moments = arena_of(experiment, path, checkpoint, OPTIMIZER, &["adam_m.", "adam_v."])?;
    engine.set_floats("adam_m", &moments[0])?;
    engine.set_floats("adam_v", &moments[1])?;
    for tensor in learned(experiment, path, checkpoint)? {
        engine.set_floats(&tensor.name, &tensor.values)?;
    }
    Ok(())
}

/// What a checkpoint holds of the states that are learned besides the arenas.
fn learned<'a>(
    experiment: &Experiment,
    path: &Path,
    checkpoint: &'a Checkpoint,
) -> Result<Vec<&'a Tensor>, TrainError> {
    let expected: Vec<(String, Vec<usize>)> =
        experiment.learned_states().into_iter().map(|(name, elements)| (name.to_owned(), vec![elements])).collect();
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    Ok(checkpoint.expect(path, LEARNED, &expected)?)
}

/// The flat arenas that a group of a checkpoint holds, one for each prefix of names.
pub fn arena_of(
    experiment: &Experiment,
    path: &Path,
    checkpoint: &Checkpoint,
    group: &str,
    prefixes: &[&str],
) -> Result<Vec<Vec<f32>>, TrainError> {
    let parameters = experiment.parameters();
    let expected: Vec<(String, Vec<usize>)> = prefixes
        .iter()
        .flat_map(|prefix| parameters.iter().map(move |p| (format!("{prefix}{}", p.name), p.shape.clone())))
        .collect();
    let found = checkpoint.expect(path, group, &expected)?;
    Ok(found
        .chunks(parameters.len())
        .map(|tensors| {
            let mut arena = vec![0.0; experiment.arena_elements()];
            for (parameter, tensor) in parameters.iter().zip(tensors) {
                arena[parameter.offset..parameter.offset + tensor.values.len()].copy_from_slice(&tensor.values);
            }
            arena
        })
        .collect())
}
