//! The time grid on which a model does equally much between neighbouring times, measured with the model itself.

use crate::engine::Engine;
use crate::graph::random::{normals_f64, philox4x32_10, stream};
use crate::sde::{Paced, equal_work};
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment};
use crate::train::program_names::WORK;

/// `x0` and `noise`, `[Batch, D]`; two times, `[1]`.
const INPUTS: [&str; 4] = ["x0", "noise", "t", "t_next"];
/// Held-out samples that are looked at.
const SAMPLES: usize = 1024;
/// Parts of the way, by time and again by ln SNR, between whose ends the model is asked.
const PARTS: usize = 32;
/// Steps of the schedule.
const PIECES: usize = 512;

/// Measures how far the denoised of held-out samples moves between neighbouring noise levels, with an engine that has the
/// program [`WORK`], and gives the process the schedule along which it moves evenly (Williams et al. 2024). The noise is
/// of `seed`.
///
/// # Errors
/// When the model's work is not finite or nothing at all, or the device is lost.
pub(super) fn paced<'a>(
    engine: &mut dyn Engine,
    experiment: &'a Experiment,
    seed: u64,
) -> Result<Paced<'a>, TrainError> {
    let dims = experiment.dims();
    let [x0, noise, t, t_next] = INPUTS;
    let n = SAMPLES.min(experiment.held_out().len()).min(experiment.chunk(SAMPLES) as usize);
    let data = experiment.held_out().values.to_f32();
    experiment.set_classes(engine, Classes::Any, 0, n)?;
    engine.set_input(WORK, x0, n as u32, &data[..n * dims])?;
    engine.set_input(WORK, noise, n as u32, &normals(n * dims, seed))?;
    let times = times(experiment);
    let mut distances = Vec::with_capacity(times.len());
    for pair in times.windows(2) {
        engine.set_input(WORK, t, n as u32, &[pair[0] as f32])?;
        engine.set_input(WORK, t_next, n as u32, &[pair[1] as f32])?;
        engine.run(WORK, n as u32, 1)?;
        let work = engine.output(WORK, "work")?;
        if let Some(point) = work[..n].iter().position(|work| !work.is_finite()) {
            return Err(TrainError::ScoreNotFinite { quantity: "denoised", point, t: pair[1] });
        }
        distances.push((work[..n].iter().map(|work| f64::from(*work)).sum::<f64>() / n as f64).sqrt());
    }
    if distances.iter().sum::<f64>() <= 0.0 {
        return Err(TrainError::unfit(
            "sample.spacing",
            "sample.spacing = \"equal-work\": what the model makes of x is the same at every noise level; choose another \
             spacing",
        ));
    }
    Ok(Paced { process: experiment.sde(), times: equal_work(&times, &distances, PIECES) })
}

/// Rising times from t_min to t_max: those that are even in time, and those that are even in ln SNR, as far as there is
/// signal.
fn times(experiment: &Experiment) -> Vec<f64> {
    let sde = experiment.sde();
    let (low, high) = (sde.t_min(), sde.t_max());
    let share = |i: usize| i as f64 / PARTS as f64;
    let even = (0..=PARTS).map(|i| low + share(i) * (high - low));
    // Where nothing is left at the end, the last of it is of no use to count from.
    let end = if sde.loses_all_signal() { low + 0.95 * (high - low) } else { high };
    let [most, least] = [low, end].map(|t| sde.at(t).log_snr);
    let by_noise = (1..PARTS).map(|i| (-0.5 * (most + share(i) * (least - most))).exp());
    let mut times: Vec<f64> = even.chain(by_noise.filter_map(|ratio| sde.t_of_noise_to_signal(ratio).ok())).collect();
    times.retain(|t| (low..=high).contains(t));
    times.sort_by(f64::total_cmp);
    // Closer than floats can tell apart is the same.
    times.dedup_by(|next, before| *next - *before < 1e-6 * (high - low));
    if let Some(last) = times.last_mut() {
        *last = high;
    }
    times
}

/// Standard normal numbers.
fn normals(count: usize, seed: u64) -> Vec<f32> {
    let key = [seed as u32, (seed >> 32) as u32];
    let quads = (0..count.div_ceil(4) as u32)
        .flat_map(|quad| normals_f64(philox4x32_10([quad, 0, 0, stream("work.noise")], key)));
    quads.take(count).map(|z| z as f32).collect()
}
