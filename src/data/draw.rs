//! Seeded draws on the host, for data sets that are made and not read.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Uniform and normal numbers from a seed. `StdRng` is ChaCha12 in the locked version of `rand`.
pub(crate) struct Draw {
    rng: StdRng,
    spare: Option<f64>,
}

impl Draw {
    /// A stream that is the same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), spare: None }
    }

    /// Uniform on [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.rng.random()
    }

    /// Standard normal, by Box-Muller.
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare.take() {
            return z;
        }
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Uniform integer below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        self.rng.random_range(0..n)
    }
}
