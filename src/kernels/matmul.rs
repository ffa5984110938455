//! Matrix products: `C = op(A) op(B)` in f32, three layouts, any tile, split sums, fused epilogue.
//!
//! Constants: `rows` and `columns` of C, `inner` (the length of the sums), `splits`.
//! Bindings: 1 = A, 2 = B, then the epilogue's; without hooks 3 = `result`, `[splits, rows, columns]`.
//! With `splits > 1` the default epilogue leaves partial sums, which
//! [`reduce`](super::reduce) over the rows of `[splits, rows * columns]` adds in a fixed order.
//!
//! The epilogue's body sees `row`, `col` (a multiple of 4), `valid` (1 to 4 columns of C), `split` and
//! `acc: vec4<f32>`, and stores what it wants to keep. It runs for every quad inside C, and only for those.
//!
//! [`batch_matmul`] is the same for many matrices one after the other: one more constant, `matrices`, one split, and
//! rows are numbered among all in the epilogue. [`joined_matmul`] reads an A whose columns, as stored, lie in two
//! tensors: one more constant, `first` (how many columns the first of them holds), and binding 3 is the other.
//!
//! Cost: `2 rows columns inner` floating-point operations, each operand read `ceil(columns / tile.columns)`
//! (A) and `ceil(rows / tile.rows)` (B) times.

use super::hooks::{Binding, Element, Hooks, Template};
use super::tile::Tile;
use super::word;
pub use crate::graph::Layout;
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// Which operands have rows, as stored, whose length is a multiple of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aligned {
    /// A: `inner` in Nn and Nt, `rows` in Tn.
    pub a: bool,
    /// B: `columns` in Nn and Tn, `inner` in Nt.
    pub b: bool,
    /// The default epilogue's result: `columns`. Of no effect with hooks.
    pub result: bool,
}

impl Aligned {
    /// For a product of `rows` x `columns` x `inner`; a size that depends on the batch counts as 1.
    pub const fn of(layout: Layout, rows: u64, columns: u64, inner: u64) -> Self {
        let (a, b) = match layout {
            Layout::Nn => (inner, columns),
            Layout::Nt => (inner, inner),
            Layout::Tn => (rows, columns),
        };
        Self { a: a.is_multiple_of(4), b: b.is_multiple_of(4), result: columns.is_multiple_of(4) }
    }
}

/// The shader. `hooks: None` stores C, or its partial sums.
///
/// # Panics
/// When a hook's text does not compose.
pub fn matmul(layout: Layout, tile: Tile, aligned: Aligned, hooks: Option<&Hooks>) -> Shader {
    finished(template(layout, tile, aligned, Left::Whole), aligned, hooks)
}

/// The shader for an A in two parts. `aligned.a` if the rows of both are a multiple of 4 long; those of the first
/// always are.
///
/// # Panics
/// When a hook's text does not compose.
pub fn joined_matmul(layout: Layout, tile: Tile, aligned: Aligned, hooks: Option<&Hooks>) -> Shader {
    finished(template(layout, tile, aligned, Left::Joined), aligned, hooks)
}

/// The shader for many matrices.
///
/// # Panics
/// When a hook's text does not compose.
pub fn batch_matmul(layout: Layout, tile: Tile, aligned: Aligned, hooks: Option<&Hooks>) -> Shader {
    finished(template(layout, tile, aligned, Left::Many), aligned, hooks)
}

fn finished(template: Template, aligned: Aligned, hooks: Option<&Hooks>) -> Shader {
    match hooks {
        Some(hooks) => template.build(hooks),
        None => template.build(&store(aligned.result)),
    }
}

/// What A is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// One tensor.
    Whole,
    /// Two tensors side by side.
    Joined,
    /// Many matrices, as B is then.
    Many,
}

