//! The clock: `step += steps` and `sample_base = kept · sample_base + samples` while the status is 0.
//!
//! Constants: `steps`, `kept`, `samples`. Bindings: 1 = `status`, `f32[1]`; 2 = `clock`, `u32[4]`.

use super::hooks::{Hooks, Template};
use super::word;
use crate::graph::Tick;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// The shader.
pub fn tick() -> Shader {
    let template = Template {
        file: "shaders/tick.wgsl",
        text: include_str!("../../shaders/tick.wgsl"),
        key: "tick".to_string(),
        constants: 3,
        access: vec![Access::Read, Access::ReadWrite],
        threads: 1,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.build(&Hooks::default())
}

/// The kernel's words: `steps`, `kept`, `samples`.
pub fn constants(by: Tick) -> Vec<Constant> {
    let (steps, kept, samples) = match by {
        Tick::Step => (1, 1, Size::fixed(0)),
        Tick::MicroBatch => (0, 1, Size::per_sample(1)),
        Tick::Last => (1, 0, Size::fixed(0)),
    };
    vec![word(steps), word(kept), Constant::U32(samples)]
}

/// One workgroup of one thread.
pub const fn workgroups() -> Workgroups {
    Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 }
}
