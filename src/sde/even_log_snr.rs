//! The variance preserving process whose log-SNR falls evenly in time.

use super::paced::down;
use super::{OutOfRange, Sde};
use crate::graph::Expr;

/// Variance preserving, with ln SNR that falls evenly in time, and a learned schedule that says how fast time is gone
/// through: γ(share) = −ln SNR at the time of that share of the way (Kingma, Salimans, Poole and Ho 2021, section 5).
/// Every monotone γ between the same ends is this process at another pace.
///
/// alpha² = S(ln SNR), sigma² = S(−ln SNR) with the sigmoid S.
#[derive(Clone, Debug, PartialEq)]
pub struct EvenLogSnr {
    /// ln SNR at time 0 and, below that, at time 1.
    pub log_snr: [f64; 2],
    /// The schedule: times at evenly spaced shares of the way from data to noise, two or more that rise, in [0, 1]. The
    /// first and the last are where reverse processes end and start.
    pub times: Vec<f64>,
}

impl Default for EvenLogSnr {
    fn default() -> Self {
        Self { log_snr: [13.3, -5.0], times: vec![0.0, 1.0] }
    }
}

impl EvenLogSnr {
    /// What ln SNR falls by.
    fn span(&self) -> f64 {
        self.log_snr[0] - self.log_snr[1]
    }
}

impl Sde for EvenLogSnr {
    fn name(&self) -> &'static str {
        "learned"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        // √S(x) = e^{−softplus(−x) / 2}
        ((-self.log_snr(t)).softplus() * -0.5).exp()
    }

    fn sigma(&self, t: &Expr) -> Expr {
        (self.log_snr(t).softplus() * -0.5).exp()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        t * -self.span() + self.log_snr[0]
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        (self.log_snr(t) * -0.5).exp()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        (-self.log_snr(t)).sigmoid() * self.span()
    }

    fn t_min(&self) -> f64 {
        self.times.first().copied().unwrap_or(0.0)
    }

    fn t_max(&self) -> f64 {
        self.times.last().copied().unwrap_or(1.0)
    }

    fn scheduled(&self, share: f64) -> f64 {
        down(&self.times, share)
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        (self.log_snr[0] - log_snr) * (1.0 / self.span())
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "noise_to_signal", ratio, super::Marginal::noise_to_signal)?;
        Ok(((self.log_snr[0] + 2.0 * ratio.ln()) / self.span()).clamp(0.0, self.t_max()))
    }
}
