//! Graphs: computations as plain data.

mod dtype;

pub use dtype::DType;
