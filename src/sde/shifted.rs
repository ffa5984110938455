//! A variance preserving process at another resolution.

use super::Sde;
use crate::graph::Expr;

/// 2 ln(64 / d), what to add to the log-SNR of a schedule made for images of 64 × 64 pixels where they have d × d
/// (Hoogeboom, Heek and Salimans 2023): averaging blocks of pixels takes noise away and leaves the signal.
pub fn log_snr_shift(pixels: f64) -> f64 {
    2.0 * (64.0 / pixels).ln()
}

/// Adds a number to another process's log-SNR at every time. With k = e^{shift / 2}:
///
/// alpha = k alpha' / √(k² alpha'² + sigma'²), sigma = sigma' / √(k² alpha'² + sigma'²)
///
/// The other process has to preserve variance, alpha'² + sigma'² = 1; then so does this one.
#[derive(Debug)]
pub struct Shifted {
    process: Box<dyn Sde>,
    log_snr_shift: f64,
}

/// `process`, shifted unless by 0.
pub(super) fn shifted(process: Box<dyn Sde>, log_snr_shift: f64) -> Box<dyn Sde> {
    if log_snr_shift == 0.0 { process } else { Box::new(Shifted::new(process, log_snr_shift)) }
}

impl Shifted {
    /// `process` with `log_snr_shift` added.
    pub fn new(process: Box<dyn Sde>, log_snr_shift: f64) -> Self {
        Self { process, log_snr_shift }
    }

    /// k
    fn gain(&self) -> f64 {
        (0.5 * self.log_snr_shift).exp()
    }

    /// k² alpha'² + sigma'²
    fn total(&self, t: &Expr) -> Expr {
        (self.process.alpha(t) * self.gain()).square() + self.process.sigma(t).square()
    }
}

impl Sde for Shifted {
    fn name(&self) -> &'static str {
        self.process.name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.process.alpha(t) * self.gain() / self.total(t).sqrt()
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.process.sigma(t) / self.total(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.process.log_snr(t) + self.log_snr_shift
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        self.process.noise_to_signal(t) * (1.0 / self.gain())
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        // −sigma² d ln SNR / dt, and ln SNR has the derivative that it had.
        self.process.diffusion_squared(t) / self.total(t)
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        self.process.t_of_log_snr(&(log_snr - self.log_snr_shift))
    }

    fn t_min(&self) -> f64 {
        self.process.t_min()
    }

    fn t_max(&self) -> f64 {
        self.process.t_max()
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }
}
