//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::{Keys, choices};
use crate::loss::{Reduce, Weighting};
use crate::sde::Parameterisation;

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
    /// The smallest time that training draws. At most `sde.t_min`, so that the network
    /// knows what the last sampling steps ask; 0 where a process has noise at time 0.
    #[schemars(range(min = 0.0, max = 0.999))]
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
