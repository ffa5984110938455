//! What an objective makes of a batch: one number for each sample.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scheduled_time::Along;
use crate::graph::{Expr, Graph, Value};

/// The loss of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Of each sample, `[Batch, 1]`.
    pub per_sample: Value,
    /// The time of each sample, `[Batch, 1]`.
    pub t: Value,
    /// The mean over the batch, `[1]`.
    pub mean: Value,
    /// The schedule by which it was drawn, where that is learned.
    pub(super) along: Option<Along>,
}

impl Loss {
    /// The loss whose samples are `expr` of (the sample's loss, `other`), `[Batch, 1]` both.
    pub(super) fn replaced(&self, graph: &mut Graph, other: Value, expr: &Expr) -> Self {
        let per_sample = graph.map(&[self.per_sample, other], expr);
        Self { per_sample, mean: mean_over_batch(graph, per_sample), ..*self }
    }
}

/// How the squared errors of a sample's D coordinates become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// Mean over the coordinates.
    #[default]
    Mean,
    /// Half of the sum: the mathematical value.
    Sum,
}

impl Reduce {
    /// The factor of the sum of squares.
    pub fn factor(self, dims: usize) -> f64 {
        match self {
            Self::Mean => 1.0 / dims as f64,
            Self::Sum => 0.5,
        }
    }
}

/// `[Batch, 1]` → its mean, `[1]`.
pub(super) fn mean_over_batch(graph: &mut Graph, per_sample: Value) -> Value {
    let total = graph.sum_all(per_sample);
    graph.map(&[total], &(Expr::input(0) / Expr::batch()))
}
