//! The process in which noise itself is the time.

use super::{Marginal, OutOfRange, Sde};
use crate::graph::Expr;

/// Noise is added and nothing is scaled: alpha = 1, and time is a measure of sigma (Karras et al. 2022).
///
/// sigma(t) = (sigma_min^{1/ρ} + t (sigma_max^{1/ρ} − sigma_min^{1/ρ}))^ρ, so that evenly spaced times are the sampling
/// grid of that paper (eq. 5). As in [`Ve`](super::Ve), the data count as already carrying noise of sigma_min.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    /// Noise at time 0, in the units of the data, above 0.
    pub sigma_min: f64,
    /// Noise at time 1, above `sigma_min`.
    pub sigma_max: f64,
    /// ρ, at least 1: the larger, the more of the time has little noise.
    pub rho: f64,
    /// Where reverse processes end, in [0, 1).
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
