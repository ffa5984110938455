//! The sigmoid schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composed::Composed;
use super::keys::above;
use super::shifted::shifted;
use super::{LEAST_ALPHA, ProcessKeys, Sde};
use crate::graph::Expr;
use crate::violation::Violation;

/// Variance preserving, `alpha² = (S(e) - S(v)) / (S(e) - S(s))` with the sigmoid S, where v runs from
/// `s = start / temperature` to `e = end / temperature` (Jabri, Fleet and Chen 2022).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sigmoid {
    /// The sigmoid's argument at time 0, before it is divided by `temperature`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub start: f64,
    /// The same at time 1; above `start`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub end: f64,
    /// The smaller, the steeper in the middle.
    #[schemars(range(min = 0.1, max = 10.0))]
    pub temperature: f64,
    /// As for `vp`.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
    /// Largest time that is trained and sampled; reverse processes start there. At 1 nothing is left of the data; then
    /// `loss.parameterisation` may be neither `epsilon` nor `score`.
    #[schemars(range(min = 1e-3, max = 1.0))]
    pub t_max: f64,
}

impl Default for Sigmoid {
    fn default() -> Self {
        Self { start: -3.0, end: 3.0, temperature: 1.0, log_snr_shift: 0.0, t_min: 1e-3, t_max: 0.9999 }
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

impl ProcessKeys for Sigmoid {
    fn process(&self) -> Box<dyn Sde> {
        self.composed()
    }

    fn check(&self) -> Result<(), Violation> {
        above("end", self.end, "start", self.start)?;
        above("t_max", self.t_max, "t_min", self.t_min)
    }
}

impl Composed for Sigmoid {
    fn composed(&self) -> Box<dyn Sde> {
        shifted(Box::new(Unshifted(*self)), self.log_snr_shift)
    }
}

/// alpha² = (S(e) − S(v)) / (S(e) − S(s)), where S is the sigmoid, v runs evenly from s = `start` / `temperature` to
/// e = `end` / `temperature` while t runs from 0 to 1 (Jabri, Fleet and Chen 2022).
///
/// Differences of sigmoids are written S(x) − S(y) = S(x) S(−y) (1 − exp(y − x)), so that nothing cancels at either
/// end. At t = 1 alpha is 0; the process ends at `t_max`, shortly before, unless that is 1.
#[derive(Clone, Copy, Debug)]
struct Unshifted(Sigmoid);

impl Sde for Unshifted {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.0.signal(t).sqrt()
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.0.variance(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.0.signal(t).max(LEAST_ALPHA * LEAST_ALPHA).ln() - self.0.variance(t).ln()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        // β = −d ln alpha² / dt = slope S(v) S(−v) / (alpha² (S(e) − S(s))), alpha² with its sigmoid of −v cancelled.
        let missing = (-((1.0 - t) * -self.0.slope()).expm1()).max(LEAST_ALPHA * LEAST_ALPHA);
        self.0.argument(t).sigmoid() * (self.0.slope() / self.0.end_sigmoid()) / missing
    }

    fn t_min(&self) -> f64 {
        self.0.t_min
    }

    fn t_max(&self) -> f64 {
        self.0.t_max
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }
}
