//! `[model]`: what learns the score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use super::unet::UNet;

choices! {
    /// What stands for the score.
    Model in "model" default None, {
        /// A time-conditioned multilayer perceptron.
        "mlp" => Mlp,
        /// A convolutional network for images.
        "unet" => UNet,
        /// The data's own score.
        "exact" => Exact,
    }
}

/// A multilayer perceptron with residual blocks that knows the noise level. Images are flattened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units of a hidden layer.
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// Number of residual blocks.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// Size of the embedding of the noise level; even, half of it sines and half cosines.
    #[schemars(range(min = 2, max = 65536))]
    pub embedding: usize,
    /// Nonlinearity.
    pub activation: Activation,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { width: 128, depth: 3, embedding: 64, activation: Activation::Silu }
    }
}

impl Keys for Mlp {
    fn check(&self) -> Result<(), Violation> {
        if !self.embedding.is_multiple_of(2) {
            return Err(Violation::new("embedding", "must be even: half of it are sines, half cosines"));
        }
        Ok(())
    }
}

/// Nonlinearity of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
}

/// No network: the exact score of the data at every noise level. Only for data that knows it (`mixture`,
/// `eight-gaussians`, `two-moons`, `swiss-roll`). Nothing is trained; `tweedie sample` and `tweedie score` take the config file itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {}

impl Keys for Exact {}
