//! Kernels, lowering and replay on a GPU, and shaders through every backend's writer.

#[path = "../common/mod.rs"]
mod common;

mod gpu_replay;
mod kernels;
mod shaders;

#[cfg(feature = "cpu")]
mod gpu_graphs;
#[cfg(feature = "cpu")]
mod gpu_states;
#[cfg(feature = "cpu")]
mod joins;
#[cfg(feature = "cpu")]
mod sampler_gpu;
#[cfg(feature = "cpu")]
mod score_matching_gpu;
