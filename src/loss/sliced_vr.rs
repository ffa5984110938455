//! Sliced score matching with reduced variance: what needs no direction is taken exactly.

use super::sliced::{Slices, over_projections};
use super::{Field, Matching, Projections};
use crate::graph::{Expr, Graph, Value};

/// E[vᵀ ∇score v + ½ ‖score‖²] over directions v with E[v vᵀ] = I (Song, Garg, Shi and Ermon 2019): the square
/// needs no estimate, so the variance is that of the trace alone.
#[derive(Clone, Copy, Debug)]
pub struct SlicedVr {
    /// The directions v.
    pub projections: Projections,
}

impl Matching for SlicedVr {
    fn value(&self, graph: &mut Graph, field: &Field, clock: Value) -> Value {
        let v = self.projections.draw(graph, clock, field.dims(graph));
        Self::along(graph, field, v)
    }
}

impl SlicedVr {
    /// The value with given directions v, `[k, Batch, D]`, averaged over the k: `[Batch, 1]`.
    pub fn along(graph: &mut Graph, field: &Field, v: Value) -> Value {
        let Slices { y, curvature, count } = Slices::new(graph, field, v);
        let curvature = over_projections(graph, curvature);
        let half_square = Field::half_square(graph, y);
        let [curvature_, half_square_, scale] = [0, 1, 2].map(Expr::input);
        let value = scale * curvature_ / count as f64 + half_square_;
        graph.map(&[curvature, half_square, field.scale], &value)
    }
}
