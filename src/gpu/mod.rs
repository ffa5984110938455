//! Replays plans on a GPU, and knows nothing of networks, losses or noise. The only room that names wgpu.
//!
//! - [`Adapters`] and [`select`]: what there is, and what to take.
//! - [`Device`]: one of our own ([`Device::open`]), or the caller's ([`Device::from_wgpu`]).
//! - [`Store`]: buffers by name that outlast plans.
//! - [`Player`]: a loaded plan. [`Player::run`] makes its own submissions; [`Player::record`] fills the caller's.
//!
//! Nothing here prints. On a caller's device nothing waits unless its doc says so, and no handler is installed.

#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

mod adapter;
mod block;
mod cache;
mod device;
mod error;
mod flight;
mod pending;
mod pipeline;
mod player;
mod profile;
mod ring;
mod run;
mod store;
mod transfer;
mod validate;

pub use adapter::{AdapterReport, Adapters, Choice, DeviceLimits, Hardware, Selection, select};
pub use device::{Device, MemoryReport, OpenOptions};
pub use error::GpuError;
pub use pending::{Element, Pending};
pub use pipeline::Trust;
pub use player::{Options, Player};
pub use profile::{Profile, ProfileRow};
pub use ring::Snapshot;
pub use store::Store;
pub use validate::{PlanError, validate};
