//! What goes into a network and what its output means.
//!
//! A network sees input_scale · x, of about unit variance at every noise level, and a noise level of about unit size.
//! Its output f becomes score, epsilon, velocity or denoised by a [`Parameterisation`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conversion::{Coefficients, Quantity, convert};
use crate::graph::Expr;

/// The meaning of a network's output f.
///
/// Preconditioned is Karras et al. (2022), table 1, written for any alpha. With s = `sigma_data` and
/// v² = alpha² s² + sigma², denoised = (alpha s² / v²) x + (sigma s / v) f and so
/// epsilon = (sigma / v²) x − (alpha s / v) f. Nothing cancels at either end of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parameterisation {
    /// What is neither known from x_t alone nor scaled with the noise (Karras et al. 2022, for any process): the output
    /// has about unit variance at every noise level.
    #[default]
    #[serde(rename = "edm")]
    Preconditioned,
    /// The noise of unit variance in x_t; the score is `-epsilon / sigma`.
    Epsilon,
    /// The score itself.
    Score,
    /// The direction in which x_t moves as noise grows: `alpha epsilon - sigma x_0` where variance is preserved
    /// (Salimans and Ho 2022), `epsilon - x_0` for `rectified-flow`, `epsilon` for `ve` and `edm`.
    Velocity,
    /// The mean of the data given x_t; the score follows by Tweedie's formula.
    Denoised,
}

impl Parameterisation {
    /// The quantity that the output is, where it is one.
    pub const fn output(self) -> Option<Quantity> {
        match self {
            Self::Epsilon => Some(Quantity::Epsilon),
            Self::Score => Some(Quantity::Score),
            Self::Velocity => Some(Quantity::Velocity),
            Self::Denoised => Some(Quantity::Denoised),
            Self::Preconditioned => None,
        }
    }

    /// Whether the data can be told from the output where nothing of them is left in x_t (alpha = 0).
    pub const fn survives_loss_of_signal(self) -> bool {
        !matches!(self, Self::Epsilon | Self::Score)
    }

    /// `wanted` from the network's output `f` at `x`. `sigma_data` is the root mean square of the data's coordinates.
    pub fn quantity(self, wanted: Quantity, f: &Expr, x: &Expr, at: &Coefficients, sigma_data: f64) -> Expr {
        match self.output() {
            Some(from) => convert(from, wanted, f, x, at),
            None => preconditioned(wanted, f, x, at, sigma_data),
        }
    }
}

fn preconditioned(wanted: Quantity, f: &Expr, x: &Expr, at: &Coefficients, sigma_data: f64) -> Expr {
    let Coefficients { alpha, sigma, velocity: [p, q] } = at;
    let scale = input_scale(alpha, sigma, sigma_data);
    let squared = scale.square();
    match wanted {
        Quantity::Denoised => (squared * alpha * (sigma_data * sigma_data)) * x + (sigma * &scale * sigma_data) * f,
        Quantity::Epsilon => (squared * sigma) * x - (alpha * &scale * sigma_data) * f,
        Quantity::Score => (alpha * &scale * sigma_data / sigma) * f - squared * x,
        Quantity::Velocity => {
            let of_x = squared * (p * alpha * (sigma_data * sigma_data) + q * sigma);
            of_x * x - (at.determinant() * &scale * sigma_data) * f
        }
    }
}

/// 1 / √(alpha² sigma_data² + sigma²): the inverse of the root mean square of x_t.
pub fn input_scale(alpha: &Expr, sigma: &Expr, sigma_data: f64) -> Expr {
    1.0 / ((alpha * sigma_data).square() + sigma.square()).sqrt()
}

/// What a network is told of the noise level: ¼ ln(sigma / alpha), between −2 and 2 in all usual processes.
pub fn noise_input(log_snr: &Expr) -> Expr {
    log_snr * -0.125
}
