//! Straight lines from data to noise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LEAST_ALPHA, ProcessKeys, Sde};
use crate::graph::Expr;

/// Straight lines from data to noise, `x = (1 - t) x_0 + t epsilon` (Liu, Gong and Liu 2023; Lipman et al. 2023). At
/// time 1 nothing is left of the data: `loss.parameterisation` may be neither `epsilon` nor `score`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RectifiedFlow {
    /// As for `vp`; the lines stay straight, time runs otherwise along them (Esser et al. 2024).
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for RectifiedFlow {
    fn default() -> Self {
        Self { log_snr_shift: 0.0, t_min: 1e-3 }
    }
}

impl RectifiedFlow {
    /// k
    fn gain(&self) -> f64 {
        (0.5 * self.log_snr_shift).exp()
    }

    /// k (1 − t) + t
    fn total(&self, t: &Expr) -> Expr {
        if self.log_snr_shift == 0.0 { Expr::constant(1.0) } else { (1.0 - t) * self.gain() + t }
    }
}

impl ProcessKeys for RectifiedFlow {
    fn process(&self) -> Box<dyn Sde> {
        Box::new(*self)
    }
}

/// x_t = (1 − u) x_0 + u epsilon with u = t, or, where the log-SNR is shifted, u = t / (k (1 − t) + t) with
/// k = e^{log_snr_shift / 2}, which stays on the straight line (Esser et al. 2024).
///
/// Velocity is epsilon − x_0. At t = 1 nothing of the data is left.
impl Sde for RectifiedFlow {
    fn name(&self) -> &'static str {
        "rectified-flow"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        (1.0 - t) * self.gain() / self.total(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        t / &self.total(t)
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        2.0 * ((1.0 - t).max(LEAST_ALPHA).ln() - t.ln()) + self.log_snr_shift
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        -1.0 / ((1.0 - t).max(LEAST_ALPHA) * self.total(t))
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        2.0 * t / ((1.0 - t).max(LEAST_ALPHA) * self.total(t).square())
    }

    fn velocity(&self, _: &Expr, _: &Expr) -> [Expr; 2] {
        [-1.0, 1.0].map(Expr::constant)
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        ((self.log_snr_shift - log_snr) * 0.5).sigmoid()
    }

    fn t_min(&self) -> f64 {
        self.t_min
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }
}
