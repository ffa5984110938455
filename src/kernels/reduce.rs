//! Reductions: sum or maximum over the columns (one value a row), or over the rows (one value a column) of each of
//! `outer` matrices: over a middle axis. Of up to [`MOST_VALUES`] things at once, which share what they read.
//!
//! Constants: `rows`, `columns`, `chunks`, `outer` (1 over columns). Bindings: from 1 on `output_0`, `output_1`, …,
//! each `f32[rows, chunks]` over columns, `f32[outer, chunks, columns]` over rows; then the prologue's.
//!
//! The prologue's body sees `row` (among those of all matrices), `col` (a multiple of 4) and `valid`, and defines `let
//! value_0: vec4<f32>` and as many more as there are outputs; their lanes from `valid` on are ignored. It runs once for
//! every quad, so it may store side outputs. [`load`] is the plain one.
//!
//! Long reductions run twice: with [`chunks`]` > 1` into a partial buffer, then over that with one chunk: over columns
//! as `[rows, chunks]`, over rows as `[chunks, columns]`. A sum over everything is one over the columns of `[1, n]`.

use super::hooks::{Binding, Element, Hooks, Template};
use super::word;
use crate::graph::Reduction;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

pub use crate::graph::MOST_REDUCED as MOST_VALUES;

/// What disappears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// One value is left for each row.
    Columns,
    /// One value is left for each column.
    Rows,
}

/// How threads share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Threads in a workgroup, a power of two.
    pub threads: u32,
    /// Over columns: threads that share a row. Over rows: quads of columns that lie side by side. A power of two.
    pub lanes: u32,
}

impl Shape {
    const fn new(threads: u32, lanes: u32) -> Self {
        Self { threads, lanes }
    }
}

/// The shapes from which a plan chooses.
pub const fn shapes(over: Over, software: bool) -> &'static [Shape] {
    match (over, software) {
        (Over::Columns, false) => {
            const { &[Shape::new(64, 1), Shape::new(64, 8), Shape::new(64, 64), Shape::new(256, 256)] }
        }
        (Over::Rows, false) => const { &[Shape::new(256, 1), Shape::new(256, 16)] },
        (_, true) => const { &[Shape::new(8, 1), Shape::new(8, 8)] },
    }
}

/// The shape for rows of `columns` floats; `software` when the driver runs on a CPU.
pub fn choose(over: Over, columns: u64, software: bool) -> Shape {
    let quads = columns.div_ceil(4);
    let shapes = shapes(over, software);
    let fits = |shape: &&Shape| match over {
        Over::Columns => shape.lanes as u64 * 2 <= quads,
        Over::Rows => shape.lanes as u64 <= quads,
    };
    *shapes.iter().rev().find(fits).unwrap_or(&shapes[0])
}

/// Into how many parts the reduction should be cut, each to be a workgroup's: 1 unless it is long and leaves few
/// values. `rows` is that of the largest batch.
pub const fn chunks(over: Over, shape: Shape, rows: u64, columns: u64) -> u64 {
    match over {
        Over::Columns => {
            let groups = rows.div_ceil((shape.threads / shape.lanes) as u64);
            parts(groups, columns.div_ceil(4), shape.lanes)
        }
        Over::Rows => middle_chunks(shape, 1, rows, columns),
    }
}

/// So many that all groups together are about 128, and a thread has at least 16 steps.
const fn parts(groups: u64, length: u64, threads: u32) -> u64 {
    let (wanted, longest) = (128 / groups, length / (threads as u64 * 16));
    let parts = if wanted < longest { wanted } else { longest };
    if parts == 0 { 1 } else { parts }
}

/// [`chunks`] over the rows of each of `outer` matrices.
pub const fn middle_chunks(shape: Shape, outer: u64, rows: u64, columns: u64) -> u64 {
    let groups = columns.div_ceil(4).div_ceil(shape.lanes as u64) * outer;
    parts(groups, rows, shape.threads / shape.lanes)
}

