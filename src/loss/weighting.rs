//! How much the error at a noise level counts.

use crate::graph::Expr;
use crate::sde::{Coefficients, LEAST_ALPHA, Quantity, Sde};

/// λ(t), the weight of the squared error of the score at time t; SNR = alpha² / sigma².
///
/// What is stated is λ / sigma², the weight of the squared error of epsilon; it counts together with the density of the
/// times that are drawn. `sigma_data` is the root mean square of the data's coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Weighting {
    /// λ = sigma²: every level's error in epsilon counts the same (Ho et al. 2020; Song et al. 2021).
    #[default]
    Sigma2,
    /// λ = g², the square of the diffusion coefficient: bounds the likelihood (Song, Durkan, Murray and Ermon 2021), and
    /// with the ½ of the mathematical value is the weighting of variational diffusion models (Kingma et al. 2021).
    Likelihood,
    /// λ = 1: every level's error in the score counts the same; low noise dominates.
    Uniform,
    /// (alpha² sigma_data² + sigma²) / (alpha sigma_data)²: every level's error in the output of a network with the
    /// parameterisation of Karras et al. (2022) counts the same.
    Edm {
        /// As above.
        sigma_data: f64,
    },
    /// min(SNR, gamma) / SNR (Hang et al. 2023): errors in x_0 count by the SNR, but no more than by gamma.
    MinSnr {
        /// Above 0.
        gamma: f64,
    },
    /// sigma² / (alpha² sigma_data² + sigma²): [`Edm`](Self::Edm) times the smooth min (sigma sigma_data)² / (sigma² +
    /// sigma_data²)² that stands at alpha = 1 for the min above (Crowson et al. 2024).
    SoftMinSnr {
        /// As above.
        sigma_data: f64,
    },
    /// 1 / (k + SNR)^gamma (Choi et al. 2022): less for levels at which only fine detail is missing.
    P2 {
        /// Above 0.
        k: f64,
        /// 0 is [`Sigma2`](Self::Sigma2).
        gamma: f64,
    },
    /// sigmoid(bias − ln SNR) for each unit of ln SNR (Kingma and Gao 2023; Hoogeboom et al. 2024), that is, times
    /// −d ln SNR / dt.
    Sigmoid {
        /// The ln SNR at which a level counts half.
        bias: f64,
    },
}

impl Weighting {
    /// The quantity whose error is best taken: epsilon, or velocity where the weight of epsilon's error would be a large
    /// number times a small error.
    pub fn quantity(self, sde: &dyn Sde) -> Quantity {
        match self {
            Self::Edm { .. } => Quantity::Velocity,
            Self::Likelihood | Self::Sigmoid { .. } if sde.loses_all_signal() => Quantity::Velocity,
            _ => Quantity::Epsilon,
        }
    }

    /// The weight of the squared error of `quantity` at time `t`. Errors are multiples of each other: with
    /// velocity = p x_0 + q epsilon and W = alpha q − sigma p, that of epsilon is alpha / W times that of velocity,
    /// −alpha / sigma times that of the denoised, and −sigma times that of the score.
    pub fn of(self, quantity: Quantity, sde: &dyn Sde, t: &Expr) -> Expr {
        let at = Coefficients::of(sde, t);
        let variance = at.sigma.square();
        if let Self::Edm { sigma_data } = self {
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
        match self {
            Self::Sigma2 => Expr::constant(1.0),
            Self::Likelihood => log_snr_rate(sde, t),
            Self::Uniform => 1.0 / variance,
            Self::Edm { .. } => self.of(Quantity::Epsilon, sde, t),
            Self::MinSnr { gamma } => (variance * gamma / signal.max(LEAST_ALPHA * LEAST_ALPHA)).min(1.0),
            Self::SoftMinSnr { sigma_data } => &variance / (signal * (sigma_data * sigma_data) + &variance),
            Self::P2 { k, gamma } => ((&variance / (&variance * k + signal)).ln() * gamma).exp(),
            Self::Sigmoid { bias } => (bias - sde.log_snr(t)).sigmoid() * log_snr_rate(sde, t),
        }
    }

    /// The weight for each unit of ln SNR, where it is simpler than that for each unit of time.
    pub fn per_log_snr(self, sde: &dyn Sde, t: &Expr) -> Option<Expr> {
        match self {
            Self::Likelihood => Some(Expr::constant(1.0)),
            Self::Sigmoid { bias } => Some((bias - sde.log_snr(t)).sigmoid()),
            _ => None,
        }
    }
}

/// −d ln SNR / dt = g² / sigma².
pub(super) fn log_snr_rate(sde: &dyn Sde, t: &Expr) -> Expr {
    sde.diffusion_squared(t) / sde.sigma(t).square()
}
