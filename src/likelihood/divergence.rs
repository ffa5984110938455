//! The divergence of a field: the trace of its Jacobian.

use crate::graph::{Expr, Graph, Shape, Value};
use crate::loss::{Projection, Projections, unit_vectors};

/// How it is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// By all D derivatives at once: memory and time grow with D.
    Exact,
    /// vᵀ J v along one random direction v with E[v vᵀ] = I (Hutchinson 1990; Skilling 1989), whose mean is the trace.
    Hutchinson(Projection),
}

impl Divergence {
    /// The divergence of `y` in `x` (both `[Batch, D]`): `[Batch, 1]`. As long as `clock` stands still, so do the directions:
    /// an adaptive solver needs a field that does not change.
    pub fn of(self, graph: &mut Graph, y: Value, x: Value, clock: Value) -> Value {
        let dims = graph.shape(x).inner_elements();
        let directions = match self {
            Self::Exact => {
                let vectors = unit_vectors(graph, dims);
                graph.map_to(&[vectors], &Expr::input(0), &Shape::batch(&[dims]).with_leading(dims))
            }
            Self::Hutchinson(law) => Projections { law, count: 1 }.draw(graph, clock, dims),
        };
        let along = graph.jvp(&[y], &[x], &[directions])[0];
        let parts = graph.times(along, directions);
        let trace = graph.sum(parts, &[0, 2]);
        graph.reshape(trace, Shape::batch(&[1]))
    }
}
