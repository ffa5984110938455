//! Kernels, lowering and replay on a GPU, and shaders through every backend's writer.

#[path = "../common/mod.rs"]
mod common;

mod gpu_graphs;
mod gpu_replay;
mod gpu_states;
mod joins;
mod kernels;
mod sampler_gpu;
mod score_matching_gpu;
mod shaders;
