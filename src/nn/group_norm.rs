//! Group normalisation (Wu and He, 2018).
//!
//! y = (x − m) / √(v + ε) · scale + shift, where m and v are mean and variance of a sample's group of channels at all of
//! its positions.
//!
//! It is written so that its derivatives take few passes over the image. The mean is subtracted as a constant m₀ in the
//! two formulas that run over all positions,
//!
//! v = Σ (x − m₀)² / n − (m − m₀)² and y = (x − m₀) p + (shift − (m − m₀) p), p = scale / √(v + ε),
//!
//! which hold for any m₀: so it counts for nothing in derivatives of any order, what they send to m and p comes from two
//! sums over positions for each channel, and all the rest is small. As m₀ = m, nothing cancels and m − m₀ is no work.

use crate::graph::{Expr, Graph, Initial, Shape, Value};

/// Group normalisation with learned scale and shift, `[channels]` each.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm {
    groups: usize,
    eps: f64,
    scale: Value,
    shift: Value,
}

impl GroupNorm {
    /// A layer whose scale starts at 1 and whose shift starts at 0. `groups` divides `channels`; `eps` is added to the
    /// variance.
    ///
    /// # Panics
    /// If `groups` does not divide `channels`.
    pub fn new(graph: &mut Graph, name: &str, channels: usize, groups: usize, eps: f64) -> Self {
        assert!(groups > 0 && channels.is_multiple_of(groups), "{channels} channels are no {groups} equal groups");
        graph.scoped(name, |graph| {
            let scale = graph.parameter("scale", &[channels], Initial::Ones);
            let shift = graph.parameter("shift", &[channels], Initial::Zeros);
            Self { groups, eps, scale, shift }
        })
    }

    /// `[Batch, …, channels]` → the same shape.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Value {
        group_norm(graph, x, [self.scale, self.shift], self.groups, self.eps, &Expr::input(0))
    }

    /// [`forward`](Self::forward) with SiLU after it, in the same pass.
    pub fn forward_silu(&self, graph: &mut Graph, x: Value) -> Value {
        group_norm(graph, x, [self.scale, self.shift], self.groups, self.eps, &Expr::input(0).silu())
    }

    /// Scale and shift, for a layer that modulates them: see [`group_norm`].
    pub fn affine(&self) -> [Value; 2] {
        [self.scale, self.shift]
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// What is added to the variance.
    pub fn eps(&self) -> f64 {
        self.eps
    }
}

/// Normalises `x`, `[Batch, …, C]`, in `groups` of neighbouring channels, multiplies by the first of `affine`, adds the
/// second, both `[C]` or for each sample `[Batch, C]`, and applies `activation`, an expression of input 0.
///
/// # Panics
/// If `x` does not start with the batch, or shapes do not fit.
pub fn group_norm(
    graph: &mut Graph,
    x: Value,
    affine: [Value; 2],
    groups: usize,
    eps: f64,
    activation: &Expr,
) -> Value {
    let shape = graph.shape(x).clone();
    let channels = shape.dims().last().map_or(0, |dim| dim.at(1));
    let fits = shape.batch_axis() == Some(0) && shape.rank() >= 2 && groups > 0 && channels.is_multiple_of(groups);
    assert!(fits, "{groups} groups of {shape}: it takes [batch, …, channels]");
    let width = channels / groups;
    let positions: Vec<usize> = (1..shape.rank() - 1).collect();
    let per_channel = positions.iter().fold(shape.clone(), |shape, axis| shape.with_axis(*axis, 1.into()));
    let grouped = Shape::batch(&[groups, width]);
    let count = (shape.fixed_elements() / groups) as f64;
    let body = |graph: &mut Graph, inputs: &[Value]| {
        let input = Expr::input;
        let x = inputs[0];
        let [scale, shift] = [inputs[1], inputs[2]].map(|value| {
            let per_sample = graph.shape(value).batch_axis().is_some();
            graph.reshape(value, if per_sample { grouped.clone() } else { Shape::fixed(&[groups, width]) })
        });
        // Sums over positions for each channel, then over the few channels of a group.
        let group_sum = |graph: &mut Graph, x: Value| {
            let sum = graph.sum(x, &positions);
            let sum = graph.reshape(sum, grouped.clone());
            graph.sum(sum, &[2])
        };
        let sum = group_sum(graph, x);
        let mean = graph.scale(sum, 1.0 / count);
        let spread = graph.map_to(&[mean], &input(0), &grouped);
        let spread = graph.reshape(spread, per_channel.clone());
        let centred = input(0) - input(1).detached();
        let squares = graph.map(&[x, spread], &centred.square());
        let squares = group_sum(graph, squares);
        let offset = input(1) - input(1).detached();
        let deviation = (input(0) / count - offset.square() + eps).sqrt();
        let factor = graph.map_to(&[squares, mean, scale], &(input(2) / deviation), &grouped);
        let summand = graph.map_to(&[shift, mean, factor], &(input(0) - &offset * input(2)), &grouped);
        let [factor, summand] = [factor, summand].map(|value| graph.reshape(value, per_channel.clone()));
        let normal = graph.map(&[x, spread, factor, summand], &(centred * input(2) + input(3)));
        // A node of its own, so that derivatives of derivatives read few tensors each.
        vec![graph.map(&[normal], activation)]
    };
    graph.composite("group_norm", &[x, affine[0], affine[1]], body)[0]
}
