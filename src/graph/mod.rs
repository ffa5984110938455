//! Graphs: computations as plain data.
//!
//! A [`Graph`] lists nodes: inputs, parameters, named state, random draws, products, reductions, pointwise expressions.
//! It is written with the methods of [`build`], differentiated by [`Graph::vjp`] and [`Graph::jvp`] (which give more
//! nodes, so that they compose), prepared by [`Graph::expanded`] and [`Graph::fused`], and run by the CPU executor or
//! lowered to a plan for a GPU.

mod attention;
pub mod build;
mod checkpoint;
mod composite;
mod convolution;
mod derivative;
mod dtype;
pub mod expr;
mod fuse;
#[expect(clippy::module_inception, reason = "the type that the room is named after")]
mod graph;
mod jvp;
mod matrices;
mod op;
mod overwrite;
pub mod random;
mod shape;
mod slices;
mod tape;
mod vjp;

pub use attention::{Attention, KnownComposite};
pub use convolution::{ConvLayout, Geometry, Padding};
pub use dtype::DType;
pub use expr::{Distribution, Expr};
pub use fuse::Fusion;
pub use graph::{Graph, Initial, Node, PARAMETER_ALIGNMENT, Parameter, TensorType, Value};
pub use op::{Composite, Layout, MOST_REDUCED, Op, Order, Reduction, Storage, Tick};
pub use overwrite::Overwrite;
pub use shape::{Dim, Shape};
pub use tape::Tape;
