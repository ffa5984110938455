//! (room) The CPU executor: runs a [`Graph`](crate::graph::Graph) in f32 or f64.
//!
//! It is `--device cpu`, the device of a machine without a GPU, and in f64 the truth of gradient checks. A [`Program`]
//! is prepared once and run many times against a [`Store`] of tensors that last. The bits of a result depend on the
//! graph, the store and the inputs, never on the number of threads: work is cut by shape alone, and sums are taken in a
//! fixed order.

mod conv;
mod counters;
mod draw;
mod error;
mod functions;
mod gather;
mod matmul;
mod memory;
mod permute;
mod pointwise;
mod program;
mod real;
mod reduce;
mod store;
mod views;

pub use error::CpuError;
pub use program::Program;
pub use real::Real;
pub use store::{Store, Tensor};
