//! Drawing samples in the steps of a grid.

use std::ops::Range;

use crate::engine::Engine;
use crate::sampler::{Sampler, states};
use crate::train::draw::request::SampleRequest;
use crate::train::draw::samples::{Evaluations, Samples};
use crate::train::draw::start::{lay_out, put_back, start};
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::program_names::SAMPLE;

/// Submissions between two looks for values that are not finite; of the first ones, powers of two. A look waits for
/// what is under way.
const SUBMISSIONS_UNSEEN: u64 = 16;

/// [`sampling::draw`](crate::train::draw::sampling::draw) in the steps of a grid.
pub(super) fn draw(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    request: &SampleRequest,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Samples, TrainError> {
    let dims = experiment.dims();
    let (table, times) = lay_out(engine, experiment, sampler, request)?;
    let steps = table.len();
    let kept = kept_steps(steps, request.frames);
    let mut drawn = Samples {
        samples: Vec::with_capacity(request.n * dims),
        frames: vec![Vec::with_capacity(request.n * dims); kept.len()],
        frame_times: kept.iter().map(|step| table.get(*step).map_or(experiment.sde().t_min(), |row| row[0])).collect(),
        times,
        evaluations: Evaluations::even(request.evaluations_each() * sampler.evaluations(&request.grid) as f64),
    };
    let chunk = request.at_a_time(experiment);
    let total = (request.n.div_ceil(chunk) * steps) as u64;
    for base in (0..request.n).step_by(chunk) {
        let batch = chunk.min(request.n - base);
        start(engine, experiment, sampler.states(), request, base, batch)?;
        let (mut step, mut submissions) = (0, 0u64);
        let mut marks = kept.iter().copied().enumerate().peekable();
        loop {
            if let Some((frame, _)) = marks.next_if(|(_, mark)| *mark == step) {
                let mut samples = engine.floats(states::X, batch * dims)?;
                if let (Some(known), true) = (&request.known, step == steps) {
                    put_back(known, base * dims, &mut samples);
                }
                drawn.frames[frame].extend(samples);
            }
            if step == steps {
                break;
            }
            let mut most = marks.peek().map_or(steps, |(_, mark)| *mark) - step;
            if set_step_noise(engine, sampler, request, dims, step, base..base + batch)? {
                most = 1;
            }
            step += engine.advance(SAMPLE, batch as u32, most)?;
            if !progress((base / chunk * steps + step) as u64, total) {
                return Err(TrainError::Interrupted);
            }
            submissions += 1;
            let look = submissions.is_power_of_two() || submissions.is_multiple_of(SUBMISSIONS_UNSEEN);
            if look && engine.floats(states::X, batch * dims)?.iter().any(|x| !x.is_finite()) {
                return Err(find_fault(engine, experiment, sampler, request, base, batch, &table)?);
            }
        }
        let mut samples = engine.floats(states::X, batch * dims)?;
        if let Some(known) = &request.known {
            put_back(known, base * dims, &mut samples);
        }
        if samples.iter().any(|x| !x.is_finite()) {
            return Err(find_fault(engine, experiment, sampler, request, base, batch, &table)?);
        }
        drawn.samples.extend(samples);
    }
    Ok(drawn)
}

/// Puts the noise of step `step` into the store, if it is given.
fn set_step_noise(
    engine: &mut dyn Engine,
    sampler: &dyn Sampler,
    request: &SampleRequest,
    dims: usize,
    step: usize,
    samples: Range<usize>,
) -> Result<bool, TrainError> {
    let Some(noise) = &request.step_noise else { return Ok(false) };
    for i in 0..sampler.draws() {
        let first = (step * sampler.draws() + i) * request.n;
        let values = &noise[(first + samples.start) * dims..(first + samples.end) * dims];
        engine.set_floats(&states::step_noise(i), values)?;
    }
    Ok(true)
}

/// Runs again, step by step, to the first value that is not finite.
fn find_fault(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    request: &SampleRequest,
    base: usize,
    batch: usize,
    table: &[Vec<f64>],
) -> Result<TrainError, TrainError> {
    start(engine, experiment, sampler.states(), request, base, batch)?;
    let steps = table.len() as u64;
    for (step, row) in table.iter().enumerate() {
        set_step_noise(engine, sampler, request, experiment.dims(), step, base..base + batch)?;
        engine.run(SAMPLE, batch as u32, 1)?;
        let x = engine.floats(states::X, batch * experiment.dims())?;
        if x.iter().any(|x| !x.is_finite()) {
            let sigma = experiment.sde().at(row[0]).sigma;
            return Ok(TrainError::SampleNotFinite { step: step as u64 + 1, steps, t: row[0], sigma });
        }
    }
    let t = experiment.sde().t_min();
    Ok(TrainError::SampleNotFinite { step: steps, steps, t, sigma: experiment.sde().at(t).sigma })
}

/// The numbers of steps after which a moment is kept: `frames` of them, evenly spread from 0 to `steps`.
fn kept_steps(steps: usize, frames: usize) -> Vec<usize> {
    if frames == 0 {
        return Vec::new();
    }
    let mut kept: Vec<usize> = (0..frames).map(|frame| frame * steps / (frames - 1).max(1)).collect();
    kept.dedup();
    kept
}
