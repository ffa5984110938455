//! A score network for vectors: residual blocks that know the noise level.

use std::rc::Rc;

use super::time_embedding::as_column;
use super::{Activations, Architecture, ClassEmbedding, Conditioning, Forward, Linear, TimeEmbedding};
use crate::graph::{Expr, Graph, Value};

/// The sizes of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpShape {
    /// Coordinates D of a sample.
    pub dims: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Residual blocks.
    pub depth: usize,
    /// Numbers that the noise level is embedded in, even.
    pub embedding: usize,
    /// Classes that the network can be given; 0 is none. One more, the null class, stands for "any".
    pub classes: usize,
}

impl MlpShape {
    /// Number of weights: input and output layer, the layers of the embeddings, and in every block two layers and the
    /// projection of the embedding.
    pub const fn parameters(&self) -> usize {
        let Self { dims, width, depth, embedding, classes } = *self;
        let ends = dims * width + width + width * dims + dims;
        let block = 2 * (width * width + width) + embedding * width;
        let class = if classes > 0 { classes * embedding + embedding } else { 0 };
        ends + class + embedding * embedding + embedding + depth * block
    }
}

/// h₀ = W x + b; h ← h + W₂ silu(W₁ silu(h) + W_t e + b₁) + b₂ in each block; f = W silu(h) + b, which starts at 0.
///
/// e = silu(W (features of the noise level + embedding of the class) + b).
#[derive(Clone, Debug)]
pub struct Mlp {
    input: Linear,
    class: Option<ClassEmbedding>,
    embedding: TimeEmbedding,
    blocks: Vec<Block>,
    output: Linear,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    first: Linear,
    time: Linear,
    second: Linear,
}

impl Mlp {
    /// Adds the parameters to `graph`, named `network.…`.
    pub fn new(graph: &mut Graph, shape: MlpShape) -> Self {
        let MlpShape { dims, width, depth, embedding, classes } = shape;
        graph.scoped("network", |graph| Self {
            input: Linear::new(graph, "input", dims, width),
            class: (classes > 0).then(|| ClassEmbedding::new(graph, "class", classes, embedding)),
            embedding: TimeEmbedding::new(graph, "embedding", embedding),
            blocks: (0..depth)
                .map(|i| {
                    graph.scoped(format!("block{i}"), |graph| Block {
                        first: Linear::new(graph, "first", width, width),
                        time: Linear::without_bias(graph, "time", embedding, width),
                        second: Linear::new(graph, "second", width, width),
                    })
                })
                .collect(),
            output: Linear::zero(graph, "output", width, dims),
        })
    }

    /// x `[Batch, D]` and noise level `[Batch, 1]`, `[1, 1]` or `[1]` → `[Batch, D]`. One level for the whole batch is
    /// embedded once.
    pub fn forward(&self, graph: &mut Graph, x: Value, level: Value, conditioning: Conditioning) -> Value {
        graph.scoped("network", |graph| {
            let level = as_column(graph, level);
            let mut features = self.embedding.features(graph, level);
            if let Some(class) = &self.class {
                let class = class.forward(graph, conditioning.class);
                features = graph.plus(features, class);
            }
            let embedded = self.embedding.forward_from(graph, features);
            let mut hidden = self.input.forward(graph, x);
            for (i, block) in self.blocks.iter().enumerate() {
                hidden = graph.scoped(format!("block{i}"), |graph| block.forward(graph, hidden, embedded));
            }
            let hidden = graph.map(&[hidden], &Expr::input(0).silu());
            self.output.forward(graph, hidden)
        })
    }
}

impl Architecture for MlpShape {
    fn declare(&self, graph: &mut Graph, _: Activations) -> Forward {
        let mlp = Mlp::new(graph, *self);
        Rc::new(move |graph, x, level, conditioning| mlp.forward(graph, x, level, conditioning))
    }

    fn classes(&self) -> usize {
        self.classes
    }
}

impl Block {
    fn forward(&self, graph: &mut Graph, hidden: Value, embedded: Value) -> Value {
        let active = graph.map(&[hidden], &Expr::input(0).silu());
        let first = self.first.forward(graph, active);
        let time = self.time.forward(graph, embedded);
        let active = graph.map(&[first, time], &(Expr::input(0) + Expr::input(1)).silu());
        let second = self.second.forward(graph, active);
        graph.plus(hidden, second)
    }
}
