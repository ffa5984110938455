//! The likelihood of data under a model, by the programs of [`crate::likelihood`].

use super::adaptive::arrive;
use super::engine::{self, Device, Engine};
use super::error::TrainError;
use super::experiment::{Classes, Experiment, clock};
use super::model::Purpose;
use crate::likelihood::{
    Bound, Divergence, FlowLikelihood, bits_per_dimension, bound_names, log_normal_density, names as flow_names, share,
};
use crate::plan::lower::Source;
use crate::sampler::dormand_prince::{DormandPrince, EVALUATIONS};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The density along the probability flow.
    Flow {
        /// How the divergence is had.
        divergence: Divergence,
        /// The solver.
        solver: DormandPrince,
    },
    /// The variational bound, from so many times for each sample.
    Bound {
        /// At least 1.
        times: usize,
    },
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question<'a> {
    /// The samples, `[n, D]`.
    pub data: &'a [f32],
    /// The width of the intervals that their values stand for; `None` for continuous data.
    pub bin_width: Option<f64>,
    /// How.
    pub method: Method,
    /// How often, each time with other random numbers.
    pub repeats: u32,
    /// Of all random numbers.
    pub seed: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// ln p of each sample in nats, the mean over the repetitions; for a bound what it is at least. For data of discrete
    /// levels this is the density of the values spread over their intervals.
    pub log_density: Vec<f64>,
    /// Where the flow of the first repetition takes each sample, in units of the prior's standard deviation: `[n, D]`. From
    /// there [`Rk45`](crate::sampler::Rk45) leads back. Empty for a bound.
    pub encoded: Vec<f32>,
    /// Evaluations of the model for a sample, mean and most over samples and repetitions.
    pub evaluations: (f64, f64),
}

impl Likelihood {
    /// Mean and standard error over the samples.
    pub fn mean(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, if n > 1.0 { (squares / (n - 1.0) / n).sqrt() } else { f64::NAN })
    }

    /// Bits per dimension: mean and standard error over the samples.
    pub fn bits_per_dimension(&self, dims: usize, bin_width: Option<f64>) -> (f64, f64) {
        let width = bin_width.unwrap_or(1.0);
        let bits: Vec<f64> = self.log_density.iter().map(|nats| bits_per_dimension(*nats, dims, width)).collect();
        Self::mean(&bits)
    }
}

/// Loads the programs that a question needs, for `n` samples.
///
/// # Errors
/// When they do not fit the device.
pub fn load(experiment: &Experiment, device: &Device, question: &Question) -> Result<Box<dyn Engine>, TrainError> {
    let dims = experiment.dims();
    let sde = experiment.sde.as_ref();
    let model = |graph: &mut _| experiment.model(graph, Purpose::Draw);
    let graphs = match question.method {
        Method::Flow { divergence, solver } => {
            let flow = FlowLikelihood { sde, divergence, solver, dims, bin_width: question.bin_width };
            vec![("begin", flow.begin(model)), ("advance", flow.advance(model))]
        }
        Method::Bound { .. } => vec![("bound", bound(experiment, question).error(model))],
    };
    let sources: Vec<Source> =
        graphs.iter().map(|(name, graph)| Source { name, graph, parameters_from: "ema" }).collect();
    let mut engine = engine::load(device, &sources, experiment.chunk(question.data.len() / dims))?;
    experiment.fill_drawing(engine.as_mut())?;
    Ok(engine)
}

/// Answers. `progress` hears of samples done, of how many, repetitions counted; it says whether to go on.
///
/// # Errors
/// When a flow cannot be followed, naming the sample and the noise level; or the device is lost.
pub fn evaluate(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    question: &Question,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Likelihood, TrainError> {
    let dims = experiment.dims();
    let n = question.data.len() / dims;
    let chunk = experiment.chunk(n) as usize;
    let mut log_density = vec![0.0; n];
    let mut encoded = Vec::new();
    let (mut evaluations, mut most) = (0.0, 0.0f64);
    for repeat in 0..question.repeats {
        for first in (0..n).step_by(chunk) {
            let batch = chunk.min(n - first);
            let data = &question.data[first * dims..(first + batch) * dims];
            experiment.set_classes(engine, Classes::Any, first, batch)?;
            engine.set_floats(flow_names::DATA, data)?;
            let mut part = Part { engine: &mut *engine, experiment, question, repeat, first, batch };
            let (values, used) = match question.method {
                Method::Flow { .. } => {
                    let (values, used, ends) = part.flow()?;
                    if repeat == 0 {
                        encoded.extend(ends);
                    }
                    (values, used)
                }
                Method::Bound { times } => part.bound(data, times)?,
            };
            let share = f64::from(question.repeats);
            log_density[first..first + batch].iter_mut().zip(values).for_each(|(sum, value)| *sum += value / share);
            evaluations += used.iter().sum::<f64>();
            most = used.into_iter().fold(most, f64::max);
            let done = u64::from(repeat) * n as u64 + (first + batch) as u64;
            if !progress(done, u64::from(question.repeats) * n as u64) {
                return Err(TrainError::Interrupted);
            }
        }
    }
    let mean = evaluations / (n as f64 * f64::from(question.repeats));
    Ok(Likelihood { log_density, encoded, evaluations: (mean, most) })
}

fn bound<'a>(experiment: &'a Experiment, question: &Question) -> Bound<'a> {
    Bound { sde: experiment.sde.as_ref(), dims: experiment.dims(), bin_width: question.bin_width }
}

