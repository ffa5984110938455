//! The held-out loss, and where a loss went wrong.

use crate::engine::{Engine, EngineError};
use crate::loss::{RING_COLUMNS, Record, evaluation_states, training_states};
use crate::train::experiment::{Experiment, LEVELS, RING_ROWS, clock};
use crate::train::program_names::EVALUATE;
use crate::train::run::log::LevelLoss;

/// The held-out loss.
pub struct HeldOut {
    /// Mean over samples and noise levels.
    pub loss: f32,
    /// At each noise level; without noise there is one.
    pub levels: Vec<LevelLoss>,
}

/// Measures the averaged weights on the held-out data. Level and noise of a sample go by its number, so that the loss
/// is the same, up to rounding, however many are taken at a time.
///
/// # Errors
/// When the device is lost.
pub fn held_out(engine: &mut dyn Engine, experiment: &Experiment) -> Result<HeldOut, EngineError> {
    let (total, batch) = (experiment.evaluation_samples(), experiment.evaluation_batch());
    engine.set_words(evaluation_states::CLOCK, &clock(0, 0, experiment.evaluation_seed()))?;
    let level_of = experiment.evaluation_levels();
    let mut levels = [Moments::default(); LEVELS];
    let knows_least = experiment.knows_least_loss();
    let mut seen = 0;
    while seen < total {
        let batch = batch.min((total - seen) as u32);
        engine.run(EVALUATE, batch, 1)?;
        let losses = engine.output(EVALUATE, "per_sample")?;
        let least = if knows_least { engine.output(EVALUATE, "irreducible")? } else { Vec::new() };
        for (i, loss) in losses.into_iter().enumerate() {
            levels[level_of[seen + i]].add(loss, least.get(i).copied().unwrap_or(f32::NAN));
        }
        seen += batch as usize;
    }
    let mean = levels.iter().map(|level| level.sum).sum::<f64>() / total as f64;
    let of_level = |(t, level): (f64, Moments)| {
        let count = level.count.max(1.0);
        let mean = level.sum / count;
        LevelLoss {
            t: t as f32,
            sigma: experiment.sigma_at(t) as f32,
            loss: mean as f32,
            variance: ((level.squares / count - mean * mean).max(0.0)) as f32,
            irreducible: knows_least.then_some((level.least / count) as f32),
        }
    };
    let times = experiment.evaluation_times();
    let levels = if experiment.is_without_noise() {
        vec![of_level((times[0], levels.into_iter().fold(Moments::default(), Moments::plus)))]
    } else {
        times.into_iter().zip(levels).map(of_level).collect()
    };
    Ok(HeldOut { loss: mean as f32, levels })
}

/// Sums over the samples of a noise level.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
    least: f64,
}

impl Moments {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            least: self.least + other.least,
        }
    }

    fn add(&mut self, loss: f32, least: f32) {
        let loss = f64::from(loss);
        self.count += 1.0;
        self.sum += loss;
        self.squares += loss * loss;
        self.least += f64::from(least);
    }
}

/// Time and sigma of a sample whose loss was not finite in the step that set the status, if the loss was the reason.
pub fn bad_noise_level(engine: &mut dyn Engine, experiment: &Experiment) -> Option<(f32, f64)> {
    let step = u64::from(*engine.words(training_states::CLOCK, 1).ok()?.first()?);
    let ring = engine.floats(training_states::RING, RING_ROWS * RING_COLUMNS).ok()?;
    let t = Record::of(&ring, step)?.bad_time;
    (t >= 0.0).then(|| (t, experiment.sigma_at(f64::from(t))))
}