/// The plain prologue: loads `values` bindings `source_0`, `source_1`, …, `f32[rows, columns]`; `aligned` when
/// `columns` is a multiple of 4.
pub fn load(aligned: bool, values: usize) -> Hooks {
    let element = if aligned { Element::Quad } else { Element::F32 };
    let value = |v| format!("let value_{v} = load_source_{v}(row * constants.columns + col, valid);\n");
    Hooks {
        key: if aligned { "load4" } else { "load" }.to_string(),
        bindings: (0..values).map(|v| Binding::read(format!("source_{v}"), element)).collect(),
        body: (0..values).map(value).collect(),
        ..Hooks::default()
    }
}

/// The shader for so many values of the prologue.
///
/// # Panics
/// When a hook's text does not compose.
pub fn reduce(over: Over, reduction: Reduction, shape: Shape, values: usize, hooks: &Hooks) -> Shader {
    debug_assert!((1..=MOST_VALUES).contains(&values), "{values} values at once");
    let (meeting, stride) = match over {
        Over::Columns => (shape.lanes, 1),
        Over::Rows => (shape.threads / shape.lanes, shape.lanes),
    };
    let mut template = Template {
        file: "shaders/reduce.wgsl",
        text: include_str!("../../shaders/reduce.wgsl"),
        key: match values {
            1 => format!("reduce {reduction:?} over {over:?} {}/{}", shape.threads, shape.lanes),
            _ => format!("reduce {values} {reduction:?}s over {over:?} {}/{}", shape.threads, shape.lanes),
        },
        constants: 4,
        access: vec![Access::ReadWrite; values],
        threads: shape.threads,
        workgroup_bytes: if meeting > 1 { shape.threads * 16 * values as u32 } else { 0 },
        defines: Default::default(),
    };
    template.define("OP", if reduction == Reduction::Sum { "the sum" } else { "the maximum" });
    template.define("IDENTITY", if reduction == Reduction::Sum { "0.0" } else { "-3.402823e38" });
    template.define("VALUES", values);
    template.define("LANES", shape.lanes).define("THREADS_MEETING", meeting).define("STRIDE", stride);
    template.flag("OVER_COLUMNS", over == Over::Columns).flag("MAXIMUM", reduction == Reduction::Max);
    template.build(hooks)
}

/// The kernel's own words for one matrix: `rows`, `columns`, `chunks`, 1.
pub fn constants(rows: Size, columns: Size, chunks: u64) -> Vec<Constant> {
    middle_constants(Size::fixed(1), rows, columns, chunks)
}

/// The kernel's own words: `rows`, `columns`, `chunks`, `outer`.
pub fn middle_constants(outer: Size, rows: Size, columns: Size, chunks: u64) -> Vec<Constant> {
    vec![Constant::U32(rows), Constant::U32(columns), word(chunks), Constant::U32(outer)]
}

/// The grid over the rows of each of `outer` matrices; `outer` or `columns` may depend on the batch.
pub const fn middle_workgroups(shape: Shape, outer: Size, columns: Size, chunks: u64) -> Workgroups {
    let lanes = shape.lanes as u64;
    if outer.per_sample > 0 {
        let times = columns.fixed.div_ceil(4).div_ceil(lanes) * chunks;
        return Workgroups { items: outer, per_workgroup: 1, times };
    }
    // Columns that grow with the batch are shared out float by float.
    Workgroups { items: columns, per_workgroup: 4 * lanes, times: chunks * outer.fixed }
}

/// The grid. `columns` matters over rows only.
pub const fn workgroups(over: Over, shape: Shape, rows: Size, columns: u64, chunks: u64) -> Workgroups {
    match over {
        Over::Columns => Workgroups { items: rows, per_workgroup: (shape.threads / shape.lanes) as u64, times: chunks },
        Over::Rows => {
            Workgroups { items: Size::fixed(columns.div_ceil(4)), per_workgroup: shape.lanes as u64, times: chunks }
        }
    }
}
