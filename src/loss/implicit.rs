//! Implicit score matching: the exact trace in place of the unknown score.

use super::{Field, Matching};
use crate::graph::{Expr, Graph, Shape, Value};

/// E[tr ∇score + ½ ‖score‖²] (Hyvärinen 2005, theorem 1). The trace takes D derivatives of the model, all in one pass of D
/// times the rows: memory and time grow with D.
#[derive(Clone, Copy, Debug)]
pub struct Implicit;

impl Matching for Implicit {
    fn value(&self, graph: &mut Graph, field: &Field, _: Value) -> Value {
        let dims = field.dims(graph);
        let y = field.scaled_score(graph, field.x);
        let basis = unit_vectors(graph, dims);
        let tangents = graph.map_to(&[basis], &Expr::input(0), &Shape::batch(&[dims]).with_leading(dims));
        // jacobian[k, ·, j] = ∂y_j / ∂x_k
        let jacobian = graph.jvp(&[y], &[field.x], &[tangents])[0];
        let diagonal = graph.times(jacobian, basis);
        let trace = graph.sum(diagonal, &[0, 2]);
        let trace = graph.reshape(trace, Shape::batch(&[1]));
        let half_square = Field::half_square(graph, y);
        let [trace_, half_square_, scale] = [0, 1, 2].map(Expr::input);
        graph.map(&[trace, half_square, field.scale], &(scale * trace_ + half_square_))
    }
}

/// The unit vectors, `[D, 1, D]`.
pub(crate) fn unit_vectors(graph: &mut Graph, dims: usize) -> Value {
    let column = graph.map_to(&[], &Expr::column(), &Shape::fixed(&[dims, dims]));
    let row = graph.permute(column, &[1, 0]);
    let same = (Expr::input(0) - Expr::input(1)).abs().less(0.5);
    let basis = graph.map(&[row, column], &same.select(1.0, 0.0));
    graph.reshape(basis, Shape::fixed(&[dims, 1, dims]))
}
