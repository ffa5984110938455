//! Adaptive solutions: programs that run until every sample has arrived.

use crate::engine::{Engine, ProgramName};
use crate::sampler::{AdaptiveSampler, states};
use crate::train::draw::request::SampleRequest;
use crate::train::draw::samples::{Evaluations, Samples};
use crate::train::draw::start::start;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::program_names;

/// Steps after which a solution is given up.
const MOST_STEPS: u64 = 100_000;
/// Steps between two looks at how many samples are left. What has arrived stays as it is, so that this changes no bit.
const STEPS_UNSEEN: usize = 16;

/// What becomes of the others where a sample cannot be taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtFault {
    /// They are left where they are.
    Stop,
    /// They go on without it.
    GoOn,
}

/// How a solution ended.
pub(super) struct Arrival {
    /// Steps that each sample has tried.
    pub tries: Vec<f32>,
    /// The time that each has reached, as its solver counts it.
    pub times: Vec<f32>,
    /// The samples that cannot be taken on.
    pub stuck: Vec<usize>,
    /// Whether `report` ended it, with samples on their way.
    pub stopped: bool,
}

/// Runs `program`, a step of an adaptive solver, until all of `batch` samples have arrived or cannot be taken on.
/// `report` is told how many are left, and says whether to go on.
pub(super) fn arrive(
    engine: &mut dyn Engine,
    program: ProgramName,
    batch: usize,
    at_fault: AtFault,
    report: &mut dyn FnMut(usize) -> bool,
) -> Result<Arrival, TrainError> {
    let mut steps = 0;
    loop {
        steps += engine.advance(program, batch as u32, STEPS_UNSEEN)? as u64;
        let left = engine.floats(states::LEFT, 1)?[0] as usize;
        let faults = engine.floats(states::FAULT, batch)?;
        let mut stuck: Vec<usize> = (0..batch).filter(|sample| faults[*sample] != 0.0).collect();
        let given_up = left > 0 && steps > MOST_STEPS;
        let ended = left == 0 || given_up || (at_fault == AtFault::Stop && !stuck.is_empty());
        let stopped = !ended && !report(left);
        if !ended && !stopped {
            continue;
        }
        let tries = engine.floats(states::TRIES, batch)?;
        if given_up {
            // All that are on their way have tried equally often, and most.
            let most = tries.iter().copied().fold(0.0, f32::max);
            stuck.extend((0..batch).filter(|sample| faults[*sample] == 0.0 && tries[*sample] == most));
        }
        return Ok(Arrival { tries, times: engine.floats(states::TIME, batch)?, stuck, stopped });
    }
}

/// [`sampling::draw`](crate::train::draw::sampling::draw) by an adaptive sampler. `progress` is called as they arrive.
pub(super) fn draw(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn AdaptiveSampler,
    request: &SampleRequest,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Samples, TrainError> {
    let dims = experiment.dims();
    let sde = experiment.sde();
    let mut samples = Vec::with_capacity(request.n * dims);
    let mut used = Vec::with_capacity(request.n);
    let chunk = experiment.chunk(request.n) as usize;
    let besides = sampler.evaluations_to_begin() + usize::from(request.grid.denoise);
    let stuck =
        |sample: usize, t: f64| Err(TrainError::Stuck { path: sampler.path(), sample, t, sigma: sde.at(t).sigma });
    for base in (0..request.n).step_by(chunk) {
        let batch = chunk.min(request.n - base);
        start(engine, experiment, &[], request, base, batch)?;
        engine.run(program_names::BEGIN, batch as u32, 1)?;
        let mut report = |left| progress((base + batch - left) as u64, request.n as u64);
        let arrival = arrive(engine, program_names::SAMPLE, batch, AtFault::Stop, &mut report)?;
        if let Some(&sample) = arrival.stuck.first() {
            return stuck(base + sample, sampler.time(sde, f64::from(arrival.times[sample])));
        }
        if arrival.stopped {
            return Err(TrainError::Interrupted);
        }
        if request.grid.denoise {
            engine.run(program_names::END, batch as u32, 1)?;
        }
        let drawn = engine.floats(states::X, batch * dims)?;
        if let Some(place) = drawn.iter().position(|x| !x.is_finite()) {
            return stuck(base + place / dims, sde.t_min());
        }
        samples.extend(drawn);
        let evaluations = |tries: &f32| {
            request.evaluations_each() * ((besides as f64) + sampler.evaluations_per_try() as f64 * f64::from(*tries))
        };
        used.extend(arrival.tries.iter().map(evaluations));
        if !progress((base + batch) as u64, request.n as u64) {
            return Err(TrainError::Interrupted);
        }
    }
    Ok(Samples {
        samples,
        frames: Vec::new(),
        frame_times: Vec::new(),
        times: Vec::new(),
        evaluations: Evaluations::of(&used),
    })
}
