//! tweedie trains and samples score-based diffusion models on any GPU.
//!
//! The rooms, in the order in which data walks through them, are described in `ARCHITECTURE.md`.
#![warn(missing_docs)]

pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod data;
pub mod engine;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod likelihood;
pub mod loss;
pub mod lower;
pub mod nn;
mod number;
#[cfg(feature = "cli")]
pub mod picture;
pub mod plan;
pub mod sampler;
pub mod sde;
pub mod train;
mod violation;
mod word;

pub use wgpu;
