//! A config made real: data, process, network and the graphs of everything that a device can be asked for.

pub mod advice;
pub mod evaluation_levels;
pub mod memory;
pub(super) mod model;
mod objective;
mod schedule;

use crate::config::{self, Config};
use crate::data::{DataError, Dataset, Mixture, Values};
use crate::engine::{self, Device, Engine, EngineError};
use crate::graph::{Graph, Parameter, Storage};
use crate::loss::{
    Evaluation, SecondMoments, Source, TimeSampling, TrainingStep, accumulation_names, accumulation_step,
    evaluation_names, evaluation_step, names, second_moment_names, training_step, update_step,
};
use crate::lower;
use crate::nn::architecture::LARGEST_CHUNK;
use crate::nn::{self, Architecture, LearningRate, Optimizer};
use crate::plan::Plan;
use crate::sampler::{
    self, AnySampler, Noise, Obstacle, adaptive_begin, adaptive_step, denoised_end, prior_draw, sampling_step_with,
    score_graph,
};
use crate::sde::{self, Sde, work_graph};
use crate::train::error::TrainError;
use crate::train::experiment::evaluation_levels::levels_of_samples;
use crate::train::experiment::model::{Purpose, label_names};

/// Steps that the ring of losses remembers.
pub const RING_ROWS: usize = 512;
/// Numbers that it keeps of a step.
pub const RING_COLUMNS: usize = crate::loss::RING_COLUMNS.len();
/// Noise levels at which the held-out loss is measured.
pub const LEVELS: usize = 10;
/// The program that measures how much a model does between two noise levels.
pub(in crate::train) const WORK: &str = "work";
/// Rows of a sampler's table, unless more are asked for: so that the number of steps changes no plan.
const TABLE_ROWS: usize = 4096;

/// A config made real.
pub struct Experiment {
    /// The config.
    pub config: Config,
    /// What is learned; of an exact model, samples of its law.
    pub train: Dataset,
    /// What is kept out of training.
    pub held_out: Dataset,
    /// The density, where it is known.
    pub mixture: Option<Mixture>,
    /// The forward process.
    pub sde: Box<dyn Sde>,
    /// Root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// The network; `None` for an exact score.
    pub architecture: Option<Box<dyn Architecture>>,
    parameters: Vec<Parameter>,
    arena_elements: usize,
}

impl Experiment {
    /// Draws or reads the data and sizes the network.
    ///
    /// # Errors
    /// When the data cannot be had.
    pub fn new(config: &Config) -> Result<Self, TrainError> {
        let named = |error: DataError| match &config.data {
            config::Data::File(file) => {
                TrainError::unfit("data.path", format!("data.path: {}", error.in_file(&file.path)))
            }
            _ => TrainError::from(error),
        };
        let dataset = config.data.dataset().map_err(named)?;
        let split = dataset.split().map_err(named)?;
        // Of a file only now: what is in it was not known to the config.
        if let Some(wanted) = config.too_large_a_trace(dataset.dim()) {
            return Err(TrainError::unfit("loss.kind", format!("loss.kind = \"implicit\": {wanted}")));
        }
        let sde = config.sde.process();
        if let Some(obstacle) = config.sample.sampler().obstacle(sde.as_ref(), &config.grid()) {
            let (key, value) = match obstacle {
                Obstacle::Spacing => ("sample.spacing", config.grid().spacing.name()),
                Obstacle::Sampler => ("sample.kind", config.sample.sampler.name),
                Obstacle::Levels => return Err(TrainError::unfit("sample.steps", config.indistinct_levels())),
            };
            let wanted = match obstacle {
                Obstacle::Spacing => "must be arsinh, linear or quadratic",
                _ => "ode-euler and dpm++2m with spacing = \"arsinh\" need none",
            };
            let what = format!(
                "{key} = \"{value}\": needs some signal at time {}, where the {} process has none; {wanted}",
                sde.t_max(),
                sde.name()
            );
            return Err(TrainError::unfit(key, what));
        }
        let (mean, std) = split.train.mean_std();
        let architecture = config.model.architecture(&dataset)?;
        if config.train.flip && dataset.image().is_none() {
            let text = format!("train.flip = true: samples of shape {:?} are no images; must be false", dataset.shape);
            return Err(TrainError::unfit("train.flip", text));
        }
        if config.train.dequantise && dataset.levels.is_none() {
            let text = format!("train.dequantise = true: the values of {} are continuous; must be false", dataset.name);
            return Err(TrainError::unfit("train.dequantise", text));
        }
        if let (config::Sde::Learned(sde::Learned { ends: sde::Ends::Learned, .. }), None) =
            (&config.sde, dataset.levels)
        {
            let text = format!("sde.ends = \"learned\": the values of {} are continuous; must be fixed", dataset.name);
            return Err(TrainError::unfit("sde.ends", text));
        }
        let mut experiment = Self {
            config: config.clone(),
            train: split.train,
            held_out: split.held_out,
            mixture: dataset.exact,
            sde,
            sigma_data: mean.hypot(std).max(1e-6),
            architecture,
            parameters: Vec::new(),
            arena_elements: 0,
        };
        let mut graph = Graph::new();
        drop(experiment.model(&mut graph, Purpose::Draw));
        experiment.parameters = graph.parameters().to_vec();
        experiment.arena_elements = graph.arena_elements();
        Ok(experiment)
    }

