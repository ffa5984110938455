//! The ring of losses: `ring[step mod length] = record` while the status is 0.
//!
//! Constants: `length` (records). Bindings: 1 = `clock`, `u32[4]`; 2 = `status`, `f32[1]`;
//! 3 = `ring`, `f32[length, record]`; 4, 5, … = the record's parts, `f32[1]` each.

use super::hooks::{Hooks, Template};
use super::word;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// The longest record: with clock, status and ring that is 7 of WebGPU's 8 storage buffers.
pub const LONGEST_RECORD: u32 = 4;

/// The shader for records of `record` floats, 1 to [`LONGEST_RECORD`].
pub fn ring(record: u32) -> Shader {
    debug_assert!((1..=LONGEST_RECORD).contains(&record), "a record of {record} floats");
    let mut access = vec![Access::Read, Access::Read, Access::ReadWrite];
    access.resize(3 + record as usize, Access::Read);
    let mut template = Template {
        file: "shaders/ring.wgsl",
        text: include_str!("../../shaders/ring.wgsl"),
        key: format!("ring {record}"),
        constants: 1,
        access,
        threads: 1,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.define("RECORD", record);
    template.build(&Hooks::default())
}

/// The kernel's words: `length`.
pub fn constants(length: u64) -> Vec<Constant> {
    vec![word(length)]
}

/// One workgroup of one thread.
pub const fn workgroups() -> Workgroups {
    Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 }
}
