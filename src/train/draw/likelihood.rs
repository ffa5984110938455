//! The likelihood of data under a model, by the programs of [`crate::likelihood`].

use crate::engine::{self, Device, Engine, Program};
use crate::likelihood::{
    Bound, Divergence, FlowLikelihood, bits_per_dimension, bound_states, flow_states, log_normal_density,
};
use crate::nn::optimizer::states::EMA;
use crate::sampler::dormand_prince::{DormandPrince, EVALUATIONS};
use crate::sde::flow_is_finite;
use crate::train::draw::adaptive::{Arrival, AtFault, arrive};
use crate::train::draw::samples::Evaluations;
use crate::train::error::TrainError;
use crate::train::experiment::model::Purpose;
use crate::train::experiment::{Classes, Experiment, clock};
use crate::train::program_names;

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
    /// The samples, `[n, D]`, at least one.
    pub data: &'a [f32],
    /// The width of the intervals that their values stand for; `None` for continuous data.
    pub bin_width: Option<f64>,
    /// Their classes, for a model that knows classes.
    pub classes: Classes<'a>,
    /// How.
    pub method: Method,
    /// How often, each time with other random numbers; at least 1.
    pub repeats: u32,
    /// Of all random numbers.
    pub seed: u64,
}

impl Question<'_> {
    /// Whether it can be answered for this experiment.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub fn check(&self, experiment: &Experiment) -> Result<(), TrainError> {
        let (sde, dims, found) = (experiment.sde(), experiment.dims(), self.data.len());
        let bad = |text: String| Err(TrainError::Bad(text));
        if found == 0 || !found.is_multiple_of(dims) {
            return bad(format!(
                "{found} values for samples of {dims}: must be a multiple of {dims}, and at least {dims}"
            ));
        }
        self.classes.check(experiment.classes(), found / dims)?;
        if self.repeats == 0 {
            return bad("0 repetitions: must be at least 1".to_owned());
        }
        let [name, end] = [sde.name().to_owned(), sde.t_max().to_string()];
        match self.method {
            Method::Flow { .. } if !flow_is_finite(sde) => bad(format!(
                "the probability flow of the {name} process has an endless slope at t = {end}: a likelihood needs a process \
                 that ends before, such as sde.t_max = 0.9999"
            )),
            Method::Bound { .. } if sde.loses_all_signal() => bad(format!(
                "the variational bound needs a process that keeps some signal, and {name} has none at t = {end}: must be the \
                 flow"
            )),
            Method::Bound { times: 0 } => bad("a bound from 0 noise levels: must be at least 1".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The answer.
#[derive(Debug)]
pub struct Likelihood {
    /// ln p of each sample in nats, the mean over the repetitions; for a bound what it is at least. For data of
    /// discrete levels this is the density of the values spread over their intervals. NaN where there is none: of a
    /// sample that has a fault, or whose turn has not come.
    pub log_density: Vec<f64>,
    /// Where the flow of the first repetition takes each sample, in units of the prior's standard deviation: `[n, D]`,
    /// NaN for samples that do not arrive. From there [`Rk45`](crate::sampler::Rk45) leads back. Empty for a bound.
    pub encoded: Vec<f32>,
    /// Evaluations of the model for a sample, over samples and repetitions.
    pub evaluations: Evaluations,
    /// Why samples have none, in their order: [`TrainError::Stuck`] or [`TrainError::BoundNotFinite`].
    pub faults: Vec<TrainError>,
    /// Whether it was stopped before all were done.
    pub stopped: bool,
    dims: usize,
    bin_width: Option<f64>,
}

/// A mean over samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// NaN over no samples.
    pub value: f64,
    /// Its standard error, from two samples on.
    pub error: Option<f64>,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
        Self { value, error: (n > 1.0).then(|| (squares / (n - 1.0) / n).sqrt()) }
    }
}

impl Likelihood {
    /// Samples that have a density.
    pub fn known(&self) -> usize {
        self.log_density.iter().filter(|nats| nats.is_finite()).count()
    }

    /// Log density in nats, over the samples that have one.
    pub fn nats(&self) -> Mean {
        Mean::of(&self.log_density.iter().copied().filter(|nats| nats.is_finite()).collect::<Vec<_>>())
    }

    /// Bits per dimension, over the same samples.
    pub fn bits_per_dimension(&self) -> Mean {
        let width = self.bin_width.unwrap_or(1.0);
        let known = self.log_density.iter().filter(|nats| nats.is_finite());
        Mean::of(&known.map(|nats| bits_per_dimension(*nats, self.dims, width)).collect::<Vec<_>>())
    }
}

