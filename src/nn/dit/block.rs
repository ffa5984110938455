//! The transformer's block and what it is told: adaptive layer normalisation whose gates start at 0 (adaLN-zero).

use super::DiTShape;
use crate::graph::{Expr, Graph, Shape, Value};
use crate::nn::{Linear, attention, gelu, layer_norm};

/// Added to the variance in the normalisations.
const EPS: f64 = 1e-6;

/// N vectors, linear in SiLU of the embedded noise level and class, which start at 0.
#[derive(Clone, Copy, Debug)]
pub struct Modulation<const N: usize> {
    layer: Linear,
    width: usize,
}

impl<const N: usize> Modulation<N> {
    /// Adds the parameters.
    pub fn new(graph: &mut Graph, width: usize) -> Self {
        Self { layer: Linear::zero(graph, "modulation", width, N * width), width }
    }

    /// The active embedding `[n, width]` (n the batch or 1) → N times `[n, 1, width]`.
    pub fn forward(&self, graph: &mut Graph, active: Value) -> [Value; N] {
        let all = self.layer.forward(graph, active);
        let token = match graph.shape(all).batch_axis() {
            Some(_) => Shape::batch(&[1, self.width]),
            None => Shape::fixed(&[1, 1, self.width]),
        };
        std::array::from_fn(|part| {
            let part = graph.slice(all, 1, part * self.width, self.width);
            graph.reshape(part, token.clone())
        })
    }
}

/// x `[Batch, tokens, width]`, each token normalised, then times 1 + `scale` plus `shift`.
pub fn modulated_norm(graph: &mut Graph, x: Value, [shift, scale]: [Value; 2]) -> Value {
    let normal = layer_norm(graph, x, EPS);
    graph.map(&[normal, shift, scale], &(Expr::input(0) * (Expr::input(2) + 1.0) + Expr::input(1)))
}

/// x ← x + gate · proj(attention(norm(x))), then x ← x + gate · W₂ gelu(W₁ norm(x)), each norm with shift and scale.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    modulation: Modulation<6>,
    qkv: Linear,
    projection: Linear,
    first: Linear,
    second: Linear,
    heads: usize,
    width: usize,
}

impl Block {
    /// Adds the parameters.
    pub fn new(graph: &mut Graph, shape: &DiTShape) -> Self {
        let DiTShape { width, heads, .. } = *shape;
        let hidden = shape.mlp_ratio * width;
        Self {
            modulation: Modulation::new(graph, width),
            qkv: Linear::xavier(graph, "qkv", width, 3 * width),
            projection: Linear::xavier(graph, "projection", width, width),
            first: Linear::xavier(graph, "first", width, hidden),
            second: Linear::xavier(graph, "second", hidden, width),
            heads,
            width,
        }
    }

    /// x `[Batch, tokens, width]` and the active embedding `[n, width]` → the shape of x.
    pub fn forward(&self, graph: &mut Graph, x: Value, active: Value) -> Value {
        let [shift, scale, gate, mlp_shift, mlp_scale, mlp_gate] = self.modulation.forward(graph, active);
        let normal = modulated_norm(graph, x, [shift, scale]);
        let attended = self.attend(graph, normal);
        let x = gated(graph, x, gate, attended);
        let normal = modulated_norm(graph, x, [mlp_shift, mlp_scale]);
        let hidden = self.first.forward(graph, normal);
        let hidden = graph.map(&[hidden], &gelu(&Expr::input(0)));
        let result = self.second.forward(graph, hidden);
        gated(graph, x, mlp_gate, result)
    }

    fn attend(&self, graph: &mut Graph, x: Value) -> Value {
        let qkv = self.qkv.forward(graph, x);
        let parts = [0, 1, 2].map(|part| graph.slice(qkv, 2, part * self.width, self.width));
        let attended = attention(graph, parts, self.heads);
        self.projection.forward(graph, attended)
    }
}

/// x + gate · y
fn gated(graph: &mut Graph, x: Value, gate: Value, y: Value) -> Value {
    graph.map(&[x, gate, y], &(Expr::input(0) + Expr::input(1) * Expr::input(2)))
}
