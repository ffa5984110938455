//! Layers and networks as functions over graph values, and what trains them.
//!
//! A layer's `new` adds its parameters to a graph once; its `forward` may be called any number of times.

pub mod exact;
pub mod init;
mod linear;
mod mlp;
pub mod optimizer;
mod time_embedding;

pub use exact::Mixture;
pub use init::initial_parameters;
pub use linear::Linear;
pub use mlp::{Mlp, MlpShape};
pub use optimizer::{LearningRate, Optimizer};
pub use time_embedding::{TimeEmbedding, sinusoidal_features};
