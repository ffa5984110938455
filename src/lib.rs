//! tweedie trains and samples score-based diffusion models on any GPU.
//!
//! The rooms, in the order in which data walks through them, are described in `ARCHITECTURE.md`.
#![warn(missing_docs)]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod data;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod likelihood;
pub mod loss;
pub mod nn;
mod number;
pub mod plan;
pub mod sampler;
pub mod sde;
pub mod train;

pub use wgpu;