/// Loads the programs that a question needs.
///
/// # Errors
/// When the question makes no sense, or they do not fit the device.
pub fn load(experiment: &Experiment, device: &Device, question: &Question) -> Result<Box<dyn Engine>, TrainError> {
    question.check(experiment)?;
    let dims = experiment.dims();
    let sde = experiment.sde();
    let model = |graph: &mut _| experiment.model(graph, Purpose::Draw);
    let graphs = match question.method {
        Method::Flow { divergence, solver } => {
            let flow = FlowLikelihood { sde, divergence, solver, dims, bin_width: question.bin_width };
            vec![(program_names::BEGIN, flow.begin(model)), (program_names::ADVANCE, flow.advance(model))]
        }
        Method::Bound { .. } => vec![(program_names::BOUND, bound(experiment, question).error(model))],
    };
    let loaded: Vec<Program> =
        graphs.into_iter().map(|(name, graph)| Program { name, graph, parameters_from: EMA }).collect();
    let mut engine = engine::load(device, &loaded, experiment.chunk(question.data.len() / dims))?;
    experiment.fill_drawing(engine.as_mut())?;
    Ok(engine)
}

/// Answers. `progress` is called with the samples done and their number, repetitions counted; it says whether to go on.
/// Samples that have a fault are left out, and what is done when it stops is kept.
///
/// # Errors
/// When the question makes no sense, no sample has a density, or the device is lost.
pub fn evaluate(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    question: &Question,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Likelihood, TrainError> {
    question.check(experiment)?;
    let dims = experiment.dims();
    let n = question.data.len() / dims;
    let chunk = experiment.chunk(n) as usize;
    let total = u64::from(question.repeats) * n as u64;
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); n];
    let mut faults: Vec<Option<TrainError>> = (0..n).map(|_| None).collect();
    let mut used = Vec::new();
    let mut encoded = match question.method {
        Method::Flow { .. } => vec![f32::NAN; n * dims],
        Method::Bound { .. } => Vec::new(),
    };
    let chunks = (0..question.repeats).flat_map(|repeat| (0..n).step_by(chunk).map(move |first| (repeat, first)));
    let mut stopped = false;
    for (repeat, first) in chunks {
        let batch = chunk.min(n - first);
        let before = u64::from(repeat) * n as u64 + first as u64;
        stopped = !progress(before, total);
        if stopped {
            break;
        }
        experiment.set_classes(engine, question.classes, first, batch)?;
        engine.set_floats(flow_states::DATA, &question.data[first * dims..(first + batch) * dims])?;
        let mut taken = Chunk { engine: &mut *engine, experiment, question, repeat, first, batch };
        let mut report = |done: usize| progress(before + done as u64, total);
        let (outcomes, done) = match question.method {
            Method::Flow { .. } => taken.flow(&mut report)?,
            Method::Bound { times } => taken.bound(times, &mut report)?,
        };
        for (sample, outcome) in (first..).zip(outcomes) {
            match outcome {
                Outcome::Known { log_density, evaluations, end } => {
                    found[sample].push(log_density);
                    used.push(evaluations);
                    if repeat == 0 && !end.is_empty() {
                        encoded[sample * dims..][..end.len()].copy_from_slice(&end);
                    }
                }
                Outcome::Fault(error) => faults[sample] = Some(error),
                Outcome::Unknown => {}
            }
        }
        let reached = before + batch as u64;
        stopped = !done || (!report(batch) && reached < total);
        if stopped {
            break;
        }
    }
    let of_sample = |(values, fault): (&Vec<f64>, &Option<TrainError>)| {
        if fault.is_none() { values.iter().sum::<f64>() / values.len() as f64 } else { f64::NAN }
    };
    let log_density: Vec<f64> = found.iter().zip(&faults).map(of_sample).collect();
    let mut faults: Vec<TrainError> = faults.into_iter().flatten().collect();
    if log_density.iter().all(|nats| nats.is_nan()) {
        return Err(if faults.is_empty() { TrainError::Interrupted } else { faults.swap_remove(0) });
    }
    let (evaluations, bin_width) = (Evaluations::of(&used), question.bin_width);
    Ok(Likelihood { log_density, encoded, evaluations, faults, stopped, dims, bin_width })
}

fn bound<'a>(experiment: &'a Experiment, question: &Question) -> Bound<'a> {
    Bound { sde: experiment.sde(), dims: experiment.dims(), bin_width: question.bin_width }
}

