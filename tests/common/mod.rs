//! What tests share. Every test binary has all of it, and uses some.
#![allow(dead_code)]

#[cfg(feature = "cli")]
pub mod binary;
#[cfg(feature = "cpu")]
pub mod both;
#[cfg(feature = "cpu")]
pub mod experiments;
pub mod forward;
pub mod gpu;
#[cfg(feature = "cpu")]
pub mod graphs;
pub mod kernel_harness;
pub mod npy;
pub mod pool;
pub mod processes;
#[cfg(feature = "cpu")]
pub mod sampling;
pub mod skip;
#[cfg(feature = "cli")]
pub mod small_run;
pub mod tensors;