    /// Whether there is a network.
    pub fn is_trainable(&self) -> bool {
        self.architecture.is_some()
    }

    /// Coordinates of a sample.
    pub fn dims(&self) -> usize {
        self.train.dim()
    }

    /// Samples that training takes at a time: those of a step, or of one of the parts in which it is accumulated.
    pub fn batch(&self) -> u32 {
        (self.config.train.batch / self.parts()) as u32
    }

    /// Parts of a training step.
    pub fn parts(&self) -> usize {
        self.config.train.accumulate
    }

    /// The program that takes most of training's time.
    pub fn busiest_program(&self) -> &'static str {
        if self.parts() > 1 { "accumulate" } else { "train" }
    }

    /// The network's parameters in the order of the arena.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.parameters.iter().map(Parameter::elements).sum()
    }

    /// Length of the parameter arena.
    pub fn arena_elements(&self) -> usize {
        self.arena_elements
    }

    /// The width of the intervals that values of discrete levels stand for; `None` for continuous data.
    pub fn bin_width(&self) -> Option<f64> {
        self.train.levels.map(|levels| 2.0 / f64::from(levels.max(2) - 1))
    }

    /// The width of the intervals over which training spreads values, if it does.
    fn spread(&self) -> Option<f64> {
        self.bin_width().filter(|_| self.config.train.dequantise)
    }

    /// The images half of which training mirrors, if it does.
    fn flipped(&self) -> Option<[usize; 3]> {
        self.train.image().filter(|_| self.config.train.flip)
    }

    fn optimizer(&self) -> Optimizer {
        let train = &self.config.train;
        Optimizer {
            learning_rate: LearningRate {
                peak: train.learning_rate,
                warmup_steps: train.warmup_steps,
                cosine_steps: (train.schedule == config::Schedule::Cosine).then_some(train.steps),
            },
            beta1: train.beta1,
            beta2: train.beta2,
            epsilon: train.epsilon,
            weight_decay: train.weight_decay,
            clip_norm: (train.clip_norm > 0.0).then_some(train.clip_norm),
            ema_decay: train.ema_decay,
            averages: Vec::new(),
        }
    }

    /// A device with the programs of training: `train`, `evaluate` and those of [`drawing_engine`](Self::drawing_engine).
    ///
    /// # Errors
    /// When they do not fit the device.
    pub fn training_engine(&self, device: &Device) -> Result<Box<dyn Engine>, EngineError> {
        engine::load(device, &sources(&self.training_graphs()), self.largest_batch())
    }

    /// The plan of everything that this config can be asked for, for a device with these limits.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn plan(&self, options: &lower::Options) -> Result<Plan, EngineError> {
        let graphs = if self.is_trainable() {
            self.training_graphs()
        } else {
            self.drawing_graphs(&self.drawing(&self.config.sample.sampler()))
        };
        let options = lower::Options { max_batch: self.largest_batch(), ..*options };
        Ok(lower::lower(&sources(&graphs), &options)?)
    }

    /// The largest batch that any program of training runs.
    fn largest_batch(&self) -> u32 {
        self.batch().max(self.chunk(self.config.sample.n)).max(self.evaluation_batch())
    }

    /// The graphs of training and drawing, with the store's arena that each takes its parameters from.
    pub fn training_graphs(&self) -> Vec<(&'static str, Graph, &'static str)> {
        let objective = self.objective();
        let optimizer = self.optimizer();
        let step = TrainingStep {
            sde: self.sde.as_ref(),
            loss: objective.as_ref(),
            optimizer: &optimizer,
            data: source(&self.train),
            flip: self.flipped(),
            dequantise: self.spread(),
            ring_rows: RING_ROWS,
        };
        let model = |graph: &mut Graph| self.model(graph, Purpose::Train);
        let mut graphs = match self.parts() {
            1 => vec![("train", training_step(&step, model), "params")],
            parts => vec![
                ("accumulate", accumulation_step(&step, parts, model), "params"),
                ("train", update_step(&step, model), "params"),
            ],
        };
        let exact = self.exact().filter(|_| self.knows_least_loss());
        let spec = Evaluation {
            sde: self.sde.as_ref(),
            loss: objective.as_ref(),
            data: source(&self.held_out),
            exact: exact.as_deref(),
            dequantise: self.spread(),
            times: self.evaluation_samples(),
        };
        graphs.push(("evaluate", evaluation_step(&spec, |graph| self.model(graph, Purpose::Evaluate)), "ema"));
        graphs.extend(self.drawing_graphs(&self.drawing(&self.config.sample.sampler())));
        graphs
    }

    /// The programs of a sampler on the config's grid, without guidance and with noise of its own.
    pub fn drawing<'a>(&self, sampler: &'a AnySampler<'a>) -> Drawing<'a> {
        let rows = sampler.rows(&self.config.grid());
        Drawing { sampler, rows, noise: Noise::Drawn, guided: false }
    }

    /// The graphs of sampling and scoring with the averaged weights.
    fn drawing_graphs(&self, drawing: &Drawing) -> Vec<(&'static str, Graph, &'static str)> {
        let Drawing { sampler, rows, noise, guided } = *drawing;
        let (rows, dims) = (Self::table_rows(rows), self.dims());
        let purpose = if guided { Purpose::DrawGuided } else { Purpose::Draw };
        let model = |graph: &mut Graph| self.model(graph, purpose);
        let sde = self.sde.as_ref();
        let mut graphs = vec![("prior", prior_draw(sde, dims), "ema")];
        match sampler {
            AnySampler::Stepwise(sampler) => {
                graphs.push(("sample", sampling_step_with(sampler.as_ref(), dims, rows, noise, model), "ema"));
            }
            AnySampler::Adaptive(sampler) => graphs.extend([
                ("begin", adaptive_begin(sampler.as_ref(), sde, dims, model), "ema"),
                ("sample", adaptive_step(sampler.as_ref(), sde, dims, model), "ema"),
                ("end", denoised_end(sde, dims, model), "ema"),
            ]),
        }
        graphs.push(self.score_program());
        let gridded = matches!(sampler, AnySampler::Stepwise(_));
        if gridded && self.config.sample.spacing == Some(sampler::Spacing::EqualWork) {
            let work = work_graph(sde, dims, |graph| self.model(graph, Purpose::Draw));
            graphs.push((WORK, work, "ema"));
        }
        graphs
    }

    fn score_program(&self) -> (&'static str, Graph, &'static str) {
        ("score", score_graph(self.dims(), |graph| self.model(graph, Purpose::Draw)), "ema")
    }

    /// A device with the program `score`, for `n` points.
    ///
    /// # Errors
    /// When it does not fit the device.
    pub fn scoring_engine(&self, device: &Device, n: usize) -> Result<Box<dyn Engine>, EngineError> {
        let mut engine = engine::load(device, &sources(&[self.score_program()]), self.chunk(n))?;
        self.fill_drawing(engine.as_mut())?;
        Ok(engine)
    }

    /// A device with the programs `prior`, `sample` (for adaptive samplers also `begin` and `end`) and `score`, for at most
    /// `rows` rows of a batch.
    ///
    /// # Errors
    /// When they do not fit the device.
    pub fn drawing_engine(
        &self,
        device: &Device,
        drawing: &Drawing,
        rows: u32,
    ) -> Result<Box<dyn Engine>, EngineError> {
        let graphs = self.drawing_graphs(drawing);
        let mut engine = engine::load(device, &sources(&graphs), rows)?;
        self.fill_drawing(engine.as_mut())?;
        Ok(engine)
    }

    /// Rows that a plan has room for where a sampler's table has so many.
    pub fn table_rows(rows: usize) -> usize {
        TABLE_ROWS.max(rows)
    }

    /// How many of `n` samples are taken at a time: as many as the network wants at most.
    pub fn chunk(&self, n: usize) -> u32 {
        let training_batch = self.batch() as usize;
        let most = self.architecture.as_ref().map_or(LARGEST_CHUNK, |network| network.largest_chunk(training_batch));
        n.clamp(1, most.clamp(1, LARGEST_CHUNK)) as u32
    }

    /// How many of `n` samples are taken at a time where each has so many rows of a batch: as many as
    /// [`chunk`](Self::chunk) has room for, and at least one.
    pub fn samples_at_a_time(&self, n: usize, particles: usize) -> usize {
        (self.chunk(n.saturating_mul(particles)) as usize / particles).max(1)
    }

    /// Classes that the network knows; 0 where it is told none.
    pub fn classes(&self) -> usize {
        self.architecture.as_ref().map_or(0, |network| network.classes())
    }

    /// Whether the model knows samples of which no class is said: as in training, where a share of classes is withheld.
    pub fn knows_any_class(&self) -> bool {
        self.classes() == 0 || self.config.model.label_dropout() > 0.0
    }

    /// Samples of one evaluation run.
    pub fn evaluation_batch(&self) -> u32 {
        self.chunk(self.evaluation_samples())
    }

    /// Samples of a whole evaluation: every held-out sample at least once, whole rounds of levels.
    pub fn evaluation_samples(&self) -> usize {
        self.held_out.len().max(LARGEST_CHUNK).next_multiple_of(LEVELS)
    }

    /// The noise level of each sample of an evaluation, as a number among [`evaluation_times`](Self::evaluation_times).
    pub fn evaluation_levels(&self) -> Vec<usize> {
        levels_of_samples(self.held_out.len(), self.evaluation_samples(), self.evaluation_seed())
    }

    /// The times at which the held-out loss is measured: the middles of equal parts of the way from t_min to t_max; without
    /// noise all the same.
    pub fn evaluation_times(&self) -> Vec<f64> {
        if self.is_without_noise() {
            return vec![self.time_without_noise(); LEVELS];
        }
        // Not where a learned schedule has its ends by now, so that evaluations of a run compare.
        let process = self.config.sde.process();
        let (low, high) = (process.t_min(), process.t_max());
        (0..LEVELS).map(|level| low + (high - low) * (level as f64 + 0.5) / LEVELS as f64).collect()
    }

    /// Puts data into the store.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn fill_store(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        upload(engine, names::DATASET, &self.train)?;
        upload(engine, evaluation_names::DATASET, &self.held_out)?;
        let times = self.evaluation_times();
        let times: Vec<f32> = self.evaluation_levels().into_iter().map(|level| times[level] as f32).collect();
        engine.set_floats(evaluation_names::TIMES, &times)?;
        engine.set_floats(evaluation_names::STATUS, &[0.0])?;
        engine.set_floats(names::RING, &vec![0.0; RING_ROWS * RING_COLUMNS])?;
        engine.set_floats(names::STATUS, &[0.0])?;
        engine.set_floats(accumulation_names::PARTS, &[0.0])?;
        engine.set_floats(names::STRATA, &TimeSampling::strata(self.config.train.batch))?;
        self.fill_labels(engine)?;
        self.fill_drawing(engine)
    }

    pub(in crate::train) fn fill_drawing(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if let Some(mixture) = &self.mixture {
            for (name, values) in nn::Mixture::states(mixture.weights(), mixture.means(), mixture.widths()) {
                let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                engine.set_floats(name, &values)?;
            }
        }
        for constant in self.architecture.iter().flat_map(|network| network.constants()) {
            engine.set_floats(constant.name, &constant.values)?;
        }
        engine.set_floats(sampler::names::STATUS, &[0.0])
    }

    /// Which classes samples `first..first + count` are drawn of, for a model that knows classes.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_classes(
        &self,
        engine: &mut dyn Engine,
        classes: Classes<'_>,
        first: usize,
        count: usize,
    ) -> Result<(), EngineError> {
        self.set_classes_of(engine, classes, first..first + count)
    }

    /// [`set_classes`](Self::set_classes) of these samples, one for each row of a batch.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_classes_of(
        &self,
        engine: &mut dyn Engine,
        classes: Classes<'_>,
        samples: impl Iterator<Item = usize>,
    ) -> Result<(), EngineError> {
        let all = self.classes();
        if all == 0 {
            return Ok(());
        }
        let class = |sample: usize| match classes {
            Classes::Any => all,
            Classes::One(class) => class as usize,
            Classes::InTurn => sample % all,
            Classes::Each(classes) => classes[sample] as usize,
        };
        let values: Vec<f32> = samples.map(|sample| class(sample) as f32).collect();
        engine.set_floats(label_names::CLASS, &values)
    }

    /// How far samples are moved towards their class, for programs made for guidance.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_guidance(&self, engine: &mut dyn Engine, guidance: f64) -> Result<(), EngineError> {
        engine.set_floats(label_names::GUIDANCE, &[guidance as f32])
    }

    fn fill_labels(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if self.classes() == 0 {
            return Ok(());
        }
        for (name, data) in [(label_names::LABELS, &self.train), (label_names::HELD_OUT, &self.held_out)] {
            let labels: Vec<f32> = data.labels.iter().flatten().map(|label| *label as f32).collect();
            engine.set_floats(name, &labels)?;
        }
        Ok(())
    }

    /// First weights, from the seed; the moments start at zero, the average at the weights.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn initialise(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let mut graph = Graph::new();
        drop(self.model(&mut graph, Purpose::Draw));
        let weights = nn::initial_parameters(&graph, self.config.train.seed);
        let zeros = vec![0.0; weights.len()];
        engine.set_floats("params", &weights)?;
        engine.set_floats("ema", &weights)?;
        engine.set_floats("adam_m", &zeros)?;
        engine.set_floats("adam_v", &zeros)?;
        for (state, elements) in self.learned_states() {
            engine.set_floats(state, &vec![1.0; elements])?;
        }
        Ok(())
    }

    /// States besides the arenas that training changes and a resumed run needs, all 1 at first: name and length.
    pub fn learned_states(&self) -> Vec<(&'static str, usize)> {
        match self.config.loss.levels().time(self.config.train.batch, self.parts()) {
            TimeSampling::LossSecondMoment(SecondMoments { bins }) => vec![(second_moment_names::SECOND_MOMENTS, bins)],
            _ => Vec::new(),
        }
    }

    /// Sets the training clock to `step` steps done.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_clock(&self, engine: &mut dyn Engine, step: u64) -> Result<(), EngineError> {
        engine.set_words(names::CLOCK, &clock(step as u32, 0, self.config.train.seed))
    }
}

