//! Classifier-free guidance (Ho and Salimans, 2022).

use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, NoiseLevel, Quantity};

/// without + weight · (with − without), for any quantity: all are linear in the denoised with the same rest.
///
/// Weight 0 is the model that knows no class, 1 the one that does; above 1, samples are more typical of the class and
/// less varied.
pub struct Guided<'a> {
    /// The model that is told the class.
    pub with: Box<dyn Model + 'a>,
    /// The model that is not.
    pub without: Box<dyn Model + 'a>,
    /// `[1]`
    pub weight: Value,
}

impl Model for Guided<'_> {
    fn predict(&self, graph: &mut Graph, x: Value, level: &NoiseLevel, quantity: Quantity) -> Value {
        let with = self.with.predict(graph, x, level, quantity);
        let without = self.without.predict(graph, x, level, quantity);
        let [with_, without_, weight] = [0, 1, 2].map(Expr::input);
        graph.map(&[with, without, self.weight], &(&without_ + weight * (with_ - &without_)))
    }
}
