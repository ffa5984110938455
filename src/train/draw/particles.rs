//! Drawing samples around what is known, each by a group of particles.

use crate::engine::Engine;
use crate::graph::random;
use crate::sampler::states::{LOG_RATIO, LOG_TWIST, SHIFT};
use crate::sampler::{ParticleWeights, Sampler, states};
use crate::train::draw::request::SampleRequest;
use crate::train::draw::samples::{Evaluations, Samples};
use crate::train::draw::start::{lay_out, put_back, start};
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::program_names;

/// [`sampling::draw`](crate::train::draw::sampling::draw) by particles that take
/// [`Twisted`](crate::sampler::Twisted) steps. Keeps no moments of the way: what is drawn in the end has none of its
/// own.
///
/// The host waits for each step, weighs, and where a group has become poor, puts other rows in the place of its own.
pub(super) fn draw(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    request: &SampleRequest,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Samples, TrainError> {
    let (dims, particles) = (experiment.dims(), request.particles());
    let (table, times) = lay_out(engine, experiment, sampler, request)?;
    let steps = table.len();
    let mut drawn = Samples {
        samples: Vec::with_capacity(request.n * dims),
        frames: Vec::new(),
        frame_times: Vec::new(),
        times,
        evaluations: Evaluations::even(request.evaluations_each() * sampler.evaluations(&request.grid) as f64),
    };
    let chunk = request.at_a_time(experiment);
    let total = (request.n.div_ceil(chunk) * steps) as u64;
    for base in (0..request.n).step_by(chunk) {
        let batch = chunk.min(request.n - base);
        let rows = batch * particles;
        start(engine, experiment, sampler.states(), request, base, batch)?;
        let mut weights = ParticleWeights::new(batch, particles);
        for (step, row) in table.iter().enumerate() {
            engine.run(program_names::SAMPLE, rows as u32, 1)?;
            let [log_ratio, log_twist] = [engine.floats(LOG_RATIO, rows)?, engine.floats(LOG_TWIST, rows)?];
            let last = step + 1 == steps;
            let x = if last { engine.floats(states::X, rows * dims)? } else { Vec::new() };
            if [&log_ratio, &log_twist, &x].into_iter().flatten().any(|value| !value.is_finite()) {
                let sigma = experiment.sde().at(row[0]).sigma;
                return Err(TrainError::SampleNotFinite {
                    step: step as u64 + 1,
                    steps: steps as u64,
                    t: row[0],
                    sigma,
                });
            }
            weights.advance(&log_ratio, &log_twist);
            let uniform = |group: usize| uniform(request.seed, base + group, step);
            if last {
                let chosen = weights.choose(uniform);
                let mut samples: Vec<f32> = chosen.iter().flat_map(|row| &x[row * dims..][..dims]).copied().collect();
                if let Some(known) = &request.known {
                    put_back(known, base * dims, &mut samples);
                }
                drawn.samples.extend(samples);
            } else if let Some(heirs) = weights.resample(uniform) {
                for state in [states::X, SHIFT] {
                    let old = engine.floats(state, rows * dims)?;
                    let new: Vec<f32> = heirs.iter().flat_map(|row| &old[row * dims..][..dims]).copied().collect();
                    engine.set_floats(state, &new)?;
                }
            }
            if !progress((base / chunk * steps + step + 1) as u64, total) {
                return Err(TrainError::Interrupted);
            }
        }
    }
    Ok(drawn)
}

/// A number in (0, 1) for a sample after a step, by its address.
fn uniform(seed: u64, sample: usize, step: usize) -> f64 {
    let clock = [step as u32, 0, seed as u32, (seed >> 32) as u32];
    f64::from(random::uniform(random::words(clock, sample as u32, 0, random::stream("particles.resampled"))[0]))
}
