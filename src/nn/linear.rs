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

    /// A layer whose weights start uniform on ±√(6 / (inputs + outputs)), so that neither the layer nor its derivative
    /// changes the variance much (Glorot and Bengio 2010); the bias starts at 0.
    pub fn xavier(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        let bound = (6.0 / (inputs + outputs) as f64).sqrt();
        Self::with_initial(graph, name, inputs, outputs, Initial::Uniform(bound))
    }

    /// A layer that starts as the zero function.
    pub fn zero(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        Self::with_initial(graph, name, inputs, outputs, Initial::Zeros)
    }

    /// [`new`](Self::new) without a bias.
    pub fn without_bias(graph: &mut Graph, name: &str, inputs: usize, outputs: usize) -> Self {
        Self::without_bias_from(graph, name, inputs, outputs, Initial::Normal((inputs as f64).powf(-0.5)))
    }

    /// A layer without a bias whose weights start as `initial` says.
    pub fn without_bias_from(graph: &mut Graph, name: &str, inputs: usize, outputs: usize, initial: Initial) -> Self {
        let weight = graph.scoped(name, |graph| graph.parameter("weight", &[inputs, outputs], initial));
        Self { weight, bias: None }
    }

    /// A layer whose weights start as `weight` says, and whose bias starts at 0.
    pub fn with_initial(graph: &mut Graph, name: &str, inputs: usize, outputs: usize, weight: Initial) -> Self {
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
