//! `[model] kind = "mlp"`: a multilayer perceptron.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::network::{ClassKeys, Misfit, ModelKeys};
use super::table::Keys;
use crate::data::Dataset;
use crate::nn::{Architecture, MlpShape};

/// A multilayer perceptron with residual blocks that knows the noise level. Images are flattened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
// serde does not refuse unknown keys beside flattened ones; the schema does, which every config is checked against
// first.
#[serde(default)]
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
    /// Whether it is told classes.
    #[serde(flatten)]
    pub classes: ClassKeys,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { width: 128, depth: 3, embedding: 64, activation: Activation::Silu, classes: ClassKeys::default() }
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

impl ModelKeys for Mlp {
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        let Self { width, depth, embedding, activation: Activation::Silu, classes } = *self;
        let classes = classes.classes(data)?;
        Ok(Some(Box::new(MlpShape { dims: data.dim(), width, depth, embedding, classes })))
    }

    fn class_keys(&self) -> Option<&ClassKeys> {
        Some(&self.classes)
    }

    fn idle_keys(&self) -> &'static [&'static str] {
        if self.classes.conditional { &[] } else { &["conditional", "label_dropout"] }
    }
}

/// Nonlinearity of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
}
