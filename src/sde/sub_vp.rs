//! The process whose variance stays below the variance preserving one.

use super::{OutOfRange, Sde, Vp};
use crate::graph::Expr;

/// Sub-VP: dx = −½ β(t) x dt + √(β(t) (1 − e^{−2B(t)})) dw with the β and B = ∫ β of [`Vp`] (Song et al. 2021, eq. 29).
///
/// alpha = e^{−B/2} as there, and sigma = 1 − e^{−B}, the square of the sigma there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubVp {
    /// The process with the same drift.
    pub vp: Vp,
}

impl Sde for SubVp {
    fn name(&self) -> &'static str {
        "sub-vp"
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.vp.alpha(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        -(-self.vp.integral(t)).expm1()
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        -(self.vp.integral(t) + 2.0 * self.sigma(t).ln())
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        // (1 − e^{−B}) e^{B/2}: a quotient by alpha would divide by what f32 rounds to 0 sooner.
        (self.vp.integral(t) * 0.5).exp() * self.sigma(t)
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.vp.drift_rate(t)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.vp.diffusion_squared(t) * -(self.vp.integral(t) * -2.0).expm1()
    }

    fn t_min(&self) -> f64 {
        self.vp.t_min
    }

    fn prior_sigma(&self) -> f64 {
        1.0
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        OutOfRange::check(self, "sigma", sigma, |marginal| marginal.sigma)?;
        Ok(self.vp.t_of_integral(-(-sigma).ln_1p()))
    }
}