/// What is known of a sample in one repetition.
enum Outcome {
    /// `end`: where the flow ends, in units of the prior's standard deviation; empty for a bound.
    Known {
        log_density: f64,
        evaluations: f64,
        end: Vec<f32>,
    },
    Fault(TrainError),
    Unknown,
}

/// Samples that are taken at a time.
struct Chunk<'a> {
    engine: &'a mut dyn Engine,
    experiment: &'a Experiment,
    question: &'a Question<'a>,
    repeat: u32,
    first: usize,
    batch: usize,
}

impl Chunk<'_> {
    /// Log densities along the flow, and whether `report`, called with the number of samples done, let it go to its
    /// end.
    fn flow(&mut self, report: &mut dyn FnMut(usize) -> bool) -> Result<(Vec<Outcome>, bool), TrainError> {
        let (batch, dims) = (self.batch, self.experiment.dims());
        let sde = self.experiment.sde();
        self.engine.set_words(flow_states::CLOCK, &clock(self.repeat, self.first as u32, self.question.seed))?;
        self.engine.run(program_names::BEGIN, batch as u32, 1)?;
        let mut report = |left: usize| report(batch - left);
        let Arrival { tries, times, stuck, stopped } =
            arrive(self.engine, program_names::ADVANCE, batch, AtFault::GoOn, &mut report)?;
        let x = self.engine.floats(flow_states::X, batch * dims)?;
        let volumes = self.engine.floats(flow_states::LOG_VOLUME, batch)?;
        let outcome = |sample: usize| {
            let t = f64::from(times[sample]);
            if stuck.contains(&sample) {
                let (path, sigma) = ("probability flow", sde.at(t).sigma);
                return Outcome::Fault(TrainError::Stuck { path, sample: self.first + sample, t, sigma });
            }
            if times[sample] != sde.t_max() as f32 {
                return Outcome::Unknown;
            }
            let (end, prior) = (&x[sample * dims..(sample + 1) * dims], sde.prior_sigma());
            let x: Vec<f64> = end.iter().map(|x| f64::from(*x)).collect();
            Outcome::Known {
                log_density: log_normal_density(&x, prior) + f64::from(volumes[sample]),
                evaluations: 1.0 + EVALUATIONS as f64 * f64::from(tries[sample]),
                end: end.iter().map(|x| x / prior as f32).collect(),
            }
        };
        Ok(((0..batch).map(outcome).collect(), !stopped))
    }

    /// The same for bounds, each from the model's error at one time in each of `times` equal parts of log_snr. Errors
    /// at some of them make no bound: a sample has it only at the end.
    fn bound(
        &mut self,
        times: usize,
        report: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(Vec<Outcome>, bool), TrainError> {
        let (batch, dims) = (self.batch, self.experiment.dims());
        let bound = bound(self.experiment, self.question);
        let drawn = bound.times();
        let seed = self.question.seed;
        let mut errors = vec![0.0; batch];
        // The time at which a sample's error is not finite.
        let mut faults: Vec<Option<f64>> = vec![None; batch];
        for part in 0..times {
            if part > 0 && !report(batch * part / times) {
                return Ok(((0..batch).map(|_| Outcome::Unknown).collect(), false));
            }
            let step = self.repeat * times as u32 + part as u32;
            self.engine.set_words(flow_states::CLOCK, &clock(step, self.first as u32, seed))?;
            let time = |i: usize| drawn.drawn((part, times), seed, step, (self.first + i) as u32) as f32;
            let t: Vec<f32> = (0..batch).map(time).collect();
            self.engine.set_floats(bound_states::TIME, &t)?;
            self.engine.run(program_names::BOUND, batch as u32, 1)?;
            let found = self.engine.floats(bound_states::ERROR, batch)?;
            for (sample, error) in found.into_iter().enumerate() {
                errors[sample] += f64::from(error) / times as f64;
                if !error.is_finite() {
                    faults[sample].get_or_insert(f64::from(t[sample]));
                }
            }
        }
        let outcome = |sample: usize| {
            let first = (self.first + sample) * dims;
            if let Some(t) = faults[sample] {
                let sigma = self.experiment.sde().at(t).sigma;
                return Outcome::Fault(TrainError::BoundNotFinite { sample: self.first + sample, t, sigma });
            }
            let x: Vec<f64> = self.question.data[first..first + dims].iter().map(|x| f64::from(*x)).collect();
            Outcome::Known { log_density: -bound.nats(&x, errors[sample]), evaluations: times as f64, end: Vec::new() }
        };
        Ok(((0..batch).map(outcome).collect(), true))
    }
}
