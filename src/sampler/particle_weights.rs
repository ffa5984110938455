//! Weights of groups of particles, and their resampling.

/// The weights of particles in groups of equal size, of which each stands for one sample: group i has the rows
/// `i * particles..(i + 1) * particles` of a batch.
///
/// Weights are logarithms in f64. Only their differences within a group count, so that what all of its particles have
/// in common may be left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ParticleWeights {
    particles: usize,
    log: Vec<f64>,
    /// ln h that is part of `log` already.
    log_twist: Vec<f64>,
}

impl ParticleWeights {
    /// Equal weights.
    ///
    /// # Panics
    /// If a group has no particles.
    pub fn new(groups: usize, particles: usize) -> Self {
        assert!(particles > 0, "a group needs particles");
        Self { particles, log: vec![0.0; groups * particles], log_twist: vec![0.0; groups * particles] }
    }

    /// Takes in a draw of every particle: `log_ratio` is ln p − ln q of the draw, `log_twist` is ln h where it went,
    /// which takes the place of the one before (both `[rows]`, as [`Twisted`](super::Twisted) leaves them).
    pub fn advance(&mut self, log_ratio: &[f32], log_twist: &[f32]) {
        for (((log, old), ratio), new) in self.log.iter_mut().zip(&mut self.log_twist).zip(log_ratio).zip(log_twist) {
            *log += f64::from(*ratio) + f64::from(*new) - *old;
            *old = f64::from(*new);
        }
    }

    /// How many particles of equal weight a group is worth, from 1 to its size: 1 / Σ w² (Kong, Liu and Wong 1994).
    pub fn effective(&self, group: usize) -> f64 {
        1.0 / self.shares(group).iter().map(|share| share * share).sum::<f64>()
    }

    /// Resamples each group that is worth less than half of its size: the rows that take the places of all rows, or
    /// `None` where every group stays as it is. `uniform` gives a number in (0, 1) for a group. The particles of a
    /// resampled group weigh the same.
    ///
    /// Resampling is systematic (Kitagawa 1996): a particle of weight w has K w heirs, rounded up or down.
    pub fn resample(&mut self, uniform: impl Fn(usize) -> f64) -> Option<Vec<usize>> {
        let poor: Vec<usize> = (0..self.groups()).filter(|group| self.effective(*group) < self.half()).collect();
        if poor.is_empty() {
            return None;
        }
        let mut heirs: Vec<usize> = (0..self.log.len()).collect();
        for group in poor {
            let (first, shares, offset) = (group * self.particles, self.shares(group), uniform(group));
            for i in 0..self.particles {
                heirs[first + i] = first + at(&shares, (i as f64 + offset) / self.particles as f64);
            }
            self.log[first..first + self.particles].fill(0.0);
        }
        self.log_twist = heirs.iter().map(|row| self.log_twist[*row]).collect();
        Some(heirs)
    }

    /// One row of each group, drawn by weight. `uniform` gives a number in (0, 1) for a group.
    pub fn choose(&self, uniform: impl Fn(usize) -> f64) -> Vec<usize> {
        (0..self.groups()).map(|group| group * self.particles + at(&self.shares(group), uniform(group))).collect()
    }

    fn groups(&self) -> usize {
        self.log.len() / self.particles
    }

    fn half(&self) -> f64 {
        0.5 * self.particles as f64
    }

    /// The weights of a group, which sum to 1.
    fn shares(&self, group: usize) -> Vec<f64> {
        let log = &self.log[group * self.particles..][..self.particles];
        let most = log.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = log.iter().map(|log| (log - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }
}

/// Which share of a sum of 1 lies at `place`, in (0, 1).
fn at(shares: &[f64], place: f64) -> usize {
    let mut sum = 0.0;
    let found = shares.iter().position(|share| {
        sum += share;
        place < sum
    });
    // Where rounding leaves the sum below 1: the last that weighs anything.
    found.unwrap_or_else(|| shares.iter().rposition(|share| *share > 0.0).unwrap_or(0))
}
