//! Forward processes: how data becomes noise, and what follows from that alone.
//!
//! A process is a set of expressions in time ([`Sde`]). [`conversion`] turns score, epsilon and denoised into each
//! other, [`preconditioning`] says what a network's output means, and [`model`] is what losses and samplers see of a
//! score, learned or exact. A new process is one file and a line in [`PROCESSES`].

pub mod conversion;
pub mod diagonal;
pub mod model;
pub mod preconditioning;
mod process;
mod ve;
mod vp;

pub use conversion::Quantity;
pub use model::{Exact, Model, Network, functions_of_time};
pub use preconditioning::Parameterisation;
pub use process::{Marginal, OutOfRange, Sde};
pub use ve::Ve;
pub use vp::Vp;

/// A process with its default numbers.
type Default = fn() -> Box<dyn Sde>;

/// Every process: its name and its default.
pub const PROCESSES: &[(&str, Default)] = &[("vp", || Box::new(Vp::default())), ("ve", || Box::new(Ve::default()))];
