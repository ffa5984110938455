//! The batch gather: rows of a resident data set, drawn without replacement, scaled on load.
//!
//! Constants: `batch`, `columns`, `total_batch`, `n`, `first_row`, `chunk_rows`, `lanes`, `shuffled`, `scale`, `shift`.
//! Bindings: 1 = `clock`, `u32[4]`; 2 = the chunk of the data set, rows packed tight (u8 sets padded to a multiple of
//! 4 bytes); 3 = the batch, `f32[batch, columns]`.
//!
//! A set above the binding limit is cut into chunks of rows, with one dispatch for each: a dispatch leaves alone the
//! samples whose row is in another chunk. The row's number is that of
//! [`random::permute`](crate::graph::random::permute).

use super::hooks::{Element, Hooks, Template};
use super::word;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// Threads in a workgroup.
pub const THREADS: u32 = 64;

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// A byte for each number.
    Bytes,
    /// f32.
    Floats,
}

/// What is gathered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gather {
    /// Numbers in a row.
    pub columns: u64,
    /// Samples of one step over all its micro-batches: how far a step moves on in the data set.
    pub total_batch: Size,
    /// Rows of the whole set, at least 1.
    pub n: u64,
    /// First row of the bound chunk.
    pub first_row: u64,
    /// Rows of the bound chunk.
    pub chunk_rows: u64,
    /// Whether each epoch is shuffled; otherwise rows come in order.
    pub shuffled: bool,
    /// Multiplies what is stored, ...
    pub scale: f32,
    /// ... then this is added.
    pub shift: f32,
}

/// The shader; `aligned` when rows are a multiple of four numbers long.
pub fn gather(stored: Stored, aligned: bool) -> Shader {
    let (name, kind, element) = match (stored, aligned) {
        (Stored::Bytes, _) => ("u8", "u8[rows, columns], four in a word", Element::U32),
        (Stored::Floats, true) => ("f32", "f32[rows, columns]", Element::Quad),
        (Stored::Floats, false) => ("f32", "f32[rows, columns]", Element::F32),
    };
    let mut template = Template {
        file: "shaders/gather.wgsl",
        text: include_str!("../../shaders/gather.wgsl"),
        key: format!("gather {name}{}", if aligned { " a4" } else { "" }),
        constants: 10,
        access: vec![Access::Read, Access::Read, Access::ReadWrite],
        threads: THREADS,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.define("KIND", kind).define("ELEMENT", element.wgsl());
    template.define("OUT_ELEMENT", if aligned { "vec4<f32>" } else { "f32" });
    template.flag("BYTES", stored == Stored::Bytes).flag("ALIGNED", aligned);
    template.build(&Hooks::default())
}

/// Threads for each sample: a quarter of its quads, between 1 and a workgroup.
const fn lanes(columns: u64) -> u64 {
    let lanes = columns.div_ceil(16).next_power_of_two();
    if lanes < THREADS as u64 { lanes } else { THREADS as u64 }
}

/// The kernel's words for `batch` samples.
pub fn constants(gather: &Gather, batch: Size) -> Vec<Constant> {
    vec![
        Constant::U32(batch),
        word(gather.columns),
        Constant::U32(gather.total_batch),
        word(gather.n),
        word(gather.first_row),
        word(gather.chunk_rows),
        word(lanes(gather.columns)),
        word(gather.shuffled as u64),
        Constant::F32(gather.scale),
        Constant::F32(gather.shift),
    ]
}

/// The grid for `batch` samples.
pub fn workgroups(gather: &Gather, batch: Size) -> Workgroups {
    Workgroups { items: batch * lanes(gather.columns), per_workgroup: THREADS as u64, times: 1 }
}
