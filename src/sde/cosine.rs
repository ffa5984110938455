//! The cosine schedule.

use std::f64::consts::FRAC_PI_2;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composed::Composed;
use super::keys::above;
use super::shifted::shifted;
use super::{LEAST_ALPHA, ProcessKeys, Sde};
use crate::graph::Expr;
use crate::violation::Violation;

/// Variance preserving, `alpha = cos(a + b t) / cos(a)` with `a = π/2 · offset / (1 + offset)` and
/// `b = π/2 / (1 + offset)` (Nichol and Dhariwal 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Keeps noise from vanishing too fast near time 0.
    #[schemars(range(min = 1e-6, max = 1.0))]
    pub offset: f64,
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

impl Default for Cosine {
    fn default() -> Self {
        Self { offset: 0.008, log_snr_shift: 0.0, t_min: 1e-3, t_max: 0.9946 }
    }
}

impl Cosine {
    /// a
    fn start(&self) -> f64 {
        FRAC_PI_2 * self.offset / (1.0 + self.offset)
    }

    /// b
    fn pace(&self) -> f64 {
        FRAC_PI_2 / (1.0 + self.offset)
    }

    /// cos(a + b t), as the sine of what is missing to π/2, which is exact near t = 1.
    fn cosine(&self, t: &Expr) -> Expr {
        ((1.0 - t) * self.pace()).sin()
    }

    /// 1 − cos²(a + b t) / cos²(a) = sin(b t) sin(2 a + b t) / cos²(a), in which nothing cancels near t = 0.
    fn variance(&self, t: &Expr) -> Expr {
        let angle = t * self.pace();
        angle.sin() * (angle + 2.0 * self.start()).sin() * self.start().cos().powi(-2)
    }
}

impl ProcessKeys for Cosine {
    fn process(&self) -> Box<dyn Sde> {
        self.composed()
    }

    fn check(&self) -> Result<(), Violation> {
        above("t_max", self.t_max, "t_min", self.t_min)
    }
}

impl Composed for Cosine {
    fn composed(&self) -> Box<dyn Sde> {
        shifted(Box::new(Unshifted(*self)), self.log_snr_shift)
    }
}

/// alpha = cos(a + b t) / cos(a), where a = π/2 · s / (1 + s), b = π/2 / (1 + s) and s is `offset` (Nichol and Dhariwal
/// 2021, eq. 17).
///
/// At t = 1 alpha is 0 and β = 2 b tan(a + b t) infinite; in discrete time β is clipped to 0.999. Here the process ends
/// at `t_max` instead, 0.9946 as Lu et al. (2022) do. With `t_max` = 1 it ends without signal.
#[derive(Clone, Copy, Debug)]
struct Unshifted(Cosine);

impl Sde for Unshifted {
    fn name(&self) -> &'static str {
        "cosine"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.0.cosine(t) * (1.0 / self.0.start().cos())
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.0.variance(t).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        2.0 * self.alpha(t).max(LEAST_ALPHA).ln() - self.0.variance(t).ln()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.diffusion_squared(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        let sine = (t * self.0.pace() + self.0.start()).sin();
        (2.0 * self.0.pace()) * sine / self.0.cosine(t).max(LEAST_ALPHA)
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
