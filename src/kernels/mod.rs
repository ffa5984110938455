//! Kernels: one file per shader, with its bindings, constants, grid and variants. Pure data, no wgpu.
//!
//! A kernel is a WGSL template of `shaders/` and a function here that fills it in and gives a
//! [`Shader`](crate::plan::Shader). Most templates take [`Hooks`]: a fused expression's loads, arithmetic and stores.
//! Binding 0 is `constants`: the kernel's own words, in the order of its `constants` function, then the hooks'.
//! Storage bindings follow: the kernel's own, then the hooks'.
//!
//! A *quad* is four neighbouring columns of a row, the first of which is a multiple of four; the last quad of a row
//! may be valid only in part. Hook bodies see `row`, `col` and `valid` (1 to 4), and `constants`.

pub mod attention;
pub mod compose;
pub mod conv;
pub mod copy;
pub mod gather;
mod hooks;
pub mod matmul;
pub mod pointwise;
pub mod reduce;
pub mod ring;
pub mod tick;
pub mod tile;
mod variants;

pub use hooks::{Binding, Element, Hooks, in_parts};
pub use variants::all_variants;

use crate::plan::{Constant, Size};

/// A word of constants that does not depend on the batch.
pub(crate) const fn word(value: u64) -> Constant {
    Constant::U32(Size::fixed(value))
}
