//! The programs of an experiment: of training, of drawing, of scoring.

use crate::config;
use crate::data::{Dataset, Values};
use crate::engine::{self, Device, Engine, EngineError, Program, ProgramName};
use crate::graph::{Graph, Storage};
use crate::loss::{
    EvaluationSpec, StoredDataset, TrainingStep, accumulation_step, evaluation_step, training_step, update_step,
};
use crate::lower;
use crate::nn::optimizer::states::{EMA, PARAMS};
use crate::nn::{LearningRate, Optimizer};
use crate::plan::Plan;
use crate::sampler::{
    AnySampler, Noise, Spacing, adaptive_begin, adaptive_step, denoised_end, prior_draw, sampling_step_with,
    score_graph,
};
use crate::sde::work_graph;
use crate::train::experiment::model::Purpose;
use crate::train::experiment::{Experiment, RING_ROWS};
use crate::train::program_names::{ACCUMULATE, BEGIN, END, EVALUATE, PRIOR, SAMPLE, SCORE, TRAIN, WORK};

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

/// The programs of training, evaluation and drawing.
#[derive(Clone, Debug)]
pub struct TrainingPrograms {
    /// A micro-batch of a training step, where it has several.
    pub accumulate: Option<Program>,
    /// A training step, or its end.
    pub train: Program,
    /// A batch of the held-out loss.
    pub evaluate: Program,
    /// Those of drawing.
    pub drawing: DrawingPrograms,
}

impl TrainingPrograms {
    /// All, in the order of a plan.
    pub fn list(self) -> Vec<Program> {
        let Self { accumulate, train, evaluate, drawing } = self;
        accumulate.into_iter().chain([train, evaluate]).chain(drawing.list()).collect()
    }
}

/// The programs of sampling and scoring, with the averaged weights.
#[derive(Clone, Debug)]
pub struct DrawingPrograms {
    /// The prior draw.
    pub prior: Program,
    /// What comes before the first step of an adaptive sampler.
    pub begin: Option<Program>,
    /// A step of the sampler.
    pub sample: Program,
    /// The denoised end of an adaptive sampler.
    pub end: Option<Program>,
    /// Score, denoised, epsilon and velocity.
    pub score: Program,
    /// What the model does between two times, where the config's grid goes by it.
    pub work: Option<Program>,
}

impl DrawingPrograms {
    /// All, in the order of a plan.
    pub fn list(self) -> Vec<Program> {
        let Self { prior, begin, sample, end, score, work } = self;
        [Some(prior), begin, Some(sample), end, Some(score), work].into_iter().flatten().collect()
    }
}

impl Experiment {
    /// The program that takes most of training's time.
    pub fn busiest_program(&self) -> ProgramName {
        if self.micro_batches() > 1 { ACCUMULATE } else { TRAIN }
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
        engine::load(device, &self.training_programs().list(), self.largest_batch())
    }

