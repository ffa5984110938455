//! The cosine schedule.

use std::f64::consts::FRAC_PI_2;

use super::{LEAST_ALPHA, Sde};
use crate::graph::Expr;

/// Variance preserving with alpha = cos(a + b t) / cos(a), where a = π/2 · s / (1 + s), b = π/2 / (1 + s) and s is
/// `offset` (Nichol and Dhariwal 2021, eq. 17).
///
/// At t = 1 alpha is 0 and β = 2 b tan(a + b t) infinite; in discrete time β is clipped to 0.999. Here the process ends
/// at `t_max` instead, 0.9946 as Lu et al. (2022) do. With `t_max` = 1 it ends without signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// s, above 0: keeps noise from vanishing too fast near time 0.
    pub offset: f64,
    /// Where reverse processes end, in (0, `t_max`).
    pub t_min: f64,
    /// Where reverse processes start, at most 1.
    pub t_max: f64,
}

impl Default for Cosine {
    fn default() -> Self {
        Self { offset: 0.008, t_min: 1e-3, t_max: 0.9946 }
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

impl Sde for Cosine {
    fn name(&self) -> &'static str {
        "cosine"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.cosine(t) * (1.0 / self.start().cos())
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
        let sine = (t * self.pace() + self.start()).sin();
        (2.0 * self.pace()) * sine / self.cosine(t).max(LEAST_ALPHA)
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
