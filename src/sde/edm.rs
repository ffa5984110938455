//! The process in which noise itself is the time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::above;
use super::{Marginal, OutOfRange, ProcessKeys, Sde};
use crate::graph::Expr;
use crate::violation::Violation;

/// Noise is added and nothing is scaled, as for `ve`, at another pace: evenly spaced times have evenly spaced
/// `sigma^(1/rho)`, the sampling grid of Karras et al. (2022).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Edm {
    /// Standard deviation of the noise at time 0, in the units of the data; well below the data's finest detail.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_min: f64,
    /// Standard deviation of the noise at time 1, above `sigma_min`; `"visible"` as for `ve`.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_max: f64,
    /// The larger, the more of the time has little noise.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub rho: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 0.0, max = 0.999))]
    pub t_min: f64,
}

impl Default for Edm {
    fn default() -> Self {
        Self { sigma_min: 0.002, sigma_max: 80.0, rho: 7.0, t_min: 0.0 }
    }
}

impl Edm {
    /// sigma^{1/ρ} at the ends of time.
    fn roots(&self) -> [f64; 2] {
        [self.sigma_min, self.sigma_max].map(|sigma| sigma.powf(1.0 / self.rho))
    }

    /// sigma^{1/ρ}
    fn root(&self, t: &Expr) -> Expr {
        let [least, most] = self.roots();
        t * (most - least) + least
    }
}

impl ProcessKeys for Edm {
    fn process(&self) -> Box<dyn Sde> {
        Box::new(*self)
    }

    fn check(&self) -> Result<(), Violation> {
        above("sigma_max", self.sigma_max, "sigma_min", self.sigma_min)
    }
}

/// alpha = 1, and time is a measure of sigma (Karras et al. 2022):
///
/// sigma(t) = (sigma_min^{1/ρ} + t (sigma_max^{1/ρ} − sigma_min^{1/ρ}))^ρ, so that evenly spaced times are the sampling
/// grid of that paper (eq. 5). As in [`Ve`](super::Ve), the data count as already carrying noise of sigma_min.
impl Sde for Edm {
    fn name(&self) -> &'static str {
        "edm"
    }

    fn alpha(&self, _: &Expr) -> Expr {
        Expr::constant(1.0)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        (self.root(t).ln() * self.rho).exp()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.root(t).ln() * (-2.0 * self.rho)
    }

    fn drift_rate(&self, _: &Expr) -> Expr {
        Expr::constant(0.0)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        // d sigma² / dt
        let [least, most] = self.roots();
        self.sigma(t).square() * (2.0 * self.rho * (most - least)) / self.root(t)
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
        let [least, most] = self.roots();
        ((log_snr * (-0.5 / self.rho)).exp() - least) * (1.0 / (most - least))
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "noise_to_signal", ratio, Marginal::noise_to_signal)?;
        let [least, most] = self.roots();
        Ok(((ratio.powf(1.0 / self.rho) - least) / (most - least)).clamp(0.0, 1.0))
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "sigma", sigma, |marginal| marginal.sigma)?;
        self.t_of_noise_to_signal(sigma)
    }
}
