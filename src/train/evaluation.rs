//! The held-out loss, and where a loss went wrong.

use super::engine::{Engine, EngineError};
use super::experiment::{Experiment, LEVELS, RING_COLUMNS, RING_ROWS, clock};
use super::log::LevelLoss;
use crate::loss::{evaluation_names, names};

/// The same samples, times and noise at every evaluation, whatever the training seed.
const SEED: u64 = 0x7477_6565_6469_6500;

/// The held-out loss.
pub struct Evaluation {
    /// Mean over samples and noise levels.
    pub loss: f32,
    /// At each noise level; without noise there is one.
    pub levels: Vec<LevelLoss>,
}

/// Measures the averaged weights on the held-out data.
///
/// # Errors
/// When the device is lost.
pub fn held_out(engine: &mut dyn Engine, experiment: &Experiment) -> Result<Evaluation, EngineError> {
    let (total, batch) = (experiment.evaluation_samples(), experiment.evaluation_batch());
    engine.set_words(evaluation_names::CLOCK, &clock(0, 0, SEED))?;
    let mut sums = [(0.0f64, 0u32); LEVELS];
    let mut seen = 0;
    while seen < total {
        engine.run("evaluate", batch, 1)?;
        let losses = engine.output("evaluate", "per_sample")?;
        for loss in losses.into_iter().take(total - seen) {
            let (sum, count) = &mut sums[seen % LEVELS];
            *sum += f64::from(loss);
            *count += 1;
            seen += 1;
        }
    }
    let mean: f64 = sums.iter().map(|(sum, _)| sum).sum::<f64>() / total as f64;
    let times = experiment.evaluation_times();
    let level = |t: f64, loss: f64| LevelLoss { t: t as f32, sigma: experiment.sigma_at(t) as f32, loss: loss as f32 };
    let levels = match experiment.is_without_noise() {
        true => vec![level(times[0], mean)],
        false => times.iter().zip(sums).map(|(t, (sum, count))| level(*t, sum / f64::from(count.max(1)))).collect(),
    };
    Ok(Evaluation { loss: mean as f32, levels })
}

/// Time and sigma of a sample whose loss was not finite in the step that set the status, if the loss was the reason.
pub fn bad_noise_level(engine: &mut dyn Engine, experiment: &Experiment) -> Option<(f32, f64)> {
    let step = *engine.words(names::CLOCK, 1).ok()?.first()? as usize;
    let ring = engine.floats(names::RING, RING_ROWS * RING_COLUMNS).ok()?;
    let t = *ring.get((step % RING_ROWS) * RING_COLUMNS + 3)?;
    (t >= 0.0).then(|| (t, experiment.sigma_at(f64::from(t))))
}
