//! Functions that WGSL leaves inexact, against f64.

use super::{WIDE, assert_near, unwritten};
use crate::common::kernel_harness::{bits, floats, run};
use tweedie::kernels::{Binding, Element, Hooks, pointwise};
use tweedie::plan::Size;

/// The WGSL function, its f64 truth, the relative error allowed for each 1 + |x| (WGSL grants exp 3 + 2 |x| units in the
/// last place), the absolute error allowed.
type Function = (&'static str, fn(f64) -> f64, f64, f64);

const FUNCTIONS: [Function; 9] = [
    ("expm1", f64::exp_m1, 5e-7, 1e-30),
    ("tanh", f64::tanh, 1e-6, 1e-30),
    ("sigmoid", |x| 1.0 / (1.0 + (-x).exp()), 5e-7, 1e-33),
    ("silu", |x| x / (1.0 + (-x).exp()), 5e-7, 1e-31),
    ("softplus", |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 1e-6, 1e-30),
    ("exp", f64::exp, 5e-7, 1.3e-38),
    ("log1p", |x| if x > -1.0 { x.ln_1p() } else { f64::NAN }, 1e-6, 1e-30),
    ("log", |x| if x > 0.0 { x.ln() } else { f64::NAN }, 5e-7, 1e-30),
    ("is_finite", |_| 1.0, 0.0, 0.0),
];

#[test]
fn numerics_agree_with_f64_everywhere() {
    let mut points: Vec<f32> = (-875..=875).map(|i| i as f32 * 0.1).collect();
    points.extend((0..200).flat_map(|i| [1.0f32, -1.0].map(|s| s * 10f32.powf(-i as f32 * 0.15))));
    points.extend([0.0, 0.29, 0.2900001, -0.29, 0.4, -0.4, 0.3999999, 1.0, -0.9999999, 0.707, 1.415]);
    while !points.len().is_multiple_of(4) {
        points.push(2.0);
    }
    let columns = points.len() as u64;
    let mut bindings = vec![Binding::read("x", Element::Quad)];
    let mut body = "let value = load_x(col, valid);\n".to_string();
    let (count, half) = (FUNCTIONS.len(), Binding::write("y", Element::Quad));
    bindings.push(half);
    for (i, (name, ..)) in FUNCTIONS.iter().enumerate() {
        body += &format!(
            "store_y({}u * constants.columns + col, valid, {name}_4(value));\n\
             store_y({}u * constants.columns + col, valid, \
             vec4<f32>({name}_1(value.x), {name}_1(value.y), {name}_1(value.z), {name}_1(value.w)));\n",
            2 * i,
            2 * i + 1
        );
    }
    let hooks = Hooks { bindings, declarations: "#import numerics".to_string(), body, ..Hooks::default() };
    let size = Size::fixed(1);
    let after = run(
        &pointwise::pointwise(&hooks),
        &pointwise::constants(size, columns),
        pointwise::workgroups(size, columns),
        (1, WIDE),
        &[bits(&points), unwritten(columns * 2 * count as u64)],
    );
    let y = floats(&after[1]);
    for (i, (name, truth, relative, absolute)) in FUNCTIONS.iter().enumerate() {
        for (j, x) in points.iter().enumerate() {
            let expected = truth(*x as f64);
            if expected.is_nan() || expected.abs() > 1e38 {
                continue;
            }
            for width in 0..2 {
                let actual = y[(2 * i + width) * points.len() + j];
                let error = (actual as f64 - expected).abs();
                assert!(
                    error <= relative * (1.0 + x.abs() as f64) * expected.abs() + absolute,
                    "{name}({x}) = {actual} instead of {expected}"
                );
            }
        }
    }
}

#[test]
fn numerics_stand_extremes() {
    let x = [f32::MAX, f32::MIN, 1e30, -1e30, 88.5, -200.0, 0.0, 1e-30];
    let hooks = Hooks {
        bindings: vec![Binding::read("x", Element::Quad), Binding::read("odd", Element::Quad), Binding::write("y", Element::Quad)],
        declarations: "#import numerics".to_string(),
        body: "let value = load_x(col, valid);\n\
               store_y(col, valid, tanh_4(value));\n\
               store_y(8u + col, valid, sigmoid_4(value));\n\
               store_y(16u + col, valid, is_finite_4(exp_4(value)) * is_finite_4(softplus_4(value)) * is_finite_4(silu_4(value)));\n\
               store_y(24u + col, valid, is_finite_4(load_odd(col, valid)));"
            .to_string(),
        ..Hooks::default()
    };
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, f32::MAX, -f32::NAN, 1e-40, -1.0];
    let size = Size::fixed(1);
    let groups = pointwise::workgroups(size, 8);
    let buffers = [bits(&x), bits(&odd), unwritten(32)];
    let y = floats(&run(&pointwise::pointwise(&hooks), &pointwise::constants(size, 8), groups, (1, WIDE), &buffers)[2]);
    assert_eq!(y[..7], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0]);
    for (i, value) in y[8..16].iter().enumerate() {
        assert_near(*value, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.5][i], 1.0, 1e-6, "sigmoid");
    }
    assert_eq!(y[16..24], [1.0; 8]);
    assert_eq!(y[24..], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
}
