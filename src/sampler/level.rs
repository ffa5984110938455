//! One noise level of a sampler's path, in numbers.

use crate::sde::Sde;

/// alpha below which x says nothing of data of about unit size in f32. (Where alpha is 1, data are as large as the
/// noise that the process was given for them.)
const NO_SIGNAL: f64 = 1e-8;

/// A noise level: what a table's coefficients are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The time that the model is told.
    pub t: f64,
    /// Factor of x_0, in [0, 1].
    pub alpha: f64,
    /// Standard deviation of x given x_0, at least 0.
    pub sigma: f64,
    /// ln(alpha / sigma), half of the log-SNR: −∞ where nothing is left of the data, ∞ where there is no noise.
    pub half_log_snr: f64,
}

impl Level {
    /// The level with these numbers, for paths that no process of this crate takes.
    pub fn new(t: f64, alpha: f64, sigma: f64) -> Self {
        Self { t, alpha, sigma, half_log_snr: (alpha / sigma).ln() }
    }

    /// The level of a process at time `t`. Less signal than floats can tell from none counts as none.
    pub fn at(sde: &dyn Sde, t: f64) -> Self {
        let at = sde.at(t);
        if at.alpha < NO_SIGNAL {
            return Self::new(t, 0.0, at.sigma);
        }
        Self { t, alpha: at.alpha, sigma: at.sigma, half_log_snr: 0.5 * at.log_snr }
    }

    /// No noise at all: where denoised samples are. The model is never asked there, so its time is that of `last`.
    pub fn clean(last: f64) -> Self {
        Self::new(last, 1.0, 0.0)
    }

    /// Whether this level is without noise.
    pub fn is_clean(&self) -> bool {
        self.sigma == 0.0
    }

    /// sigma / alpha.
    pub fn noise_to_signal(&self) -> f64 {
        self.sigma / self.alpha
    }

    /// h = λ′ − λ, how much half the log-SNR grows on the way to `next`. With it, e^{−h} is s′ / s (s = sigma / alpha),
    /// and 1 − e^{−2h} is the share of this level's noise that was added since `next`.
    pub fn growth(&self, next: &Self) -> f64 {
        next.half_log_snr - self.half_log_snr
    }

    /// The exact solution of the probability flow from here to `next` for a denoised value that does not change:
    /// the factors of x and of denoised.
    pub fn flow(&self, next: &Self) -> [f64; 2] {
        [next.sigma / self.sigma, -next.alpha * (-self.growth(next)).exp_m1()]
    }
}

/// The numbers of neighbouring levels before level `i`, newest first, that half the log-SNR is finite at: how far back
/// a multistep method may look, level `i` itself included. At least 1.
pub(super) fn usable(levels: &[Level], i: usize) -> usize {
    levels[..=i].iter().rev().take_while(|level| level.half_log_snr.is_finite()).count().max(1)
}
