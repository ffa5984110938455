//! Layers and networks as functions over graph values, and what trains them.
//!
//! A layer's `new` adds its parameters to a graph once; its `forward` may be called any number of times.

pub mod architecture;
mod attention;
mod class_embedding;
mod conv2d;
pub mod dit;
mod dropout;
pub mod exact;
mod gelu;
mod group_norm;
pub mod init;
mod layer_norm;
mod linear;
mod mlp;
pub mod optimizer;
mod time_embedding;
pub mod unet;

pub use architecture::{Activations, Architecture, Conditioning, FixedState, Forward};
pub use attention::attention;
pub use class_embedding::ClassEmbedding;
pub use conv2d::Conv2d;
pub use dropout::dropout;
pub use exact::ExactMixture;
pub use gelu::gelu;
pub use group_norm::{GroupNorm, group_norm};
pub use init::initial_parameters;
pub use layer_norm::layer_norm;
pub use linear::Linear;
pub use mlp::{Mlp, MlpShape};
pub use optimizer::{Average, LearningRate, Optimizer};
pub use time_embedding::{TimeEmbedding, sinusoidal_features};
