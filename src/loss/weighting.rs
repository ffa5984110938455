//! How much the error at a noise level counts.

use crate::graph::Expr;
use crate::sde::Sde;

/// λ(t), the weight of the squared error of the score at time t.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Weighting {
    /// λ = sigma²: the error of epsilon counts alike at every level (Ho et al. 2020; Song et al. 2021).
    #[default]
    Sigma2,
    /// λ = g²: bounds the likelihood (Song, Durkan, Murray and Ermon 2021).
    Likelihood,
    /// λ = 1: the error of the score counts alike; low noise dominates.
    Uniform,
}

impl Weighting {
    /// λ / sigma², the weight of the squared error of epsilon, which is sigma times that of the score.
    pub fn of_epsilon(self, sde: &dyn Sde, t: &Expr) -> Expr {
        match self {
            Self::Sigma2 => Expr::constant(1.0),
            Self::Likelihood => sde.diffusion_squared(t) / sde.sigma(t).square(),
            Self::Uniform => 1.0 / sde.sigma(t).square(),
        }
    }
}
