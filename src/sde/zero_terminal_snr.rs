//! A variance preserving process that ends without signal.

use super::{LEAST_ALPHA, Sde};
use crate::graph::Expr;

/// Shifts and stretches another process's alpha so that it falls from 1 at t = 0 to 0 at t_max (Lin, Liu, Li and Yang
/// 2024, algorithm 1, in continuous time):
///
/// alpha = (alpha' − alpha'(t_max)) / (1 − alpha'(t_max)), sigma² = 1 − alpha²
///
/// The other process has to preserve variance: alpha'² + sigma'² = 1.
#[derive(Debug)]
pub struct ZeroTerminalSnr {
    process: Box<dyn Sde>,
    /// alpha'(t_max)
    rest: f64,
}

impl ZeroTerminalSnr {
    /// `process` without its last signal.
    pub fn new(process: Box<dyn Sde>) -> Self {
        let rest = process.at(process.t_max()).alpha;
        Self { process, rest }
    }

    /// alpha' − alpha'(t_max), which rounding must not take below 0.
    fn above_rest(&self, t: &Expr) -> Expr {
        (self.process.alpha(t) - self.rest).max(0.0)
    }

    /// 1 − alpha² = (1 − alpha) (1 + alpha), where 1 − alpha' = sigma'² / (1 + alpha') is exact near t = 0.
    fn variance(&self, t: &Expr) -> Expr {
        let missing = self.process.sigma(t).square() / ((self.process.alpha(t) + 1.0) * (1.0 - self.rest));
        missing * (self.alpha(t) + 1.0)
    }
}

impl Sde for ZeroTerminalSnr {
    fn name(&self) -> &'static str {
        self.process.name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.above_rest(t) * (1.0 / (1.0 - self.rest))
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.variance(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        2.0 * self.alpha(t).max(LEAST_ALPHA).ln() - self.variance(t).ln()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.process.diffusion_squared(t) * self.process.alpha(t) / self.above_rest(t).max(LEAST_ALPHA)
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
