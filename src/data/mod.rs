//! Data sets, and files in and out.
//!
//! A [`Dataset`] is a table of samples on the host: bundled [`digits()`], seeded [`Toy`]s, a [`Mixture`] that knows its
//! exact score, or a file ([`load`]). Writers never leave half a file ([`write_whole`]).

mod binary;
mod curve;
mod dataset;
mod digits;
mod draw;
mod error;
mod file;
#[cfg(feature = "cli")]
mod folder;
mod mixture;
mod npy;
pub mod size;
mod table;
mod toys;
mod visibility;
pub(crate) mod whole;

pub use binary::{load_cifar10, load_idx};
pub use dataset::{Dataset, HELD_OUT_EVERY, Split, Values};
pub use digits::digits;
pub use error::DataError;
pub use file::load;
#[cfg(feature = "cli")]
pub use folder::{load_folder, load_picture};
pub use mixture::{Mixture, Width};
pub use npy::{Array, read_npy, write_npy};
pub use table::{read_csv, write_csv};
pub use toys::Toy;
pub use visibility::{Line, Visibility};
pub use whole::write_whole;
