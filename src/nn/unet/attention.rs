//! Self-attention between the pixels of an image.

use super::UNetShape;
use crate::graph::{Expr, Graph, Shape, Value};
use crate::nn::{Conv2d, GroupNorm, attention};

/// x + proj(attention(q, k, v)), with q, k, v linear in the normalised x; proj starts at 0.
#[derive(Clone, Copy, Debug)]
pub struct AttentionBlock {
    norm: GroupNorm,
    qkv: Conv2d,
    projection: Conv2d,
    heads: usize,
    channels: usize,
}

impl AttentionBlock {
    /// Adds the parameters.
    pub fn new(graph: &mut Graph, name: &str, shape: &UNetShape, channels: usize) -> Self {
        graph.scoped(name, |graph| Self {
            norm: GroupNorm::new(graph, "norm", channels, shape.groups_of(channels), shape.group_eps),
            qkv: Conv2d::new(graph, "qkv", 1, channels, 3 * channels),
            projection: Conv2d::zero(graph, "projection", 1, channels, channels),
            heads: shape.heads,
            channels,
        })
    }

    /// `[Batch, h, w, channels]` → the same shape; the sum is multiplied by `scale`.
    pub fn forward(&self, graph: &mut Graph, x: Value, scale: f64) -> Value {
        let image = graph.shape(x).clone();
        let positions = image.dims()[1].at(1) * image.dims()[2].at(1);
        let rows = Shape::batch(&[positions, self.channels]);
        let normalised = self.norm.forward(graph, x);
        let qkv = self.qkv.forward(graph, normalised);
        let [q, k, v] = [0, 1, 2].map(|part| {
            let part = graph.slice(qkv, 3, part * self.channels, self.channels);
            graph.reshape(part, rows.clone())
        });
        let attended = attention(graph, [q, k, v], self.heads);
        let attended = graph.reshape(attended, image);
        let projected = self.projection.forward(graph, attended);
        graph.map(&[x, projected], &((Expr::input(0) + Expr::input(1)) * scale))
    }
}
