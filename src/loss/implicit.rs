//! Implicit score matching: the exact trace in place of the unknown score.

use super::{Directions, Field, Matching};
use crate::graph::{Expr, Graph, Value};

/// E[tr ∇score + ½ ‖score‖²] (Hyvärinen 2005, theorem 1), the trace along all [unit vectors](Directions::units).
#[derive(Clone, Copy, Debug)]
pub struct Implicit;

impl Matching for Implicit {
    fn value(&self, graph: &mut Graph, field: &Field, _: Value) -> Value {
        let dims = field.dims(graph);
        let y = field.scaled_score(graph, field.x);
        let trace = Directions::units(graph, dims).trace(graph, y, field.x);
        let half_square = Field::half_square(graph, y);
        let [trace_, half_square_, scale] = [0, 1, 2].map(Expr::input);
        graph.map(&[trace, half_square, field.scale], &(scale * trace_ + half_square_))
    }
}
