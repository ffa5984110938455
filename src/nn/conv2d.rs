//! The convolutional layer.

use crate::graph::{Expr, Graph, Initial, Padding, Value};

/// y = conv(x, W) + b, W of shape `[side, side, channels in, channels out]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    weight: Value,
    bias: Value,
}

impl Conv2d {
    /// A square kernel whose weights start uniform with variance 1 / mean of fan in and fan out (Glorot and Bengio
    /// 2010; the law of DDPM and EDM); the bias starts at 0.
    pub fn new(graph: &mut Graph, name: &str, side: usize, inputs: usize, outputs: usize) -> Self {
        let bound = (6.0 / (side * side * (inputs + outputs)) as f64).sqrt();
        Self::with_initial(graph, name, side, inputs, outputs, Initial::Uniform(bound))
    }

    /// A layer that starts as the zero function.
    pub fn zero(graph: &mut Graph, name: &str, side: usize, inputs: usize, outputs: usize) -> Self {
        Self::with_initial(graph, name, side, inputs, outputs, Initial::Zeros)
    }

    fn with_initial(
        graph: &mut Graph,
        name: &str,
        side: usize,
        inputs: usize,
        outputs: usize,
        weight: Initial,
    ) -> Self {
        graph.scoped(name, |graph| Self {
            weight: graph.parameter("weight", &[side, side, inputs, outputs], weight),
            bias: graph.parameter("bias", &[outputs], Initial::Zeros),
        })
    }

    /// `[…, h, w, inputs]` → `[…, h, w, outputs]`: zeros around the image keep its size.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Value {
        let padding = Padding::all(self.side(graph) / 2);
        let y = graph.conv2d(x, self.weight, 1, padding);
        self.with_bias(graph, y)
    }

    /// `[…, h, w, inputs]` → `[…, h/2, w/2, outputs]`: every second pixel, zeros below and on the right only (as DDPM).
    pub fn downsample(&self, graph: &mut Graph, x: Value) -> Value {
        let edge = self.side(graph) - 2;
        let y = graph.conv2d(x, self.weight, 2, Padding { bottom: edge, right: edge, ..Padding::default() });
        self.with_bias(graph, y)
    }

    /// `[…, h, w, inputs]` → `[…, 2h, 2w, outputs]`: the image with each pixel doubled, convolved.
    pub fn upsample(&self, graph: &mut Graph, x: Value) -> Value {
        let padding = Padding::all(self.side(graph) / 2);
        let y = graph.conv2d_upsampled(x, self.weight, padding);
        self.with_bias(graph, y)
    }

    fn side(&self, graph: &Graph) -> usize {
        graph.shape(self.weight).dims()[0].at(0)
    }

    fn with_bias(&self, graph: &mut Graph, y: Value) -> Value {
        graph.map(&[y, self.bias], &(Expr::input(0) + Expr::input(1)))
    }
}
