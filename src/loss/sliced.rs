//! Sliced score matching: random directions in place of the trace.

use super::{Field, Matching, Projections};
use crate::graph::{Expr, Graph, Shape, Value};

/// E[vᵀ ∇score v + ½ (vᵀ score)²] over directions v with E[v vᵀ] = I (Song, Garg, Shi and Ermon 2019): one
/// derivative of the model along v, whatever D.
#[derive(Clone, Copy, Debug)]
pub struct Sliced {
    /// The directions v.
    pub projections: Projections,
}

impl Matching for Sliced {
    fn value(&self, graph: &mut Graph, field: &Field, clock: Value) -> Value {
        let v = self.projections.draw(graph, clock, field.dims(graph));
        Self::along(graph, field, v)
    }
}

impl Sliced {
    /// The value with given directions v, `[k, Batch, D]`, averaged over the k: `[Batch, 1]`.
    pub fn along(graph: &mut Graph, field: &Field, v: Value) -> Value {
        let Slices { y, curvature, count } = Slices::new(graph, field, v);
        let parts = graph.times(y, v);
        let slopes = graph.sum(parts, &[2]);
        let [curvature_, slope, scale] = [0, 1, 2].map(Expr::input);
        let value = (scale * curvature_ + slope.square() * 0.5) / count as f64;
        let values = graph.map(&[curvature, slopes, field.scale], &value);
        over_projections(graph, values)
    }
}

/// What a field's derivative along directions says.
pub(super) struct Slices {
    /// c · score, `[Batch, D]`.
    pub y: Value,
    /// vᵀ ∇y v, `[k, Batch, 1]`.
    pub curvature: Value,
    /// Directions k.
    pub count: usize,
}

impl Slices {
    /// For directions v, `[k, Batch, D]`.
    pub fn new(graph: &mut Graph, field: &Field, v: Value) -> Self {
        let y = field.scaled_score(graph, field.x);
        let along = graph.jvp(&[y], &[field.x], &[v])[0];
        let parts = graph.times(along, v);
        let curvature = graph.sum(parts, &[2]);
        Self { y, curvature, count: graph.shape(v).dims()[0].at(0) }
    }
}

/// `[k, Batch, 1]` → the sum over the k, `[Batch, 1]`.
pub(super) fn over_projections(graph: &mut Graph, values: Value) -> Value {
    let sum = graph.sum(values, &[0]);
    graph.reshape(sum, Shape::batch(&[1]))
}