/// The classes of samples, where a network knows classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes<'a> {
    /// The network is told none.
    Any,
    /// All of this one.
    One(u32),
    /// Sample i is of class i, beginning again after the last class.
    InTurn,
    /// The class of every sample.
    Each(&'a [u32]),
}

/// The words of a clock.
pub fn clock(step: u32, sample_base: u32, seed: u64) -> [u32; 4] {
    [step, sample_base, seed as u32, (seed >> 32) as u32]
}

/// What an engine is to draw with.
#[derive(Clone, Copy)]
pub struct Drawing<'a> {
    /// The sampler.
    pub sampler: &'a AnySampler<'a>,
    /// Rows of its table.
    pub rows: usize,
    /// Where the noise of its steps is from.
    pub noise: Noise,
    /// Whether samples are drawn with guidance.
    pub guided: bool,
}

fn sources<'a>(graphs: &'a [(&'static str, Graph, &'static str)]) -> Vec<lower::Source<'a>> {
    graphs.iter().map(|(name, graph, arena)| lower::Source { name, graph, parameters_from: arena }).collect()
}

fn source(data: &Dataset) -> Source {
    let storage = match &data.values {
        Values::F32(_) => Storage::F32,
        Values::U8 { scale, shift, .. } => Storage::U8 { scale: *scale, shift: *shift },
    };
    Source { rows: data.len(), dims: data.dim(), storage }
}

fn upload(engine: &mut dyn Engine, name: &str, data: &Dataset) -> Result<(), EngineError> {
    match &data.values {
        Values::F32(values) => engine.set_floats(name, values),
        Values::U8 { bytes, .. } => engine.set_bytes(name, bytes),
    }
}