/// Samples that are taken at a time.
struct Part<'a> {
    engine: &'a mut dyn Engine,
    experiment: &'a Experiment,
    question: &'a Question<'a>,
    repeat: u32,
    first: usize,
    batch: usize,
}

impl Part<'_> {
    /// Log densities, evaluations of the model, and where the samples end, in units of the prior's standard deviation.
    fn flow(&mut self) -> Result<(Vec<f64>, Vec<f64>, Vec<f32>), TrainError> {
        let (batch, dims) = (self.batch, self.experiment.dims());
        self.engine.set_words(flow_names::CLOCK, &clock(self.repeat, self.first as u32, self.question.seed))?;
        self.engine.run("begin", batch as u32, 1)?;
        let arrival = arrive(self.engine, "advance", batch, &mut |_| true)?;
        if let Some((sample, t)) = arrival.stuck {
            return Err(self.stuck(sample, t));
        }
        let prior = self.experiment.sde.prior_sigma();
        let x = self.engine.floats(flow_names::X, batch * dims)?;
        let volumes = self.engine.floats(flow_names::LOG_VOLUME, batch)?;
        let density = |(x, volume): (&[f32], &f32)| {
            let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            log_normal_density(&x, prior) + f64::from(*volume)
        };
        let values = x.chunks(dims).zip(&volumes).map(density).collect();
        let used = arrival.tries.iter().map(|tries| 1.0 + EVALUATIONS as f64 * f64::from(*tries)).collect();
        Ok((values, used, x.iter().map(|x| x / prior as f32).collect()))
    }

    /// The error of a sample whose flow cannot be followed at t.
    fn stuck(&self, sample: usize, t: f64) -> TrainError {
        let sigma = self.experiment.sde.at(t).sigma;
        TrainError::Stuck { path: "probability flow", sample: self.first + sample, t, sigma }
    }

    /// Bounds, and evaluations of the model: `times` of them, one in each of as many equal parts of log_snr.
    fn bound(&mut self, data: &[f32], times: usize) -> Result<(Vec<f64>, Vec<f64>), TrainError> {
        let (batch, dims) = (self.batch, self.experiment.dims());
        let bound = bound(self.experiment, self.question);
        let mut errors = vec![0.0; batch];
        for draw in 0..times {
            let step = self.repeat * times as u32 + draw as u32;
            let seed = self.question.seed;
            self.engine.set_words(flow_names::CLOCK, &clock(step, self.first as u32, seed))?;
            let place = |i: usize| (draw as f64 + share(seed, step, (self.first + i) as u32)) / times as f64;
            let t: Result<Vec<f32>, _> = (0..batch).map(|i| bound.time(place(i)).map(|t| t as f32)).collect();
            let t = t.map_err(|error| TrainError::bad(error.to_string()))?;
            self.engine.set_floats(bound_names::TIME, &t)?;
            self.engine.run("bound", batch as u32, 1)?;
            let found = self.engine.floats(bound_names::ERROR, batch)?;
            if let Some(sample) = found.iter().position(|error| !error.is_finite()) {
                return Err(self.stuck(sample, f64::from(t[sample])));
            }
            errors.iter_mut().zip(found).for_each(|(sum, error)| *sum += f64::from(error) / times as f64);
        }
        let of_sample = |(x, error): (&[f32], f64)| {
            let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            -bound.nats(&x, error)
        };
        Ok((data.chunks(dims).zip(errors).map(of_sample).collect(), vec![times as f64; batch]))
    }
}
