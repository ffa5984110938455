//! Directions along which Jacobians are asked, and the trace that they give.

use super::{Projection, Projections};
use crate::graph::{Expr, Graph, Shape, Value};

/// k directions v with Σ v vᵀ = I, or E[Σ v vᵀ] = I.
#[derive(Clone, Copy, Debug)]
pub struct Directions {
    /// `[k, Batch, D]`, as derivatives take them.
    tangents: Value,
    /// The same, or `[k, 1, D]` where all samples have the same ones.
    along: Value,
}

impl Directions {
    /// The D unit vectors. The trace along them is exact, and takes D derivatives of the model, all in one pass of D
    /// times the rows: memory and time grow with D.
    pub fn units(graph: &mut Graph, dims: usize) -> Self {
        let along = unit_vectors(graph, dims);
        let tangents = graph.map_to(&[along], &Expr::input(0), &Shape::batch(&[dims]).with_leading(dims));
        Self { tangents, along }
    }

    /// One direction for each sample, drawn as `projection`. The trace along it is right in the mean (Hutchinson 1990;
    /// Skilling 1989). As long as `clock` stands still, so does the direction.
    pub fn random(graph: &mut Graph, clock: Value, dims: usize, law: Projection) -> Self {
        let tangents = Projections { law, count: 1 }.draw(graph, clock, dims);
        Self { tangents, along: tangents }
    }

    /// Σ vᵀ (∂y/∂x) v, for `y` and `x` of shape `[Batch, D]`: `[Batch, 1]`.
    pub fn trace(&self, graph: &mut Graph, y: Value, x: Value) -> Value {
        // jacobian[k, ·, j] = Σ v_k ∂y_j / ∂x
        let jacobian = graph.jvp(&[y], &[x], &[self.tangents])[0];
        let diagonal = graph.times(jacobian, self.along);
        let trace = graph.sum(diagonal, &[0, 2]);
        graph.reshape(trace, Shape::batch(&[1]))
    }
}

/// The unit vectors, `[D, 1, D]`.
fn unit_vectors(graph: &mut Graph, dims: usize) -> Value {
    let column = graph.map_to(&[], &Expr::column(), &Shape::fixed(&[dims, dims]));
    let row = graph.permute(column, &[1, 0]);
    let same = (Expr::input(0) - Expr::input(1)).abs().less(0.5);
    let basis = graph.map(&[row, column], &same.select(1.0, 0.0));
    graph.reshape(basis, Shape::fixed(&[dims, 1, dims]))
}
