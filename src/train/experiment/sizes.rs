//! How much an experiment does at a time.

use crate::nn::architecture::LARGEST_CHUNK;
use crate::train::experiment::evaluation_levels::levels_of_samples;
use crate::train::experiment::{Experiment, LEVELS};

/// Moments of a trajectory that the pictures of a run show.
pub const FRAMES: usize = 48;
/// Samples of an evaluation at least, so that few held-out samples are seen at several levels.
const LEAST_EVALUATED: usize = 1024;
/// Rows of a sampler's table, unless more are asked for: so that the number of steps changes no plan.
const TABLE_ROWS: usize = 4096;

impl Experiment {
    /// Coordinates of a sample.
    pub fn dims(&self) -> usize {
        self.train_data.dim()
    }

    /// Samples that training takes at a time: those of a step, or of one of its micro-batches.
    pub fn batch(&self) -> u32 {
        (self.config.train.batch / self.micro_batches()) as u32
    }

    /// Micro-batches of a training step: `train.accumulate`.
    pub fn micro_batches(&self) -> usize {
        self.config.train.accumulate
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
        let particles = particles.max(1);
        (self.chunk(n.saturating_mul(particles)) as usize / particles).max(1)
    }

    /// The largest batch that any program of training runs.
    pub(super) fn largest_batch(&self) -> u32 {
        self.batch().max(self.chunk(self.config.sample.n)).max(self.evaluation_batch())
    }

    /// The width of the intervals that values of discrete levels stand for; `None` for continuous data.
    pub fn bin_width(&self) -> Option<f64> {
        self.train_data.levels.map(|levels| 2.0 / f64::from(levels.max(2) - 1))
    }

    /// The width of the intervals over which training spreads values, if it does.
    pub(super) fn spread(&self) -> Option<f64> {
        self.bin_width().filter(|_| self.config.train.dequantise)
    }

    /// The images half of which training mirrors, if it does.
    pub(super) fn flipped(&self) -> Option<[usize; 3]> {
        self.train_data.image().filter(|_| self.config.train.flip)
    }

    /// Samples of one evaluation run.
    pub fn evaluation_batch(&self) -> u32 {
        self.chunk(self.evaluation_samples())
    }

    /// Samples of a whole evaluation: every held-out sample at least once, whole rounds of levels.
    pub fn evaluation_samples(&self) -> usize {
        self.held_out.len().max(LEAST_EVALUATED).next_multiple_of(LEVELS)
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
}
