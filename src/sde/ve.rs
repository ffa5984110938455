//! The variance exploding process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::above;
use super::{OutOfRange, ProcessKeys, Sde};
use crate::graph::Expr;
use crate::violation::Violation;

/// Variance exploding, `dx = σ(t) √(2 ln(sigma_max / sigma_min)) dw` with
/// `σ(t) = sigma_min (sigma_max / sigma_min)^t` (Song et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ve {
    /// Standard deviation of the noise at time 0, in the units of the data; well below the data's finest detail.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_min: f64,
    /// Standard deviation of the noise at time 1, above `sigma_min`; about the largest distance between two samples.
    /// For `data.kind = "mixture"` also `"visible"`: the noise below which scores see 99 % of what there is to see of
    /// how much is in each mode.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_max: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for Ve {
    fn default() -> Self {
        Self { sigma_min: 0.01, sigma_max: 50.0, t_min: 1e-5 }
    }
}

impl Ve {
    /// ln(sigma_max / sigma_min)
    fn log_ratio(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
    }
}

impl ProcessKeys for Ve {
    fn process(&self) -> Box<dyn Sde> {
        Box::new(*self)
    }

    fn check(&self) -> Result<(), Violation> {
        above("sigma_max", self.sigma_max, "sigma_min", self.sigma_min)
    }
}

/// dx = g(t) dw, sigma(t) = sigma_min (sigma_max / sigma_min)^t.
///
/// sigma(t) is the standard deviation that perturbation and score use, sigma_min at t = 0. The process dx = g dw alone,
/// started at t = 0, has variance sigma(t)² − sigma_min²: the data count as already carrying noise of sigma_min.
impl Sde for Ve {
    fn name(&self) -> &'static str {
        "ve"
    }

    fn alpha(&self, _: &Expr) -> Expr {
        Expr::constant(1.0)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        (t * self.log_ratio()).exp() * self.sigma_min
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        (t * self.log_ratio() + self.sigma_min.ln()) * -2.0
    }

    fn drift_rate(&self, _: &Expr) -> Expr {
        Expr::constant(0.0)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.sigma(t).square() * (2.0 * self.log_ratio())
    }

    /// The derivative of x_t in sigma, which is epsilon.
    fn velocity(&self, _: &Expr, _: &Expr) -> [Expr; 2] {
        [0.0, 1.0].map(Expr::constant)
    }

    fn t_min(&self) -> f64 {
        self.t_min
    }

    fn prior_sigma(&self) -> f64 {
        self.sigma_max
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        (log_snr * -0.5 - self.sigma_min.ln()) * (1.0 / self.log_ratio())
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "noise_to_signal", ratio, super::Marginal::noise_to_signal)?;
        Ok(((ratio / self.sigma_min).ln() / self.log_ratio()).clamp(0.0, 1.0))
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "sigma", sigma, |marginal| marginal.sigma)?;
        Ok(((sigma / self.sigma_min).ln() / self.log_ratio()).clamp(0.0, 1.0))
    }
}
