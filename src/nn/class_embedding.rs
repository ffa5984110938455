//! A class as a vector.

use super::Linear;
use crate::graph::{Expr, Graph, Shape, Value};

/// A learned affine function of the one-hot class; the null class is all zeros, so that the bias alone is left.
#[derive(Clone, Copy, Debug)]
pub struct ClassEmbedding {
    classes: usize,
    layer: Linear,
}

impl ClassEmbedding {
    /// An embedding of `classes` classes, at least one, in `size` numbers.
    pub fn new(graph: &mut Graph, name: &str, classes: usize, size: usize) -> Self {
        Self { classes, layer: Linear::new(graph, name, classes, size) }
    }

    /// Classes `[n, 1]`, whole numbers, of which those from the number of classes on are the null class; `None` is the null
    /// class → `[n, size]`, n the batch or 1.
    pub fn forward(&self, graph: &mut Graph, class: Option<Value>) -> Value {
        let count = self.classes;
        let class = class.unwrap_or_else(|| graph.full(count as f64, Shape::fixed(&[1, 1])));
        let shape = graph.shape(class).with_axis(1, count.into());
        // Scaled so that one of many has unit mean square.
        let is_class = (Expr::input(0) - Expr::column()).abs().less(0.5);
        let one_hot = graph.map_to(&[class], &is_class.select((count as f64).sqrt(), 0.0), &shape);
        self.layer.forward(graph, one_hot)
    }
}
