//! The affine layer.

use crate::graph::{Expr, Graph, Initial, Layout, Value};

/// y = x W + b, W of shape `[inputs, outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    weight: Value,
    bias: Option<Value>,
}

impl Linear {
    /// A layer whose weights start normal with standard deviation 1/√inputs (LeCun), so that unit variance stays unit
    /// variance; the bias starts at 0.
    pub fn new(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        let weight = Initial::Normal((inputs as f64).powf(-0.5));
        Self::with_initial(graph, name, inputs, outputs, weight)
    }

    /// A layer that starts as the zero function.
    pub fn zero(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        Self::with_initial(graph, name, inputs, outputs, Initial::Zeros)
    }

    /// [`new`](Self::new) without a bias.
    pub fn without_bias(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        let initial = Initial::Normal((inputs as f64).powf(-0.5));
        let weight = graph.scoped(name, |graph| graph.parameter("weight", &[inputs, outputs], initial));
        Self { weight, bias: None }
    }

    fn with_initial(graph: &mut Graph, name: &str, inputs: usize, outputs: usize, weight: Initial) -> Self {
        graph.scoped(name, |graph| {
            let weight = graph.parameter("weight", &[inputs, outputs], weight);
            let bias = Some(graph.parameter("bias", &[outputs], Initial::Zeros));
            Self { weight, bias }
        })
    }

    /// `[…, inputs]` → `[…, outputs]`.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Value {
        let product = graph.matmul(Layout::Nn, x, self.weight);
        match self.bias {
            Some(bias) => graph.map(&[product, bias], &(Expr::input(0) + Expr::input(1))),
            None => product,
        }
    }
}
