//! How much the error at a noise level counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::Expr;
use crate::sde::Sde;

/// λ(t), the weight of the squared error of the score at time t.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weighting {
    /// sigma², so that every level's error in epsilon counts the same (Ho et al. 2020; Song et al. 2021).
    #[default]
    Sigma2,
    /// g², the square of the diffusion coefficient: bounds the likelihood (Song, Durkan, Murray and Ermon 2021).
    Likelihood,
    /// 1: every level's error in the score counts the same; low noise dominates.
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
