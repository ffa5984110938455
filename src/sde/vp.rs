//! The variance preserving process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composed::Composed;
use super::keys::rising;
use super::shifted::shifted;
use super::{OutOfRange, ProcessKeys, Sde, ZeroTerminalSnr};
use crate::graph::Expr;
use crate::violation::Violation;

/// Variance preserving, `dx = -½ β(t) x dt + √β(t) dw` with `β(t) = beta_min + t (beta_max - beta_min)`
/// (Song et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vp {
    /// β at time 0.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_min: f64,
    /// β at time 1; at least `beta_min`. What is left of the data at time 1 is `exp(-(beta_min + beta_max) / 4)`,
    /// which has to be a number that a float can hold.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_max: f64,
    /// Whether that rest is taken away: alpha is shifted and stretched so that it is 0 at time 1 (Lin et al. 2024).
    /// Then `loss.parameterisation` may be neither `epsilon` nor `score`.
    pub zero_terminal_snr: bool,
    /// Added to `ln(alpha² / sigma²)` at every time. For a schedule made for images of 64 × 64 pixels and images of
    /// d × d it is `2 ln(64 / d)` (Hoogeboom, Heek and Salimans 2023): -2.7726 for 256.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for Vp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false, log_snr_shift: 0.0, t_min: 1e-3 }
    }
}

impl Vp {
    /// The process without what changes its ends or its log-SNR.
    pub(super) fn linear(&self) -> LinearBeta {
        LinearBeta { beta_min: self.beta_min, beta_max: self.beta_max, t_min: self.t_min }
    }
}

impl ProcessKeys for Vp {
    fn process(&self) -> Box<dyn Sde> {
        self.composed()
    }

    fn check(&self) -> Result<(), Violation> {
        rising(self.beta_min, self.beta_max)
    }
}

impl Composed for Vp {
    fn composed(&self) -> Box<dyn Sde> {
        let process: Box<dyn Sde> =
            if self.zero_terminal_snr { Box::new(ZeroTerminalSnr::new(*self)) } else { Box::new(self.linear()) };
        shifted(process, self.log_snr_shift)
    }
}

/// Linear β: dx = −½ β(t) x dt + √β(t) dw, β(t) = beta_min + t (beta_max − beta_min) (Ho et al. 2020; in continuous
/// time Song et al. 2021).
///
/// With B(t) = ∫₀ᵗ β: alpha = e^{−B/2}, sigma² = 1 − e^{−B}.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LinearBeta {
    pub beta_min: f64,
    pub beta_max: f64,
    pub t_min: f64,
}

impl LinearBeta {
    fn beta(&self, t: &Expr) -> Expr {
        t * (self.beta_max - self.beta_min) + self.beta_min
    }

    /// B(t) = ∫₀ᵗ β.
    pub(super) fn integral(&self, t: &Expr) -> Expr {
        (t * (0.5 * (self.beta_max - self.beta_min)) + self.beta_min) * t
    }

    /// B(1) − B(t), exactly 0 at t = 1.
    pub(super) fn integral_left(&self, t: &Expr) -> Expr {
        let left = 1.0 - t;
        (&left * (-0.5 * (self.beta_max - self.beta_min)) + self.beta_max) * left
    }

    /// The time at which ∫ β is `integral`; the root is written so that it also holds for constant β.
    pub(super) fn t_of_integral(&self, integral: f64) -> f64 {
        let slope = self.beta_max - self.beta_min;
        2.0 * integral / (self.beta_min + (self.beta_min.powi(2) + 2.0 * slope * integral).sqrt())
    }
}

impl Sde for LinearBeta {
    fn name(&self) -> &'static str {
        "vp"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        (self.integral(t) * -0.5).exp()
    }

    fn sigma(&self, t: &Expr) -> Expr {
        (-(-self.integral(t)).expm1()).sqrt()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        // alpha²/sigma² = e^{−B} / (1 − e^{−B}); e^B itself would overflow f32 for B above 88.
        let integral = self.integral(t);
        let sigma_squared = -(-&integral).expm1();
        -(integral + sigma_squared.ln())
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        // √(e^B − 1) = e^{B/2} √(1 − e^{−B})
        let integral = self.integral(t);
        (&integral * 0.5).exp() * (-(-&integral).expm1()).sqrt()
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.beta(t) * -0.5
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.beta(t)
    }

    fn t_min(&self) -> f64 {
        self.t_min
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        // e^B = 1 + e^{−ln SNR}
        let integral = (-log_snr).softplus();
        let slope = self.beta_max - self.beta_min;
        2.0 * &integral / ((&integral * (2.0 * slope) + self.beta_min.powi(2)).sqrt() + self.beta_min)
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "noise_to_signal", ratio, super::Marginal::noise_to_signal)?;
        Ok(self.t_of_integral((ratio * ratio).ln_1p()))
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "sigma", sigma, |marginal| marginal.sigma)?;
        Ok(self.t_of_integral(-(-sigma * sigma).ln_1p()))
    }
}
