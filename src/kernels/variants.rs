//! Every variant of every kernel, so that no test forgets one.

use super::matmul::{Aligned, Layout};
use super::reduce::Over;
use super::tile::TILES;
use super::{Binding, Element, Hooks, attention, conv, copy, gather, matmul, pointwise, reduce, ring, tick};
use crate::graph::{ConvLayout, Geometry, Padding, Reduction};
use crate::plan::Shader;

/// Every variant of every kernel, with the plain hooks and with some that use all that hooks may.
pub fn all_variants() -> Vec<Shader> {
    let mut all = vec![tick::tick(), pointwise::pointwise(&busy("")), copy::copy(false), copy::copy(true)];
    all.extend((1..=ring::LONGEST_RECORD).map(ring::ring));
    for stored in [gather::Stored::Bytes, gather::Stored::Floats] {
        all.extend([false, true].map(|aligned| gather::gather(stored, aligned)));
    }
    for layout in Layout::ALL {
        for tile in TILES {
            for bits in 0..8 {
                let aligned = Aligned { a: bits & 1 != 0, b: bits & 2 != 0, result: bits & 4 != 0 };
                all.push(matmul::matmul(layout, tile, aligned, None));
            }
            let aligned = Aligned { a: true, b: true, result: true };
            let hooks =
                busy("let unused = split; store_mixed(row * constants.columns + col, valid, acc * constants.gain);");
            all.push(matmul::matmul(layout, tile, aligned, Some(&hooks)));
            all.push(matmul::batch_matmul(layout, tile, aligned, Some(&hooks)));
            for a in [false, true] {
                all.push(matmul::batch_matmul(layout, tile, Aligned { a, b: !a, result: a }, None));
                all.push(matmul::joined_matmul(layout, tile, Aligned { a, b: !a, result: a }, None));
            }
        }
    }
    convolutions(&mut all);
    for pass in attention::Pass::ALL {
        all.extend([4, 8, 16, 32, 64].map(|lanes| attention::attention(pass, lanes)));
    }
    for over in [Over::Columns, Over::Rows] {
        for software in [false, true] {
            for shape in reduce::shapes(over, software) {
                for op in [Reduction::Sum, Reduction::Max] {
                    for (values, hooks) in [
                        (1, reduce::load(false, 1)),
                        (1, reduce::load(true, 1)),
                        (2, reduce::load(false, 2)),
                        (reduce::MOST_VALUES, reduce::load(true, reduce::MOST_VALUES)),
                        (1, busy("let value_0 = mixed[row] * vec4<f32>(1.0);")),
                        (2, busy("let value_0 = mixed[row] * vec4<f32>(1.0);\nlet value_1 = value_0 * value_0;")),
                    ] {
                        all.push(reduce::reduce(over, op, *shape, values, &hooks));
                    }
                }
            }
        }
    }
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.dedup_by(|a, b| a.key == b.key);
    all
}

/// Every layout, tile and alignment; strides and up-sampling are numbers in the text.
fn convolutions(all: &mut Vec<Shader>) {
    use ConvLayout::{DataGradient, Forward, WeightGradient};
    let geometry = |kernel: usize, stride: usize, upsample: usize| Geometry {
        input: [8, 8],
        kernel: [kernel, kernel],
        stride,
        padding: Padding::all(1),
        upsample,
    };
    for (layout, upsample) in [(Forward, 2), (DataGradient, 1), (WeightGradient, 2)] {
        for tile in TILES {
            for [inward, outward] in [[4, 4], [3, 4], [4, 3], [3, 5]] {
                let aligned = conv::aligned(layout, inward, outward);
                all.push(conv::conv(layout, geometry(3, 1, 1), tile, aligned, None));
                all.push(conv::conv(layout, geometry(1, 2, 1), tile, aligned, None));
                all.push(conv::conv(layout, geometry(3, 1, upsample), tile, aligned, None));
                all.push(conv::joined_conv(layout, geometry(3, 1, upsample), tile, aligned, None));
            }
            let aligned = conv::aligned(layout, 4, 4);
            let hooks =
                busy("let unused = split; store_mixed(row * constants.columns + col, valid, acc * constants.gain);");
            all.push(conv::conv(layout, geometry(3, 2, 1), tile, aligned, Some(&hooks)));
        }
    }
}

/// Hooks with every part in use: a random draw, the numerics, all element types, a constant.
fn busy(body: &str) -> Hooks {
    let draw =
        "store_mixed(row * constants.columns + col, valid, draw(row, col) + load_wide(col, 4u) * constants.gain);\n";
    Hooks {
        key: "busy".to_string(),
        constants: vec!["gain: f32".to_string(), "stream: u32".to_string()],
        bindings: vec![
            Binding::read("clock", Element::U32),
            Binding::read("wide", Element::Quad),
            Binding::write("mixed", Element::F32),
        ],
        declarations: "#import random\nfn draw(row: u32, col: u32) -> vec4<f32> {\n    \
             let now = vec4<u32>(clock[0], clock[1], clock[2], clock[3]);\n    \
             let z = normal4(now, row, col / 4u, constants.stream) * uniform4(now, row, col / 4u, 7u);\n    \
             return silu_4(z) + tanh_4(z) + softplus_4(z) + log1p_4(z * z) + is_finite_4(z) + vec4<f32>(expm1_1(z.x));\n}"
            .to_string(),
        body: format!("{draw}{body}"),
    }
}
