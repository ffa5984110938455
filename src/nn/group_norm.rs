//! Group normalisation (Wu and He, 2018).
//!
//! y = (x − m) / √(v + ε) · scale + shift, where m and v are mean and variance of a sample's group of channels at all
//! of its positions.
//!
//! It is written so that on a GPU it and its derivatives take few passes over the image: one for the statistics, one
//! for y, and as many for what its cotangent sends back. A constant m₀ near the mean, for each group of a sample the
//! mean of its channels at the first position, is subtracted first:
//!
//! d = Σ (x − m₀) / n = m − m₀, v = Σ (x − m₀)² / n − d² and
//! y = (x − m₀) p + (shift − d p), p = scale / √(v + ε),
//!
//! which hold for any m₀: so it counts for nothing in derivatives of any order, what they send to d, v and p comes from
//! two sums over positions for each channel, and all the rest is small.
//!
//! However far from 0 the mean is, what cancels is bounded: of P positions one has the mean m₀, so v ≥ d² / P by
//! Jensen's inequality. At worst, where all that varies stands at the first position, v has a relative error of about P
//! 2⁻²⁴ in f32, as a rule one of a few 2⁻²⁴. Where a group is constant, that may be below 0 by some 2⁻²⁴ of the square
//! of the rounding of m₀: |v| is taken, so that no ε > 0 leaves a root of a negative number.

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
    let length = shape.fixed_elements() / channels;
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
        let first = graph.reshape(x, Shape::batch(&[length, channels]));
        let first = graph.slice(first, 1, 0, 1);
        let first = graph.reshape(first, grouped.clone());
        let near = graph.sum(first, &[2]);
        let near = graph.map_to(&[near], &(input(0) / width as f64), &grouped);
        let near = graph.reshape(near, per_channel.clone());
        let centred = input(0) - input(1).detached();
        // Means over positions for each channel, then over the few channels of a group.
        let means = [centred.clone(), centred.square()].map(|power| {
            let power = graph.map(&[x, near], &power);
            let sum = graph.sum(power, &positions);
            let sum = graph.reshape(sum, grouped.clone());
            let share = graph.scale(sum, 1.0 / count);
            graph.sum(share, &[2])
        });
        // Together, so that what is sent back to the means is summed once.
        let variance = (input(1) - input(0).square()).abs();
        let factor = input(2) / (variance + eps).sqrt();
        let summand = input(3) - input(0) * &factor;
        let both = graph.pointwise(&[means[0], means[1], scale, shift], &[factor, summand], Some(grouped));
        let [factor, summand] = [both[0], both[1]].map(|value| graph.reshape(value, per_channel.clone()));
        let normal = graph.map(&[x, near, factor, summand], &(centred * input(2) + input(3)));
        // A node of its own, so that derivatives of derivatives read few tensors each.
        vec![graph.map(&[normal], activation)]
    };
    graph.composite("group_norm", &[x, affine[0], affine[1]], body)[0]
}
