//! Layers and networks: PyTorch with the same weights, naive twins, differences, and the GPU against the CPU.

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod conv;
mod dit;
mod network;
mod norm;
mod unet;
mod unet_gpu;
