//! Graphs: computations as plain data.

mod dtype;
pub mod random;

pub use dtype::DType;
