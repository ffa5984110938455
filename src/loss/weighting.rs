//! How much the error at a noise level counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::Expr;
use crate::sde::{Coefficients, LEAST_ALPHA, Quantity, Sde};

/// λ(t) / sigma² by name, where λ(t) is the weight of the squared error of the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightingKind {
    /// 1: every level's error in epsilon counts the same (Ho et al. 2020; Song et al. 2021).
    #[default]
    Sigma2,
    /// `g² / sigma²`, with the diffusion coefficient g: bounds the likelihood (Song, Durkan, Murray and Ermon 2021).
    Likelihood,
    /// `1 / sigma²`: every level's error in the score counts the same; low noise dominates.
    Uniform,
    /// `(alpha² s² + sigma²) / (alpha s)²`: every level's error in the output of a network with
    /// `parameterisation = "edm"` counts the same (Karras et al. 2022).
    Edm,
    /// `min(SNR, γ) / SNR` (Hang et al. 2023).
    MinSnr,
    /// `sigma² / (alpha² s² + sigma²)`, the smooth form of that (Crowson et al. 2024).
    SoftMinSnr,
    /// `1 / (k + SNR)^γ` (Choi et al. 2022).
    P2,
    /// `1 / (1 + exp(ln SNR - b))` for each unit of ln SNR (Kingma and Gao 2023).
    Sigmoid,
    /// That of `edm`, divided by the loss that is to be expected at each noise level, which is learned with the
    /// network: `L exp(-u) + u` with a learned function u of the noise level (Karras et al. 2024). The logged training
    /// loss is that whole sum; the held-out loss is that of `edm`.
    Uncertainty,
}

impl WeightingKind {
    /// Whether it counts a level without noise infinitely.
    pub fn is_infinite_without_noise(self) -> bool {
        matches!(self, Self::Likelihood | Self::Uniform | Self::Sigmoid)
    }
}

/// The weight of a noise level, in units of the squared error of epsilon (λ / sigma²); it counts together with the
/// density of the times that are drawn.
///
/// Fields are keys of a config's `[loss]`. Likelihood, with the ½ of the mathematical value, is the weighting of
/// variational diffusion models (Kingma et al. 2021); soft-min-snr is edm times the smooth min (sigma sigma_data)² /
/// (sigma² + sigma_data²)² that stands at alpha = 1 for the min of min-snr.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Weighting {
    /// Weight of a noise level on the squared error, given for epsilon and with `SNR = alpha² / sigma²`; on that of the
    /// score it is sigma² times that. s is the root mean square of the data. Without noise only `uniform` has a
    /// meaning.
    #[serde(rename = "weighting")]
    pub kind: WeightingKind,
    /// γ of `min-snr`.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub snr_gamma: f64,
    /// k of `p2`.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub p2_k: f64,
    /// γ of `p2`.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub p2_gamma: f64,
    /// b of `sigmoid`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub sigmoid_bias: f64,
    /// The root mean square of the data's coordinates. No key: the data say it.
    #[serde(skip)]
    pub sigma_data: f64,
}

impl Default for Weighting {
    fn default() -> Self {
        let kind = WeightingKind::default();
        Self { kind, snr_gamma: 5.0, p2_k: 1.0, p2_gamma: 1.0, sigmoid_bias: 0.0, sigma_data: 1.0 }
    }
}

impl From<WeightingKind> for Weighting {
    fn from(kind: WeightingKind) -> Self {
        Self { kind, ..Self::default() }
    }
}

impl Weighting {
    /// The quantity whose error is best taken: epsilon, or velocity where the weight of epsilon's error would be a
    /// large number times a small error.
    pub fn quantity(self, sde: &dyn Sde) -> Quantity {
        match self.kind {
            WeightingKind::Edm | WeightingKind::Uncertainty => Quantity::Velocity,
            WeightingKind::Likelihood | WeightingKind::Sigmoid if sde.loses_all_signal() => Quantity::Velocity,
            _ => Quantity::Epsilon,
        }
    }

    /// The weight of the squared error of `quantity` at time `t`. Errors are multiples of each other: with
    /// velocity = p x_0 + q epsilon and W = alpha q − sigma p, that of epsilon is alpha / W times that of velocity,
    /// −alpha / sigma times that of the denoised, and −sigma times that of the score.
    pub fn of(self, quantity: Quantity, sde: &dyn Sde, t: &Expr) -> Expr {
        let at = Coefficients::of(sde, t);
        let variance = at.sigma.square();
        let sigma_data = self.sigma_data;
        if matches!(self.kind, WeightingKind::Edm | WeightingKind::Uncertainty) {
            // Of the denoised 1 / (c_out)²; the zeros of alpha cancel in all but epsilon and score.
            let second_moment = (&at.alpha * sigma_data).square() + &variance;
            let of_output = second_moment / (sigma_data * sigma_data);
            return match quantity {
                Quantity::Denoised => of_output / variance,
                Quantity::Velocity => of_output / at.determinant().square(),
                Quantity::Epsilon => of_output / at.alpha.square(),
                Quantity::Score => of_output * variance / at.alpha.square(),
            };
        }
        let of_epsilon = self.of_epsilon(sde, t);
        match quantity {
            Quantity::Epsilon => of_epsilon,
            Quantity::Score => of_epsilon * variance,
            Quantity::Denoised => of_epsilon * (at.alpha.square() / variance),
            Quantity::Velocity => of_epsilon * (at.alpha.square() / at.determinant().square()),
        }
    }

    /// λ / sigma², the weight of the squared error of epsilon.
    pub fn of_epsilon(self, sde: &dyn Sde, t: &Expr) -> Expr {
        let (signal, variance) = (sde.alpha(t).square(), sde.sigma(t).square());
        let Self { kind, snr_gamma, p2_k, p2_gamma, sigmoid_bias, sigma_data } = self;
        match kind {
            WeightingKind::Sigma2 => Expr::constant(1.0),
            WeightingKind::Likelihood => log_snr_rate(sde, t),
            WeightingKind::Uniform => 1.0 / variance,
            WeightingKind::Edm | WeightingKind::Uncertainty => self.of(Quantity::Epsilon, sde, t),
            WeightingKind::MinSnr => (variance * snr_gamma / signal.max(LEAST_ALPHA * LEAST_ALPHA)).min(1.0),
            WeightingKind::SoftMinSnr => &variance / (signal * (sigma_data * sigma_data) + &variance),
            WeightingKind::P2 => ((&variance / (&variance * p2_k + signal)).ln() * p2_gamma).exp(),
            WeightingKind::Sigmoid => (sigmoid_bias - sde.log_snr(t)).sigmoid() * log_snr_rate(sde, t),
        }
    }

    /// The weight for each unit of ln SNR, where it is simpler than that for each unit of time.
    pub fn per_log_snr(self, sde: &dyn Sde, t: &Expr) -> Option<Expr> {
        match self.kind {
            WeightingKind::Likelihood => Some(Expr::constant(1.0)),
            WeightingKind::Sigmoid => Some((self.sigmoid_bias - sde.log_snr(t)).sigmoid()),
            _ => None,
        }
    }
}

/// −d ln SNR / dt = g² / sigma².
pub(super) fn log_snr_rate(sde: &dyn Sde, t: &Expr) -> Expr {
    sde.diffusion_squared(t) / sde.sigma(t).square()
}
