//! The sigmoid schedule.

use super::{LEAST_ALPHA, Sde};
use crate::graph::Expr;

/// Variance preserving with alpha² = (S(e) − S(v)) / (S(e) − S(s)), where S is the sigmoid, v runs evenly from
/// s = `start` / `temperature` to e = `end` / `temperature` while t runs from 0 to 1 (Jabri, Fleet and Chen 2022).
///
/// Differences of sigmoids are written S(x) − S(y) = S(x) S(−y) (1 − exp(y − x)), so that nothing cancels at either end.
/// At t = 1 alpha is 0; the process ends at `t_max`, shortly before, unless that is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid {
    /// Below `end`.
    pub start: f64,
    /// Above `start`.
    pub end: f64,
    /// Above 0; the smaller, the steeper in the middle.
    pub temperature: f64,
    /// Where reverse processes end, in (0, `t_max`).
    pub t_min: f64,
    /// Where reverse processes start, at most 1.
    pub t_max: f64,
}

impl Default for Sigmoid {
    fn default() -> Self {
        Self { start: -3.0, end: 3.0, temperature: 1.0, t_min: 1e-3, t_max: 0.9999 }
    }
}

impl Sigmoid {
    /// dv/dt
    fn slope(&self) -> f64 {
        (self.end - self.start) / self.temperature
    }

    /// v
    fn argument(&self, t: &Expr) -> Expr {
        t * self.slope() + self.start / self.temperature
    }

    /// S(e) − S(s)
    fn whole(&self) -> f64 {
        self.end_sigmoid() * self.start_sigmoid() * -(-self.slope()).exp_m1()
    }

    /// S(e)
    fn end_sigmoid(&self) -> f64 {
        1.0 / (1.0 + (-self.end / self.temperature).exp())
    }

    /// S(−s)
    fn start_sigmoid(&self) -> f64 {
        1.0 / (1.0 + (self.start / self.temperature).exp())
    }

    /// alpha²
    fn signal(&self, t: &Expr) -> Expr {
        let missing = -((1.0 - t) * -self.slope()).expm1();
        (-self.argument(t)).sigmoid() * missing * (self.end_sigmoid() / self.whole())
    }

    /// sigma² = (S(v) − S(s)) / (S(e) − S(s))
    fn variance(&self, t: &Expr) -> Expr {
        let passed = -(t * -self.slope()).expm1();
        self.argument(t).sigmoid() * passed * (self.start_sigmoid() / self.whole())
    }
}

impl Sde for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.signal(t).sqrt()
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.variance(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.signal(t).max(LEAST_ALPHA * LEAST_ALPHA).ln() - self.variance(t).ln()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        // β = −d ln alpha² / dt = slope S(v) S(−v) / (alpha² (S(e) − S(s))), alpha² with its sigmoid of −v cancelled.
        let missing = (-((1.0 - t) * -self.slope()).expm1()).max(LEAST_ALPHA * LEAST_ALPHA);
        self.argument(t).sigmoid() * (self.slope() / self.end_sigmoid()) / missing
    }

    fn t_min(&self) -> f64 {
        self.t_min
    }

    fn t_max(&self) -> f64 {
        self.t_max
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }
}
