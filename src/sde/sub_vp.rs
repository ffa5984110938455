//! The process whose variance stays below the variance preserving one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::rising;
use super::vp::LinearBeta;
use super::{OutOfRange, ProcessKeys, Sde};
use crate::graph::Expr;
use crate::violation::Violation;

/// The drift of `vp` with less noise: `sigma = 1 - alpha²` (Song et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubVp {
    /// As for `vp`.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_min: f64,
    /// As for `vp`.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_max: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for SubVp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3 }
    }
}

impl SubVp {
    /// The process with the same drift.
    fn vp(&self) -> LinearBeta {
        LinearBeta { beta_min: self.beta_min, beta_max: self.beta_max, t_min: self.t_min }
    }
}

impl ProcessKeys for SubVp {
    fn process(&self) -> Box<dyn Sde> {
        Box::new(*self)
    }

    fn check(&self) -> Result<(), Violation> {
        rising(self.beta_min, self.beta_max)
    }
}

/// dx = −½ β(t) x dt + √(β(t) (1 − e^{−2B(t)})) dw with the β and B = ∫ β of [`Vp`](super::Vp) (Song et al. 2021, eq.
/// 29).
///
/// alpha = e^{−B/2} as there, and sigma = 1 − e^{−B}, the square of the sigma there.
impl Sde for SubVp {
    fn name(&self) -> &'static str {
        "sub-vp"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.vp().alpha(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        -(-self.vp().integral(t)).expm1()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        -(self.vp().integral(t) + 2.0 * self.sigma(t).ln())
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        // (1 − e^{−B}) e^{B/2}: a quotient by alpha would divide by what f32 rounds to 0 sooner.
        (self.vp().integral(t) * 0.5).exp() * self.sigma(t)
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.vp().drift_rate(t)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.vp().diffusion_squared(t) * -(self.vp().integral(t) * -2.0).expm1()
    }

    fn t_min(&self) -> f64 {
        self.t_min
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "sigma", sigma, |marginal| marginal.sigma)?;
        Ok(self.vp().t_of_integral(-(-sigma).ln_1p()))
    }
}
