//! The variance preserving process without its last signal.

use super::vp::LinearBeta;
use super::{LEAST_ALPHA, Sde, Vp};
use crate::graph::Expr;

/// [`Vp`] with alpha shifted and stretched so that it falls from 1 at t = 0 to 0 at t = 1 (Lin, Liu, Li and Yang 2024,
/// algorithm 1, in continuous time). With the alpha' = e^{−B/2} of [`Vp`]:
///
/// alpha = (alpha' − alpha'(1)) / (1 − alpha'(1)), sigma² = 1 − alpha²
///
/// The difference is written alpha' (1 − e^{−L/2}), L = B(1) − B: L is a polynomial in 1 − t without a constant term,
/// so that nothing cancels, and value and slope are right up to the end, where alpha is exactly 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroTerminalSnr {
    vp: LinearBeta,
}

impl ZeroTerminalSnr {
    /// `vp` without its last signal, and without its shift.
    pub fn new(vp: Vp) -> Self {
        Self { vp: vp.linear() }
    }

    /// 1 − alpha'(1)
    fn whole(&self) -> f64 {
        -(-0.25 * (self.vp.beta_min + self.vp.beta_max)).exp_m1()
    }

    /// alpha / alpha', which falls from 1 to 0.
    fn share(&self, t: &Expr) -> Expr {
        (self.vp.integral_left(t) * -0.5).expm1() * (-1.0 / self.whole())
    }

    /// 1 − alpha² = (1 − alpha) (1 + alpha), where 1 − alpha' = sigma'² / (1 + alpha') is exact near t = 0.
    fn variance(&self, t: &Expr) -> Expr {
        let missing = self.vp.sigma(t).square() / ((self.vp.alpha(t) + 1.0) * self.whole());
        missing * (self.alpha(t) + 1.0)
    }
}

impl Sde for ZeroTerminalSnr {
    fn name(&self) -> &'static str {
        self.vp.name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.vp.alpha(t) * self.share(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.variance(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        // The least share is where alpha itself is LEAST_ALPHA.
        let least = LEAST_ALPHA * (0.25 * (self.vp.beta_min + self.vp.beta_max)).exp();
        2.0 * self.share(t).max(least).ln() - self.vp.integral(t) - self.variance(t).ln()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        // −2 d ln alpha / dt = β / (1 − e^{−L/2})
        self.vp.diffusion_squared(t) / (self.share(t).max(LEAST_ALPHA) * self.whole())
    }

    fn t_min(&self) -> f64 {
        self.vp.t_min
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }
}
