//! The residual block, told the noise level.

use super::attention::AttentionBlock;
use super::layout::{BlockShape, Family, Resample, UNetShape};
use super::resample::{double, halve};
use crate::graph::{Expr, Graph, Shape, Value};
use crate::nn::{Conv2d, GroupNorm, Linear, dropout};

/// (shortcut(x) + conv(dropout(silu(norm(conv(silu(norm(x))) + W e))))) · scale, then attention.
///
/// The first convolution reads the image halved or doubled where the block resamples. The second starts at 0.
#[derive(Clone, Debug)]
pub struct ResidualBlock {
    first_norm: GroupNorm,
    first: Conv2d,
    time: Linear,
    second_norm: GroupNorm,
    dropout: f64,
    second: Conv2d,
    shortcut: Option<Conv2d>,
    attention: Option<AttentionBlock>,
    resample: Resample,
    scale: f64,
    outputs: usize,
}

impl ResidualBlock {
    /// Adds the parameters.
    pub fn new(graph: &mut Graph, name: &str, shape: &UNetShape, block: &BlockShape) -> Self {
        let BlockShape { inputs, outputs, resample, attention } = *block;
        let norm = |graph: &mut Graph, name: &str, channels: usize| {
            GroupNorm::new(graph, name, channels, shape.groups_of(channels), shape.group_eps)
        };
        let scale = if shape.family == Family::DdpmPlusPlus { 0.5_f64.sqrt() } else { 1.0 };
        let projects = inputs != outputs || resample != Resample::Keep;
        graph.scoped(name, |graph| Self {
            first_norm: norm(graph, "first_norm", inputs),
            first: Conv2d::new(graph, "first", 3, inputs, outputs),
            time: Linear::new(graph, "time", shape.embedding(), outputs),
            second_norm: norm(graph, "second_norm", outputs),
            dropout: shape.dropout,
            second: Conv2d::zero(graph, "second", 3, outputs, outputs),
            shortcut: projects.then(|| Conv2d::new(graph, "shortcut", 1, inputs, outputs)),
            attention: attention.then(|| AttentionBlock::new(graph, "attention", shape, outputs)),
            resample,
            scale,
            outputs,
        })
    }

    /// x `[Batch, h, w, inputs]`, the embedded level `[n, embedding]` (n the batch or 1) and, in training, the clock
    /// that dropout draws by → `[Batch, h', w', outputs]`.
    pub fn forward(&self, graph: &mut Graph, x: Value, embedded: Value, clock: Option<Value>) -> Value {
        let active = self.first_norm.forward_silu(graph, x);
        let first = match self.resample {
            Resample::Keep => self.first.forward(graph, active),
            Resample::Halve => {
                let halved = halve(graph, active);
                self.first.forward(graph, halved)
            }
            Resample::Double => self.first.upsample(graph, active),
        };
        let time = self.time.forward(graph, embedded);
        let pixel = match graph.shape(time).batch_axis() {
            Some(_) => Shape::batch(&[1, 1, self.outputs]),
            None => Shape::fixed(&[1, 1, 1, self.outputs]),
        };
        let time = graph.reshape(time, pixel);
        let conditioned = graph.plus(first, time);
        let active = self.second_norm.forward_silu(graph, conditioned);
        let name = graph.scoped_name("dropout");
        let kept = dropout(graph, active, clock, &name, self.dropout);
        let second = self.second.forward(graph, kept);
        let shortcut = self.shortcut(graph, x);
        let sum = graph.map(&[shortcut, second], &((Expr::input(0) + Expr::input(1)) * self.scale));
        match &self.attention {
            Some(attention) => attention.forward(graph, sum, self.scale),
            None => sum,
        }
    }

    /// x as the block's result needs it. A 1 x 1 convolution may come before the doubling, which is a quarter of the
    /// work.
    fn shortcut(&self, graph: &mut Graph, x: Value) -> Value {
        let x = if self.resample == Resample::Halve { halve(graph, x) } else { x };
        let x = self.shortcut.map_or(x, |shortcut| shortcut.forward(graph, x));
        if self.resample == Resample::Double { double(graph, x) } else { x }
    }
}
