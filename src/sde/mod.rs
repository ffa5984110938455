//! Forward processes: how data becomes noise, and what follows from that alone.
//!
//! A process is a set of expressions in time ([`Sde`]). [`conversion`] turns score, epsilon, velocity and denoised into
//! each other, [`preconditioning`] says what a network's output means, and [`model`] is what losses and samplers see of
//! a score, learned or exact. A new process is one file and a line in `processes!`, and configs follow;
//! [`ZeroTerminalSnr`] makes another one of [`Vp`], [`Shifted`] of any that preserves variance, [`Warped`] of any;
//! [`Paced`] gives any a schedule.

mod composed;
pub mod conversion;
mod cosine;
pub mod diagonal;
mod edm;
mod even_log_snr;
mod keys;
mod learned;
pub mod model;
mod noise_level;
mod paced;
pub mod preconditioning;
mod probability_flow;
mod process;
mod rectified_flow;
mod shifted;
mod sigmoid;
mod sub_vp;
mod ve;
mod vp;
mod warped;
mod work;
mod zero_terminal_snr;

pub use conversion::{Coefficients, Quantity};
pub use cosine::Cosine;
pub use edm::Edm;
pub use even_log_snr::EvenLogSnr;
pub use keys::ProcessKeys;
pub use learned::{Ends, Learned};
pub use model::{Exact, Model, Network};
pub use noise_level::{NoiseLevel, functions_of_time, perturbed};
pub use paced::Paced;
pub use preconditioning::Parameterisation;
pub use probability_flow::{flow_is_finite, probability_flow};
pub use process::{LEAST_ALPHA, Marginal, OutOfRange, Sde};
pub use rectified_flow::RectifiedFlow;
pub use shifted::{Shifted, log_snr_shift};
pub use sigmoid::Sigmoid;
pub use sub_vp::SubVp;
pub use ve::Ve;
pub use vp::Vp;
pub use warped::{BadKnots, Warped, equal_work};
pub use work::work_graph;
pub use zero_terminal_snr::ZeroTerminalSnr;

/// Every process by the name that configs have for it, in the order of the documentation: `processes!(with)` is
/// `with! { "vp" => Vp, … }`. Each is a type that has [`ProcessKeys`].
macro_rules! processes {
    ($with:ident) => {
        $with! {
            "vp" => Vp,
            "cosine" => Cosine,
            "sigmoid" => Sigmoid,
            "sub-vp" => SubVp,
            "ve" => Ve,
            "edm" => Edm,
            "learned" => Learned,
            "rectified-flow" => RectifiedFlow,
        }
    };
}
pub(crate) use processes;

/// Makes a process with its default numbers.
type Make = fn() -> Box<dyn Sde>;

macro_rules! list {
    ($($name:literal => $process:ident,)+) => {
        /// Every process: its name and its default.
        pub const PROCESSES: &[(&str, Make)] = &[$(($name, || $process::default().process())),+];
    };
}
processes!(list);
