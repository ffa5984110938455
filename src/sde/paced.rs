//! A process that is gone through at a given pace.

use super::{OutOfRange, Sde};
use crate::graph::Expr;

/// Another process with a schedule: the same noise at every time, but what is even in time elsewhere
/// ([`scheduled`](Sde::scheduled)) follows the given times, say those of [`equal_work`](super::equal_work).
#[derive(Debug)]
pub struct Paced<'a> {
    /// The process.
    pub process: &'a dyn Sde,
    /// Times at evenly spaced shares of the way from data to noise, two or more, rising from t_min to t_max.
    pub times: Vec<f64>,
}

/// The time at a share (0 to 1) of the way down from the last of `times` to the first, straight between neighbours.
pub(super) fn down(times: &[f64], share: f64) -> f64 {
    let pieces = times.len().saturating_sub(1);
    let place = (1.0 - share) * pieces as f64;
    let piece = (place as usize).min(pieces.saturating_sub(1));
    let [from, to] = [piece, piece + 1].map(|knot| times.get(knot).copied().unwrap_or(0.0));
    from + (place - piece as f64) * (to - from)
}

impl Sde for Paced<'_> {
    fn name(&self) -> &'static str {
        self.process.name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.process.alpha(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.process.sigma(t)
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.process.log_snr(t)
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        self.process.noise_to_signal(t)
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.process.drift_rate(t)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.process.diffusion_squared(t)
    }

    fn velocity(&self, alpha: &Expr, sigma: &Expr) -> [Expr; 2] {
        self.process.velocity(alpha, sigma)
    }

    fn loses_all_signal(&self) -> bool {
        self.process.loses_all_signal()
    }

    fn t_min(&self) -> f64 {
        self.process.t_min()
    }

    fn t_max(&self) -> f64 {
        self.process.t_max()
    }

    fn scheduled(&self, share: f64) -> f64 {
        down(&self.times, share)
    }

    fn prior_sigma(&self) -> f64 {
        self.process.prior_sigma()
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        self.process.t_of_noise_to_signal(ratio)
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        self.process.t_of_sigma(sigma)
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        self.process.t_of_log_snr(log_snr)
    }
}
