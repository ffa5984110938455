//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::{Keys, choices};

choices! {
    /// What is minimised.
    Loss in "loss" default Some("denoising"), {
        /// Denoising score matching.
        "denoising" => Denoising,
    }
}

/// Denoising score matching (Vincent 2011) over times drawn evenly from `[loss.t_min, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Denoising {
    /// What the network puts out.
    pub parameterisation: Parameterisation,
    /// Weight of a noise level on the squared error of the score.
    pub weighting: Weighting,
    /// The smallest time that training draws; times are even from here to 1. At most `sde.t_min`, so that the network
    /// knows what the last sampling steps ask.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
    /// How the squared errors of a sample's coordinates become one number.
    pub reduce: Reduce,
}

impl Default for Denoising {
    fn default() -> Self {
        Self {
            parameterisation: Parameterisation::Preconditioned,
            weighting: Weighting::Sigma2,
            t_min: 1e-5,
            reduce: Reduce::Mean,
        }
    }
}

impl Keys for Denoising {}

/// What a network's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parameterisation {
    /// What is neither known from x_t alone nor scaled with the noise (Karras et al. 2022, for any process): the output
    /// has about unit variance at every noise level.
    Preconditioned,
    /// The noise of unit variance in x_t; the score is `-epsilon / sigma`.
    Epsilon,
    /// The score itself.
    Score,
    /// The mean of the data given x_t; the score follows by Tweedie's formula.
    Denoised,
}

/// Weight of a noise level on the squared error of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weighting {
    /// σ², so that every level's error in epsilon counts the same.
    Sigma2,
    /// g², the square of the diffusion coefficient: bounds the likelihood.
    Likelihood,
    /// 1: every level's error in the score counts the same; low noise dominates.
    Uniform,
}

/// How the coordinates of a sample are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// Mean over the coordinates.
    Mean,
    /// Half of the sum: the mathematical value.
    Sum,
}
