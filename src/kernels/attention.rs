//! Attention with a streaming softmax, and its gradients: scores exist a tile at a time.
//!
//! Constants: `rows` and `others` of a matrix, `heads`, `quads` of a head's width, `matrices` (samples times heads),
//! `scale` of the scores. Bindings by [`Pass`]; tensors are `[sample, position, head, width]`.
//!
//! Cost: 4 rows others width operations a matrix forwards (each operand's product once); the gradient of the queries
//! takes 10, of the keys 6, of the values 4.

use super::hooks::{Hooks, Template};
use super::word;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// Rows of the result a workgroup.
pub const ROWS: u64 = 16;

/// Threads in a workgroup.
const THREADS: u32 = 64;

/// The widest head.
pub const WIDEST: u64 = 256;

/// What is computed, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Bindings: queries, keys, values; the result.
    Forward,
    /// The gradient of the queries, and what the others need of each query. Bindings: queries, keys, the result's
    /// gradient, values; `[matrix, query, 2]` that is kept, the gradient.
    Queries,
    /// The gradient of the keys. Bindings: keys, queries, values, the result's gradient, what was kept; the gradient.
    Keys,
    /// The gradient of the values. Bindings: keys, queries, the result's gradient, what was kept; the gradient.
    Values,
}

impl Pass {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Queries, Self::Keys, Self::Values];

    /// Bindings that are read, and the operations for each of rows, others and width.
    const fn reads_and_cost(self) -> (usize, u64) {
        match self {
            Self::Forward => (3, 4),
            Self::Queries => (4, 10),
            Self::Keys => (5, 6),
            Self::Values => (4, 4),
        }
    }
}

/// How many quads of columns lie side by side for a head of this width: the least that covers it.
pub const fn lanes(width: u64) -> u32 {
    let quads = width.div_ceil(4).next_power_of_two() as u32;
    if quads < 4 { 4 } else { quads }
}

/// The shader for heads of up to four times `lanes` columns: a power of two from 4 to 64.
///
/// # Panics
/// Never: the template has no hooks.
pub fn attention(pass: Pass, lanes: u32) -> Shader {
    let (reads, _) = pass.reads_and_cost();
    let mut access = vec![Access::Read; reads];
    access.extend(vec![Access::ReadWrite; if pass == Pass::Queries { 2 } else { 1 }]);
    let tiles = match pass {
        Pass::Forward => 3,
        Pass::Queries => 2,
        Pass::Keys | Pass::Values => 1,
    };
    let mut template = Template {
        file: "shaders/attention.wgsl",
        text: include_str!("../../shaders/attention.wgsl"),
        key: format!("attention {pass:?} {lanes}"),
        constants: 6,
        access,
        threads: THREADS,
        workgroup_bytes: tiles * THREADS * 16,
        defines: Default::default(),
    };
    template.flag("FORWARD", pass == Pass::Forward).flag("QUERIES", pass == Pass::Queries);
    template.flag("KEYS", pass == Pass::Keys).flag("VALUES", pass == Pass::Values);
    template.flag("ERRORS", matches!(pass, Pass::Queries | Pass::Keys));
    let summed = if matches!(pass, Pass::Queries | Pass::Keys) { "other_score" } else { "summed" };
    template.define("SUMMED", summed).define("LANES", lanes).define("ROWS", ROWS);
    template.define("ROWS_EACH", ROWS as u32 * lanes / THREADS);
    template.build(&Hooks::default())
}

/// The numbers of a launch: rows of the result and what they are summed over are positions both.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of the result.
    pub rows: u64,
    /// What is summed over.
    pub others: u64,
    /// Heads.
    pub heads: u64,
    /// Columns of a head, a multiple of 4.
    pub width: u64,
    /// Samples times heads.
    pub matrices: Size,
    /// The factor of scores.
    pub scale: f32,
}

/// The kernel's words.
pub fn constants(sizes: Sizes) -> Vec<Constant> {
    let Sizes { rows, others, heads, width, matrices, scale } = sizes;
    let mut words: Vec<Constant> = [rows, others, heads, width / 4].map(word).into();
    words.push(Constant::U32(matrices));
    words.push(Constant::F32(scale));
    words
}

/// The grid: a workgroup for each tile of rows of each matrix.
pub const fn workgroups(sizes: Sizes) -> Workgroups {
    Workgroups { items: sizes.matrices, per_workgroup: 1, times: sizes.rows.div_ceil(ROWS) }
}

/// Floating-point operations.
pub fn flops(pass: Pass, sizes: Sizes) -> Size {
    sizes.matrices * (pass.reads_and_cost().1 * sizes.rows * sizes.others * sizes.width)
}
