//! Score, epsilon, velocity and denoised: four faces of one quantity.
//!
//! With x = alpha x_0 + sigma epsilon: score = ∇ₓ log p_t(x), epsilon = E[epsilon | x] = −sigma · score, and Tweedie's
//! formula denoised = E[x_0 | x] = (x + sigma² score) / alpha. Velocity is p denoised + q epsilon with the p and q that
//! a process says ([`Sde::velocity`]).

use super::Sde;
use crate::graph::Expr;

/// What a value says about the noisy x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// The gradient of the log density of x_t.
    Score,
    /// The mean of the unit noise in x_t.
    Epsilon,
    /// The mean of the direction in which x_t moves as noise grows.
    Velocity,
    /// The mean of the data given x_t.
    Denoised,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Score, Self::Epsilon, Self::Velocity, Self::Denoised];

    /// `score`, `epsilon`, `velocity` or `denoised`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Epsilon => "epsilon",
            Self::Velocity => "velocity",
            Self::Denoised => "denoised",
        }
    }
}

/// What x_t and velocity are made of at one time.
#[derive(Clone, Debug)]
pub struct Coefficients {
    /// Factor of x_0 in x_t.
    pub alpha: Expr,
    /// Factor of epsilon in x_t.
    pub sigma: Expr,
    /// Factors of x_0 and epsilon in velocity.
    pub velocity: [Expr; 2],
}

impl Coefficients {
    /// Alpha and sigma with the velocity of Salimans and Ho (2022), alpha epsilon − sigma x_0.
    pub fn new(alpha: &Expr, sigma: &Expr) -> Self {
        Self { alpha: alpha.clone(), sigma: sigma.clone(), velocity: [-sigma, alpha.clone()] }
    }

    /// Those of a process at time `t`.
    pub fn of(sde: &dyn Sde, t: &Expr) -> Self {
        let (alpha, sigma) = (sde.alpha(t), sde.sigma(t));
        Self { velocity: sde.velocity(&alpha, &sigma), alpha, sigma }
    }

    /// alpha q − sigma p, by which x and velocity are turned back into x_0 and epsilon. It is 1 in every process that
    /// preserves variance, has alpha = 1, or follows the straight line.
    pub(crate) fn determinant(&self) -> Expr {
        let [p, q] = &self.velocity;
        &self.alpha * q - &self.sigma * p
    }
}

/// `value`, which is the quantity `from` at `x`, as the quantity `to`.
///
/// Epsilon or score out of denoised loses digits where sigma is small, denoised out of epsilon or score where alpha is
/// small, and is undefined where alpha = 0: a model that can give a quantity directly should. Velocity is well scaled
/// at both ends.
pub fn convert(from: Quantity, to: Quantity, value: &Expr, x: &Expr, at: &Coefficients) -> Expr {
    let Coefficients { alpha, sigma, velocity: [p, q] } = at;
    match (from, to) {
        _ if from == to => value.clone(),
        (Quantity::Score, _) => {
            let epsilon = -(sigma * value);
            convert(Quantity::Epsilon, to, &epsilon, x, at)
        }
        (_, Quantity::Score) => -(convert(from, Quantity::Epsilon, value, x, at) / sigma),
        (Quantity::Epsilon, Quantity::Denoised) => (x - sigma * value) / alpha,
        (Quantity::Epsilon, _) => (p * x + at.determinant() * value) / alpha,
        (Quantity::Denoised, Quantity::Epsilon) => (x - alpha * value) / sigma,
        (Quantity::Denoised, _) => (q * x - at.determinant() * value) / sigma,
        (Quantity::Velocity, Quantity::Denoised) => (q * x - sigma * value) / at.determinant(),
        (Quantity::Velocity, _) => (alpha * value - p * x) / at.determinant(),
    }
}
