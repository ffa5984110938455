//! Group normalisation (Wu and He, 2018).
//!
//! y = (x − m) / √(v + ε) · scale + shift, where m and v are mean and variance of a sample's group of channels at all of
//! its positions.
//!
//! It is written so that it and its derivatives take few passes over the image: one for the statistics, one for y, and as
//! many for what its cotangent sends back. Constants that lie near the values are subtracted first: c, for each channel
//! of a sample its value at the first position, and r, the mean of c over a group. With e = c − r, and sums over the
//! positions P of each channel,
//!
//! s₁ = Σ (x − c) and s₂ = Σ (x − c)² in one pass, then over the few channels of a group of n numbers
//! d = Σ (s₁ + P e) / n = m − r, v = Σ (s₂ + 2 e s₁ + P e²) / n − d², and
//! y = (x − c) p + (shift + (e − d) p), p = scale / √(v + ε),
//!
//! which hold for any c and r: so these count for nothing in derivatives of any order, what y's cotangent sends to s₁, s₂
//! and p comes from two sums over positions for each channel, and all the rest is small.
//!
//! What cancels is bounded, however far from 0 the mean is. A value at the first position lies as far from its mean as it
//! does, so v ≥ (m − r)² / P by Jensen's inequality, and likewise for c and the mean of a channel: at worst, where
//! all that varies stands at the first position, v has a relative error of about P 2⁻²⁴ in f32, and as a rule of a few 2⁻²⁴.

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
        let (near, first) = (graph.reshape(first, per_channel.clone()), graph.reshape(first, grouped.clone()));
        let centre = graph.sum(first, &[2]);
        let from_near = input(0) - input(1).detached();
        let powers = [from_near.clone(), from_near.square()].map(|power| {
            let power = graph.map(&[x, near], &power);
            let sum = graph.sum(power, &positions);
            graph.reshape(sum, grouped.clone())
        });
        let apart = |first: usize, centre: usize| input(first).detached() - input(centre).detached() / width as f64;
        let (e, p) = (apart(2, 3), length as f64);
        let given = [powers[0], powers[1], first, centre];
        let sums = [input(0) + &e * p, input(1) + &e * (input(0) * 2.0 + &e * p)].map(|expr| {
            let moved = graph.map(&given, &expr);
            graph.sum(moved, &[2])
        });
        let offset = graph.scale(sums[0], 1.0 / count);
        let variance = graph.map(&[sums[1], offset], &(input(0) / count - input(1).square()));
        let factor = graph.map_to(&[scale, variance], &(input(0) / (input(1) + eps).sqrt()), &grouped);
        let summand = input(0) + (apart(1, 2) - input(3)) * input(4);
        let summand = graph.map_to(&[shift, first, centre, offset, factor], &summand, &grouped);
        let [factor, summand] = [factor, summand].map(|value| graph.reshape(value, per_channel.clone()));
        let normal = graph.map(&[x, near, factor, summand], &(from_near * input(2) + input(3)));
        // A node of its own, so that derivatives of derivatives read few tensors each.
        vec![graph.map(&[normal], activation)]
    };
    graph.composite("group_norm", &[x, affine[0], affine[1]], body)[0]
}
