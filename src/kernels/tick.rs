//! The clock's step: `step += by` while the status is 0.
//!
//! Constants: `by`. Bindings: 1 = `status`, `f32[1]`; 2 = `clock`, `u32[4]`.

use super::hooks::{Hooks, Template};
use super::word;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// The shader.
pub fn tick() -> Shader {
    let template = Template {
        file: "shaders/tick.wgsl",
        text: include_str!("../../shaders/tick.wgsl"),
        key: "tick".to_string(),
        constants: 1,
        access: vec![Access::Read, Access::ReadWrite],
        threads: 1,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.build(&Hooks::default())
}

/// The kernel's words: `by`.
pub fn constants(by: u32) -> Vec<Constant> {
    vec![word(by as u64)]
}

/// One workgroup of one thread.
pub const fn workgroups() -> Workgroups {
    Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 }
}
