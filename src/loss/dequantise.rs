//! Values of discrete levels, spread out.

use crate::graph::{Expr, Graph, Value};

/// `data` (`[Batch, D]`), each value spread evenly over the interval of this width around it: uniform dequantisation.
/// The mean of log density over the draws is at most the log probability of the intervals less D ln width (Jensen;
/// Theis, van den Oord and Bethge 2016).
pub fn dequantised(graph: &mut Graph, data: Value, clock: Value, width: f64) -> Value {
    let shape = graph.shape(data).clone();
    let u = graph.uniform(clock, "dequantisation", shape);
    graph.map(&[data, u], &(Expr::input(0) + (Expr::input(1) - 0.5) * width))
}
