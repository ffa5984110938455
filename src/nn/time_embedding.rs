//! A noise level as a vector that a network can tell levels apart by.

use super::Linear;
use crate::graph::{Expr, Graph, Shape, Value};

/// Lowest and highest angular frequency: levels run over about [−2, 2], so that the slowest wave tells the ends apart
/// and the fastest turns once in a tenth of the range.
const FREQUENCIES: (f64, f64) = (0.5, 16.0);

/// `size` sines and cosines of a noise level `[n, 1]` (n the batch or 1), at frequencies in geometric progression:
/// `[n, size]`, the sines first. `size` is even.
pub fn sinusoidal_features(graph: &mut Graph, level: Value, size: usize) -> Value {
    assert!(size.is_multiple_of(2) && size > 0, "an embedding has as many sines as cosines, not {size} in all");
    let shape = graph.shape(level).with_axis(1, size.into());
    let body = |graph: &mut Graph, inputs: &[Value]| {
        let half = (size / 2) as f64;
        let (lowest, highest) = FREQUENCIES;
        let growth = (highest / lowest).ln() / (half - 1.0).max(1.0);
        let is_sine = Expr::column().less(half);
        let index = Expr::column() - is_sine.select(0.0, half);
        let angle = Expr::input(0) * ((index * growth).exp() * lowest);
        vec![graph.map_to(inputs, &is_sine.select(angle.sin(), angle.cos()), &shape)]
    };
    graph.composite("time_embedding", &[level], body)[0]
}

/// Sinusoidal features and a learned layer with SiLU after them.
#[derive(Clone, Copy, Debug)]
pub struct TimeEmbedding {
    size: usize,
    projection: Linear,
}

impl TimeEmbedding {
    /// An embedding of `size` numbers, even.
    pub fn new(graph: &mut Graph, name: &str, size: usize) -> Self {
        Self { size, projection: Linear::new(graph, name, size, size) }
    }

    /// What the learned layer reads: noise level `[n, 1]` → `[n, size]`.
    pub fn features(&self, graph: &mut Graph, level: Value) -> Value {
        sinusoidal_features(graph, level, self.size)
    }

    /// The layer and SiLU after other features, `[n, size]`.
    pub fn forward_from(&self, graph: &mut Graph, features: Value) -> Value {
        let hidden = self.projection.forward(graph, features);
        graph.map(&[hidden], &Expr::input(0).silu())
    }
}

/// `[n, 1]` with n the batch or 1, from `[n, 1]` or `[1]`.
pub(super) fn as_column(graph: &mut Graph, level: Value) -> Value {
    let shape = if graph.shape(level).batch_axis().is_some() { Shape::batch(&[1]) } else { Shape::fixed(&[1, 1]) };
    graph.reshape(level, shape)
}