/// The shader before its epilogue.
pub(super) fn template(layout: Layout, tile: Tile, aligned: Aligned, left: Left) -> Template {
    let (a_turned, b_turned) = (layout != Layout::Tn, layout == Layout::Nt);
    let quad = |aligned: bool| if aligned { Element::Quad } else { Element::F32 };
    let (a, b) = (quad(aligned.a), quad(aligned.b));
    let name = if left == Left::Many { "batch_matmul" } else { "matmul" };
    let mut key = format!("{name} {layout:?} {}", tile.name());
    for (name, element) in [("a4", a), ("b4", b)] {
        if element == Element::Quad {
            key += &format!(" {name}");
        }
    }
    if left == Left::Joined {
        key += " joined";
    }
    let (file, text) = match tile.software_only {
        true => ("shaders/matmul_rows.wgsl", include_str!("../../shaders/matmul_rows.wgsl")),
        false => ("shaders/matmul.wgsl", include_str!("../../shaders/matmul.wgsl")),
    };
    let mut template = Template {
        file,
        text,
        key,
        constants: if left == Left::Whole { 4 } else { 5 },
        access: vec![Access::Read; if left == Left::Joined { 3 } else { 2 }],
        threads: tile.threads(),
        workgroup_bytes: tile.workgroup_bytes(),
        defines: Default::default(),
    };
    let (across, down) = (tile.columns / tile.thread_columns, tile.rows / tile.thread_rows);
    for (name, value) in [("ROWS", tile.rows), ("COLUMNS", tile.columns), ("DEPTH", tile.depth)] {
        template.define(name, value);
    }
    template.define("THREAD_ROWS", tile.thread_rows).define("THREAD_COLUMNS", tile.thread_columns);
    template.define("ACROSS", across).define("DOWN", down);
    template.define("A_ELEMENT", a.wgsl()).define("B_ELEMENT", b.wgsl());
    let (a_sides, b_sides) = match layout {
        Layout::Nn => (("rows", "inner"), ("inner", "columns")),
        Layout::Nt => (("rows", "inner"), ("columns", "inner")),
        Layout::Tn => (("inner", "rows"), ("inner", "columns")),
    };
    template.define("A_MAJORS", a_sides.0).define("A_MINORS", a_sides.1);
    template.define("B_MAJORS", b_sides.0).define("B_MINORS", b_sides.1);
    template.flag("BATCHED", left == Left::Many).flag("JOINED", left == Left::Joined);
    template.flag("A_TURNED", a_turned).flag("B_TURNED", b_turned);
    if tile.lanes > 0 {
        template.define("LANES", tile.lanes);
    }
    template.flag("A_ALIGNED", a == Element::Quad).flag("B_ALIGNED", b == Element::Quad);
    template
}

/// The default epilogue: stores C, or the partial sums `[splits, rows, columns]`, to binding 3, `result`.
pub(super) fn store(aligned: bool) -> Hooks {
    let element = if aligned { Element::Quad } else { Element::F32 };
    Hooks {
        key: if aligned { "store4" } else { "store" }.to_string(),
        bindings: vec![Binding::write("result", element)],
        body: "store_result((split * constants.rows + row) * constants.columns + col, valid, acc);".to_string(),
        ..Hooks::default()
    }
}

/// The kernel's own words: `rows`, `columns`, `inner`, `splits`.
pub fn constants(rows: Size, columns: u64, inner: Size, splits: u64) -> Vec<Constant> {
    vec![Constant::U32(rows), word(columns), Constant::U32(inner), word(splits)]
}

/// The grid: a workgroup for each tile and split.
pub const fn workgroups(tile: Tile, rows: Size, columns: u64, splits: u64) -> Workgroups {
    let column_tiles = columns.div_ceil(tile.columns as u64);
    Workgroups { items: rows, per_workgroup: tile.rows as u64, times: column_tiles * splits }
}

/// The words of a batch of products: `rows`, `columns`, `inner`, one split, `matrices`.
pub fn batch_constants(matrices: Size, rows: u64, columns: u64, inner: u64) -> Vec<Constant> {
    let mut words = constants(Size::fixed(rows), columns, Size::fixed(inner), 1);
    words.push(Constant::U32(matrices));
    words
}

/// The grid of a batch of products: a workgroup for each tile of each matrix.
pub const fn batch_workgroups(tile: Tile, matrices: Size, rows: u64, columns: u64) -> Workgroups {
    let tiles = rows.div_ceil(tile.rows as u64) * columns.div_ceil(tile.columns as u64);
    Workgroups { items: matrices, per_workgroup: 1, times: tiles }
}