    /// The plan of everything that this config can be asked for, for a device with these limits.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn plan(&self, options: &lower::LowerOptions) -> Result<Plan, EngineError> {
        let programs = if self.is_trainable() {
            self.training_programs().list()
        } else {
            self.drawing_programs(&self.drawing(&self.config.sample.sampler())).list()
        };
        let options = lower::LowerOptions { max_batch: self.largest_batch(), ..*options };
        let sources: Vec<_> = programs.iter().map(Program::source).collect();
        Ok(lower::lower(&sources, &options)?)
    }

    /// The programs of training, evaluation and drawing.
    pub fn training_programs(&self) -> TrainingPrograms {
        let objective = self.objective();
        let optimizer = self.optimizer();
        let step = TrainingStep {
            sde: self.sde(),
            loss: objective.as_ref(),
            optimizer: &optimizer,
            data: source(&self.train_data),
            flip: self.flipped(),
            dequantise: self.spread(),
            ring_rows: RING_ROWS,
        };
        let model = |graph: &mut Graph| self.trainee(graph, Purpose::Train);
        let (accumulate, train) = match self.micro_batches() {
            1 => (None, training_step(&step, model)),
            micro_batches => (Some(accumulation_step(&step, micro_batches, model)), update_step(&step, model)),
        };
        let exact = self.exact().filter(|_| self.knows_least_loss());
        let spec = EvaluationSpec {
            sde: self.sde(),
            loss: objective.as_ref(),
            data: source(&self.held_out),
            exact: exact.as_deref(),
            dequantise: self.spread(),
            times: self.evaluation_samples(),
        };
        TrainingPrograms {
            accumulate: accumulate.map(|graph| trained(ACCUMULATE, graph)),
            train: trained(TRAIN, train),
            evaluate: averaged(EVALUATE, evaluation_step(&spec, |graph| self.model(graph, Purpose::Evaluate))),
            drawing: self.drawing_programs(&self.drawing(&self.config.sample.sampler())),
        }
    }

    /// The programs of a sampler on the config's grid, without guidance and with noise of its own.
    pub fn drawing<'a>(&self, sampler: &'a AnySampler<'a>) -> Drawing<'a> {
        let rows = sampler.rows(&self.config.grid());
        Drawing { sampler, rows, noise: Noise::Drawn, guided: false }
    }

    fn drawing_programs(&self, drawing: &Drawing) -> DrawingPrograms {
        let Drawing { sampler, rows, noise, guided } = *drawing;
        let (rows, dims) = (Self::table_rows(rows), self.dims());
        let purpose = if guided { Purpose::DrawGuided } else { Purpose::Draw };
        let model = |graph: &mut Graph| self.model(graph, purpose);
        let sde = self.sde();
        let (begin, sample, end) = match sampler {
            AnySampler::Stepwise(sampler) => {
                (None, sampling_step_with(sampler.as_ref(), dims, rows, noise, model), None)
            }
            AnySampler::Adaptive(sampler) => (
                Some(adaptive_begin(sampler.as_ref(), sde, dims, model)),
                adaptive_step(sampler.as_ref(), sde, dims, model),
                Some(denoised_end(sde, dims, model)),
            ),
        };
        let gridded = matches!(sampler, AnySampler::Stepwise(_));
        let paced = gridded && self.config.sample.spacing == Some(Spacing::EqualWork);
        let work = || averaged(WORK, work_graph(sde, dims, |graph| self.model(graph, Purpose::Draw)));
        DrawingPrograms {
            prior: averaged(PRIOR, prior_draw(sde, dims)),
            begin: begin.map(|graph| averaged(BEGIN, graph)),
            sample: averaged(SAMPLE, sample),
            end: end.map(|graph| averaged(END, graph)),
            score: self.score_program(),
            work: paced.then(work),
        }
    }

    fn score_program(&self) -> Program {
        averaged(SCORE, score_graph(self.dims(), |graph| self.model(graph, Purpose::Draw)))
    }

    /// A device with the program `score`, for `n` points.
    ///
    /// # Errors
    /// When it does not fit the device.
    pub fn scoring_engine(&self, device: &Device, n: usize) -> Result<Box<dyn Engine>, EngineError> {
        let mut engine = engine::load(device, &[self.score_program()], self.chunk(n))?;
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
        let programs = self.drawing_programs(drawing).list();
        let mut engine = engine::load(device, &programs, rows)?;
        self.fill_drawing(engine.as_mut())?;
        Ok(engine)
    }
}

/// A program that reads the weights that are trained.
fn trained(name: ProgramName, graph: Graph) -> Program {
    Program { name, graph, parameters_from: PARAMS }
}

/// A program that reads their average.
fn averaged(name: ProgramName, graph: Graph) -> Program {
    Program { name, graph, parameters_from: EMA }
}

fn source(data: &Dataset) -> StoredDataset {
    let storage = match &data.values {
        Values::F32(_) => Storage::F32,
        Values::U8 { scale, shift, .. } => Storage::U8 { scale: *scale, shift: *shift },
    };
    StoredDataset { rows: data.len(), dims: data.dim(), storage }
}
