//! Pointwise kernels: the caller's expression for each quad of `rows` x `columns`.
//!
//! Constants: `rows`, `columns`, then the hooks'. Bindings: the hooks', from 1 on.
//! The body sees `row`, `col` and `valid`, and does its loads and stores. It may write several outputs.

use super::hooks::{Hooks, Template};
use super::word;
use crate::plan::{Constant, Shader, Size, Workgroups};

/// Threads in a workgroup.
pub const THREADS: u32 = 64;

/// The shader.
///
/// # Panics
/// When a hook's text does not compose.
pub fn pointwise(hooks: &Hooks) -> Shader {
    let template = Template {
        file: "shaders/pointwise.wgsl",
        text: include_str!("../../shaders/pointwise.wgsl"),
        key: "pointwise".to_string(),
        constants: 2,
        access: Vec::new(),
        threads: THREADS,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.build(hooks)
}

/// The kernel's own words: `rows`, `columns`.
pub fn constants(rows: Size, columns: u64) -> Vec<Constant> {
    vec![Constant::U32(rows), word(columns)]
}

/// The grid for `rows` x `columns`.
pub const fn workgroups(rows: Size, columns: u64) -> Workgroups {
    let quads = columns.div_ceil(4);
    let items = Size { fixed: rows.fixed * quads, per_sample: rows.per_sample * quads };
    Workgroups { items, per_workgroup: THREADS as u64, times: 1 }
}

/// The same for one row whose length may depend on the batch: where rows mean nothing, and a short row would waste
/// a part of its last quad.
pub fn flat_constants(elements: Size) -> Vec<Constant> {
    vec![word(1), Constant::U32(elements)]
}

/// The grid for one row of `elements`.
pub const fn flat_workgroups(elements: Size) -> Workgroups {
    Workgroups { items: elements, per_workgroup: THREADS as u64 * 4, times: 1 }
}
