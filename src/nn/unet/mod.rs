//! U-Nets: convolutional score networks for images, in the shapes of DDPM and DDPM++.

mod attention;
mod fourier;
mod layout;
mod presets;
mod resample;
mod residual;

pub use attention::AttentionBlock;
pub use fourier::{FREQUENCIES, fourier_features, frequencies};
pub use layout::{BlockShape, Family, Features, Resample, Stage, Step, UNetShape};
pub use presets::Preset;
pub use residual::ResidualBlock;

use super::time_embedding::{as_column, sinusoidal_features};
use super::{Activations, Architecture, ClassEmbedding, Conditioning, Conv2d, FixedState, Forward, GroupNorm, Linear};
use crate::graph::{Expr, Graph, Shape, Value};
use std::rc::Rc;

/// Blocks down to coarser levels and up again, each block on the way up joined by what its twin on the way down gave;
/// the last convolution starts at 0.
#[derive(Clone, Debug)]
pub struct UNet {
    shape: UNetShape,
    class: Option<ClassEmbedding>,
    augmentation: Option<Linear>,
    embedding: [Linear; 2],
    steps: Vec<(Step, Layer)>,
    norm: GroupNorm,
    output: Conv2d,
    checkpointed: bool,
}

#[derive(Clone, Debug)]
enum Layer {
    Convolution(Conv2d),
    Block(Box<ResidualBlock>),
}

impl UNet {
    /// Adds the parameters to `graph`, named `network.…`.
    pub fn new(graph: &mut Graph, shape: &UNetShape) -> Self {
        let embedding = shape.embedding();
        let (features, channels) = (shape.channels, shape.image[2]);
        let last = shape.width(0);
        graph.scoped("network", |graph| Self {
            class: (shape.classes > 0).then(|| ClassEmbedding::new(graph, "class", shape.classes, features)),
            augmentation: (shape.augment_dim > 0)
                .then(|| Linear::without_bias(graph, "augmentation", shape.augment_dim, features)),
            embedding: [
                Linear::new(graph, "embedding.first", features, embedding),
                Linear::new(graph, "embedding.second", embedding, embedding),
            ],
            steps: shape.steps().into_iter().map(|step| Self::layer(graph, shape, step)).collect(),
            norm: GroupNorm::new(graph, "norm", last, shape.groups_of(last), shape.group_eps),
            output: Conv2d::zero(graph, "output", 3, last, channels),
            shape: shape.clone(),
            checkpointed: false,
        })
    }

    /// The same network whose derivatives compute each block again instead of keeping what is in it: more work, and
    /// memory for what is between the blocks and for one block only.
    pub fn checkpointed(self) -> Self {
        Self { checkpointed: true, ..self }
    }

    fn layer(graph: &mut Graph, shape: &UNetShape, step: Step) -> (Step, Layer) {
        let name = &step.name;
        let layer = match &step.stage {
            Stage::Enter => Layer::Convolution(Conv2d::new(graph, name, 3, shape.image[2], shape.channels)),
            Stage::Down(channels) | Stage::Up(channels) => {
                Layer::Convolution(Conv2d::new(graph, name, 3, *channels, *channels))
            }
            Stage::Block(block) => Layer::Block(Box::new(ResidualBlock::new(graph, name, shape, block))),
        };
        (step, layer)
    }

    /// x `[Batch, height · width · channels]` and noise level `[Batch, 1]`, `[1, 1]` or `[1]` → the shape of x.
    pub fn forward(&self, graph: &mut Graph, x: Value, level: Value, conditioning: Conditioning) -> Value {
        let level = as_column(graph, level);
        let features = graph.scoped("network", |graph| match self.shape.features {
            Features::Sinusoidal => sinusoidal_features(graph, level, self.shape.channels),
            Features::Fourier { .. } => fourier_features(graph, level, self.shape.channels),
        });
        self.forward_from(graph, x, features, conditioning)
    }

    /// [`forward`](Self::forward) from other features of the noise level than its own: `[Batch, channels]` or
    /// `[1, channels]`.
    pub fn forward_from(&self, graph: &mut Graph, x: Value, features: Value, conditioning: Conditioning) -> Value {
        let flat = graph.shape(x).clone();
        graph.scoped("network", |graph| {
            let embedded = self.embed(graph, features, conditioning);
            let mut hidden = graph.reshape(x, Shape::batch(&self.shape.image));
            let mut skips = Vec::new();
            for (step, layer) in &self.steps {
                hidden = graph.scoped(step.name.as_str(), |graph| {
                    let skip = step.joins.then(|| skips.pop().expect("the layout keeps a skip for every join"));
                    let body = |graph: &mut Graph, x: Value| {
                        let x = skip.map_or(x, |skip| graph.concat(&[x, skip], 3));
                        match (layer, &step.stage) {
                            (Layer::Block(block), _) => block.forward(graph, x, embedded, conditioning.clock),
                            (Layer::Convolution(conv), Stage::Down(_)) => conv.downsample(graph, x),
                            (Layer::Convolution(conv), Stage::Up(_)) => conv.upsample(graph, x),
                            (Layer::Convolution(conv), _) => conv.forward(graph, x),
                        }
                    };
                    if self.checkpointed { graph.checkpointed(hidden, body) } else { body(graph, hidden) }
                });
                if step.keeps {
                    skips.push(hidden);
                }
            }
            let hidden = self.norm.forward_silu(graph, hidden);
            let output = self.output.forward(graph, hidden);
            graph.reshape(output, flat)
        })
    }

    /// Noise level, class and augmentation as one vector: `[n, embedding]`, n the batch or 1.
    fn embed(&self, graph: &mut Graph, mut features: Value, conditioning: Conditioning) -> Value {
        if let Some(layer) = &self.class {
            let embedded = layer.forward(graph, conditioning.class);
            features = graph.plus(features, embedded);
        }
        if let (Some(layer), Some(augmentation)) = (&self.augmentation, conditioning.augmentation) {
            let embedded = layer.forward(graph, augmentation);
            features = graph.plus(features, embedded);
        }
        self.embedding.iter().fold(features, |hidden, layer| {
            let hidden = layer.forward(graph, hidden);
            graph.map(&[hidden], &Expr::input(0).silu())
        })
    }
}

impl Architecture for UNetShape {
    fn declare(&self, graph: &mut Graph, activations: Activations) -> Forward {
        let unet = UNet::new(graph, self);
        let unet = if activations == Activations::Recomputed { unet.checkpointed() } else { unet };
        Rc::new(move |graph, x, level, conditioning| unet.forward(graph, x, level, conditioning))
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn constants(&self) -> Vec<FixedState> {
        match self.features {
            Features::Sinusoidal => Vec::new(),
            Features::Fourier { scale } => {
                let values = frequencies(self.channels, scale).into_iter().map(|w| w as f32).collect();
                vec![FixedState { name: FREQUENCIES, values }]
            }
        }
    }

    /// As many as in training: what is inside of a U-Net is larger than a sample.
    fn largest_chunk(&self, training_batch: usize) -> usize {
        training_batch
    }
}
