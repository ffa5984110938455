//! Convolutions as matrix products whose first operand is never stored: implicit GEMM in three layouts.
//!
//! | layout | rows | columns | inner | A (read place by place) | B |
//! |---|---|---|---|---|---|
//! | forward | pixels of y | channels out | taps × channels in | x | w |
//! | data gradient | pixels of x | channels in | taps × channels out | dy, taps reversed | w, channels exchanged |
//! | weight gradient | taps × channels in | channels out | pixels of y | x | dy |
//!
//! Tiles, splits, epilogues and bindings are those of [`matmul`](super::matmul); only the loads of the operands differ
//! (`shaders/shared/unfold.wgsl`). Sizes are constants; kernel width, stride and up-sampling are in the text, so that
//! dividing by them is cheap.
//!
//! Constants: the product's four, then those of the unfolding.
//!
//! Cost: a data gradient with stride s multiplies s² as often as needed, by zeros.

use super::hooks::Hooks;
use super::matmul::{Aligned, Layout, Left, store, template};
use super::tile::Tile;
use super::word;
use crate::graph::{ConvLayout, Geometry};
use crate::plan::{Constant, Shader};

/// Numbers of pixels or elements of a row from which on an index is no longer exact in f32.
pub const LIMIT: u64 = 1 << 24;

/// Words of constants after those of the product.
const WORDS: u32 = 10;

/// How the product's operands lie.
pub const fn product_layout(layout: ConvLayout) -> Layout {
    match layout {
        ConvLayout::Forward => Layout::Nn,
        ConvLayout::DataGradient => Layout::Nt,
        ConvLayout::WeightGradient => Layout::Tn,
    }
}

/// Which loads may take four floats at once, for these channels of x and y.
pub const fn aligned(layout: ConvLayout, inward: u64, outward: u64) -> Aligned {
    let (inward, outward) = (inward.is_multiple_of(4), outward.is_multiple_of(4));
    match layout {
        ConvLayout::Forward | ConvLayout::WeightGradient => Aligned { a: inward, b: outward, result: outward },
        ConvLayout::DataGradient => Aligned { a: outward, b: outward, result: inward },
    }
}

/// The shader. `hooks: None` stores the result, or its partial sums.
///
/// # Panics
/// When a hook's text does not compose, or for a data gradient after up-sampling, which has no kernel.
pub fn conv(layout: ConvLayout, geometry: Geometry, tile: Tile, aligned: Aligned, hooks: Option<&Hooks>) -> Shader {
    any_conv(layout, geometry, tile, aligned, Left::Whole, hooks)
}

/// The shader for images whose channels lie in two tensors: one more constant, `first`, the channels of the first of
/// them (a multiple of 4), and binding 3 is the other. `aligned.a` if those of both are a multiple of 4.
///
/// # Panics
/// As [`conv`].
pub fn joined_conv(
    layout: ConvLayout,
    geometry: Geometry,
    tile: Tile,
    aligned: Aligned,
    hooks: Option<&Hooks>,
) -> Shader {
    any_conv(layout, geometry, tile, aligned, Left::Joined, hooks)
}

fn any_conv(
    layout: ConvLayout,
    geometry: Geometry,
    tile: Tile,
    aligned: Aligned,
    left: Left,
    hooks: Option<&Hooks>,
) -> Shader {
    let Geometry { kernel, stride, upsample, .. } = geometry;
    let transposed = layout == ConvLayout::DataGradient;
    assert!(!transposed || upsample == 1, "a data gradient after up-sampling is a data gradient and a sum");
    let mut template = template(product_layout(layout), tile, aligned, left);
    let product = template.key.replacen("matmul", "conv", 1);
    template.key = format!("{product} {layout:?} kernel{} stride{stride} up{upsample}", kernel[1]);
    template.constants += WORDS;
    template.define("UNFOLD", 1).flag("TRANSPOSED", transposed);
    template.define("KERNEL_WIDTH", kernel[1]).define("STRIDE", stride).define("UPSAMPLE", upsample);
    match hooks {
        Some(hooks) => template.build(hooks),
        None => template.build(&store(aligned.result)),
    }
}

/// The words after the product's own, for the channels of the images that are unfolded: x, or dy of a data gradient.
pub fn constants(layout: ConvLayout, geometry: Geometry, channels: u64) -> Vec<Constant> {
    let output = geometry.output().expect("checked when the graph was built");
    let (grid, images) = match layout {
        ConvLayout::DataGradient => (geometry.input, output),
        _ => (output, geometry.input),
    };
    let inverse = |length: u64| Constant::F32(1.0 / length as f32);
    let words = [grid[0], grid[1], images[0], images[1], geometry.padding.top, geometry.padding.left];
    let mut constants: Vec<Constant> = words.into_iter().map(|length| word(length as u64)).collect();
    constants.push(word(channels));
    constants.extend([grid[0] as u64, grid[1] as u64, channels].map(inverse));
    constants
}
