//! A class as a vector.

use super::Linear;
use crate::graph::{Expr, Graph, Initial, Shape, Value};

/// What a network is told of a class, and of no class in particular: the null class.
#[derive(Clone, Copy, Debug)]
pub struct ClassEmbedding {
    classes: usize,
    null: Null,
    layer: Linear,
}

/// What stands for the null class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Null {
    /// All zeros in the place of a class that is one of many.
    Zeros,
    /// A class of its own, after the others.
    Class,
}

impl ClassEmbedding {
    /// A learned affine function of which class of `classes`, at least one, it is, in `size` numbers; of the null class
    /// the bias alone is left.
    pub fn new(graph: &mut Graph, name: &str, classes: usize, size: usize) -> Self {
        Self { classes, null: Null::Zeros, layer: Linear::new(graph, name, classes, size) }
    }

    /// A learned vector of `size` numbers for each of `classes` classes and for the null class, which start as
    /// `initial` says.
    pub fn table(graph: &mut Graph, name: &str, classes: usize, size: usize, initial: Initial) -> Self {
        let layer = Linear::without_bias_from(graph, name, classes + 1, size, initial);
        Self { classes, null: Null::Class, layer }
    }

    /// Classes `[n, 1]`, whole numbers, of which those from the number of classes on are the null class; `None` is the
    /// null class → `[n, size]`, n the batch or 1.
    pub fn forward(&self, graph: &mut Graph, class: Option<Value>) -> Value {
        let count = self.classes;
        let class = class.unwrap_or_else(|| graph.full(count as f64, Shape::fixed(&[1, 1])));
        let (columns, number, one) = match self.null {
            // Scaled so that one of many has unit mean square.
            Null::Zeros => (count, Expr::input(0), (count as f64).sqrt()),
            Null::Class => (count + 1, Expr::input(0).min(count as f64), 1.0),
        };
        let shape = graph.shape(class).with_axis(1, columns.into());
        let is_class = (number - Expr::column()).abs().less(0.5);
        let one_hot = graph.map_to(&[class], &is_class.select(one, 0.0), &shape);
        self.layer.forward(graph, one_hot)
    }
}
