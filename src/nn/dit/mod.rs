//! Diffusion transformers: score networks for images as sequences of patches (Peebles and Xie, 2023).

mod block;
mod layout;
mod patches;
mod positions;
mod presets;

pub use layout::DiTShape;
pub use positions::positions;
pub use presets::Preset;

use super::time_embedding::{as_column, sinusoidal_features};
use std::rc::Rc;

use super::architecture::{Activations, Architecture, Conditioning, Forward};
use super::{ClassEmbedding, Linear};
use crate::graph::{Expr, Graph, Initial, Value};
use block::{Block, Modulation, modulated_norm};

/// Sines and cosines of the noise level.
const FEATURES: usize = 256;
/// Standard deviation of the embeddings' first weights.
const EMBEDDING_DEVIATION: f64 = 0.02;

/// Patches, each told its place; blocks of attention and a perceptron, each told noise level and class by adaptive
/// layer normalisation; patches again. Blocks start as the identity, the whole as 0.
#[derive(Clone, Debug)]
pub struct DiT {
    shape: DiTShape,
    enter: Linear,
    embedding: [Linear; 2],
    classes: Option<ClassEmbedding>,
    blocks: Vec<Block>,
    modulation: Modulation<2>,
    output: Linear,
    checkpointed: bool,
}

impl DiT {
    /// Adds the parameters to `graph`, named `network.…`.
    ///
    /// # Panics
    /// If the patch does not divide height and width, or 4 and the heads do not divide the width.
    pub fn new(graph: &mut Graph, shape: &DiTShape) -> Self {
        let DiTShape { image: [height, across, _], patch, width, depth, heads, classes, .. } = *shape;
        let whole = |length: usize, part: usize| part > 0 && length.is_multiple_of(part);
        assert!(whole(height, patch) && whole(across, patch), "{height} x {across} pixels are no patches of {patch}");
        assert!(whole(width, 4) && whole(width, heads), "a width of {width} for {heads} heads: 4 and they divide it");
        let normal = Initial::Normal(EMBEDDING_DEVIATION);
        graph.scoped("network", |graph| Self {
            enter: Linear::xavier(graph, "enter", shape.pixels(), width),
            embedding: [
                Linear::with_initial(graph, "embedding.first", FEATURES, width, normal),
                Linear::with_initial(graph, "embedding.second", width, width, normal),
            ],
            classes: (classes > 0).then(|| ClassEmbedding::table(graph, "class", classes, width, normal)),
            blocks: (0..depth).map(|i| graph.scoped(format!("block{i}"), |graph| Block::new(graph, shape))).collect(),
            modulation: Modulation::new(graph, width),
            output: Linear::zero(graph, "output", width, shape.pixels()),
            shape: *shape,
            checkpointed: false,
        })
    }

    /// The same network whose derivatives compute each block again instead of keeping what is in it: more work, and
    /// memory for what is between the blocks and for one block only.
    pub fn checkpointed(self) -> Self {
        Self { checkpointed: true, ..self }
    }

    /// x `[Batch, height · width · channels]`, noise level `[Batch, 1]`, `[1, 1]` or `[1]` and, for a network with
    /// classes, the class of each sample, `[n, 1]` (n the batch or 1): a whole number, of which any from
    /// [`classes`](DiTShape::classes) on is the null class; `None` is the null class for all → the shape of x.
    pub fn forward(&self, graph: &mut Graph, x: Value, level: Value, class: Option<Value>) -> Value {
        let level = as_column(graph, level);
        let features = graph.scoped("network", |graph| sinusoidal_features(graph, level, FEATURES));
        self.forward_from(graph, x, features, class)
    }

    /// [`forward`](Self::forward) from other features of the noise level than its own: `[Batch, 256]` or `[1, 256]`.
    pub fn forward_from(&self, graph: &mut Graph, x: Value, features: Value, class: Option<Value>) -> Value {
        graph.scoped("network", |graph| {
            let embedded = self.embed(graph, features, class);
            // Every modulation begins with SiLU.
            let active = graph.map(&[embedded], &Expr::input(0).silu());
            let patches = patches::patches(graph, x, &self.shape);
            let tokens = self.enter.forward(graph, patches);
            let places = positions(graph, self.shape.grid(), self.shape.width);
            let mut hidden = graph.plus(tokens, places);
            for (i, block) in self.blocks.iter().enumerate() {
                let body = |graph: &mut Graph, x: Value| block.forward(graph, x, active);
                hidden = graph.scoped(format!("block{i}"), |graph| {
                    if self.checkpointed { graph.checkpointed(hidden, body) } else { body(graph, hidden) }
                });
            }
            let modulation = self.modulation.forward(graph, active);
            let hidden = modulated_norm(graph, hidden, modulation);
            let output = self.output.forward(graph, hidden);
            patches::image(graph, output, &self.shape)
        })
    }

    /// The sum of the embedded noise level and class: `[n, width]`, n the batch or 1.
    fn embed(&self, graph: &mut Graph, features: Value, class: Option<Value>) -> Value {
        let [first, second] = &self.embedding;
        let hidden = first.forward(graph, features);
        let hidden = graph.map(&[hidden], &Expr::input(0).silu());
        let level = second.forward(graph, hidden);
        let Some(classes) = &self.classes else { return level };
        let class = classes.forward(graph, class);
        graph.plus(level, class)
    }
}

impl Architecture for DiTShape {
    fn declare(&self, graph: &mut Graph, activations: Activations) -> Forward {
        let dit = DiT::new(graph, self);
        let dit = if activations == Activations::Recomputed { dit.checkpointed() } else { dit };
        Rc::new(move |graph, x, level, conditioning: Conditioning| dit.forward(graph, x, level, conditioning.class))
    }

    fn classes(&self) -> usize {
        self.classes
    }

    /// As many as in training: what is inside of a transformer is larger than a sample.
    fn largest_chunk(&self, training_batch: usize) -> usize {
        training_batch
    }
}
