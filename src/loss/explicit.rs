//! Explicit score matching: the distance to a score that is known.

use super::{Field, Matching};
use crate::graph::{Expr, Graph, Value};
use crate::nn::ExactMixture;

/// E[½ ‖score − ∇ log p‖²], the Fisher divergence (Hyvärinen 2005), for data whose density p is known at every
/// noise level. What the other objectives are measured by; its least value is 0.
#[derive(Clone, Copy, Debug)]
pub struct Explicit {
    /// The data's density, whose numbers are in the store.
    pub density: ExactMixture,
}

impl Matching for Explicit {
    fn value(&self, graph: &mut Graph, field: &Field, _: Value) -> Value {
        let y = field.scaled_score(graph, field.x);
        let exact = self.density.score(graph, field.x, field.alpha, field.sigma);
        let [y_, exact_, scale] = [0, 1, 2].map(Expr::input);
        let error = graph.map(&[y, exact, field.scale], &(y_ - scale * exact_));
        Field::half_square(graph, error)
    }
}
