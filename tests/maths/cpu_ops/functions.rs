//! The functions of f32 within a few units in the last place.

use super::x;
use crate::common::graphs::Numbers;
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape};

/// f32 results of a function for many arguments.
fn single(expr: &Expr, arguments: &[f32]) -> Vec<f32> {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[]));
    let y = graph.map(&[a], expr);
    graph.output("y", y);
    let mut program = Program::<f32>::new(&graph, "params");
    program.run(&mut Store::new(), &[("a", arguments)], arguments.len()).unwrap();
    program.output("y").to_vec()
}

/// The distance of `found` from the exact value in units of the last place of the rounded exact value.
fn ulps(found: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if found == rounded || (found.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
    (f64::from(found) - exact).abs() / unit
}

/// Name, expression, exact function, range of arguments, allowed error in ulp.
type Function = (&'static str, Expr, fn(f64) -> f64, (f64, f64), f64);

fn functions() -> Vec<Function> {
    let a = x(0);
    vec![
        ("exp", a.exp(), f64::exp, (-110.0, 90.0), 1.5),
        ("expm1", a.expm1(), f64::exp_m1, (-40.0, 90.0), 2.5),
        ("ln", a.ln(), f64::ln, (1e-45, 3e38), 1.5),
        ("log1p", a.log1p(), f64::ln_1p, (-0.999, 1e30), 3.0),
        ("sin", a.sin(), f64::sin, (-200.0, 200.0), 1.5),
        ("cos", a.cos(), f64::cos, (-200.0, 200.0), 1.5),
        ("sin far out", a.sin(), f64::sin, (-1e9, 1e9), 1.5),
        ("cos far out", a.cos(), f64::cos, (-1e9, 1e9), 1.5),
        ("tanh", a.tanh(), f64::tanh, (-20.0, 20.0), 4.0),
        ("sigmoid", a.sigmoid(), |x| 1.0 / (1.0 + (-x).exp()), (-100.0, 100.0), 3.0),
        ("softplus", a.softplus(), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), (-100.0, 100.0), 4.0),
        ("sqrt", a.sqrt(), f64::sqrt, (0.0, 1e38), 0.5),
    ]
}

#[test]
fn f32_functions_are_accurate_to_a_few_ulp() {
    let mut numbers = Numbers::new(77);
    for (name, expr, exact, (low, high), allowed) in functions() {
        // Evenly over the range, evenly in the exponent, and near 0 and 1.
        let mut arguments: Vec<f32> =
            (0..20_000).map(|_| (low + (high - low) * (numbers.one() + 1.0) / 2.0) as f32).collect();
        arguments.extend((0..20_000).map(|_| {
            let magnitude = (numbers.one() * 88.0).exp();
            (if low < 0.0 && numbers.one() < 0.0 { -magnitude } else { magnitude }) as f32
        }));
        arguments.extend((0..5_000).map(|_| (1.0 + numbers.one() * 1e-3) as f32));
        arguments.retain(|x| (low..high).contains(&f64::from(*x)));
        assert!(arguments.len() > 10_000);
        let (mut worst, mut at) = (0.0, 0.0);
        for (x, y) in arguments.iter().zip(single(&expr, &arguments)) {
            let error = ulps(y, exact(f64::from(*x)));
            if error > worst {
                (worst, at) = (error, *x);
            }
        }
        println!("{name}: {worst:.2} ulp at {at:e}");
        assert!(worst <= allowed, "{name}({at:e}) is off by {worst} ulp");
    }
}

#[test]
fn f32_functions_at_special_values() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let arguments = [
        0.0,
        -0.0,
        inf,
        -inf,
        nan,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        1.0,
        -1.0,
        88.7,
        88.8,
        -103.0,
        -105.0,
        1e8,
        -2e8,
        1e20,
        -1e20,
    ];
    for (name, expr, exact, _, allowed) in functions() {
        for (x, y) in arguments.iter().zip(single(&expr, &arguments)) {
            let error = ulps(y, exact(f64::from(*x)));
            assert!(error <= allowed, "{name}({x:e}) = {y:e} instead of {:e}", exact(f64::from(*x)));
        }
    }
    let finite = single(&x(0).is_finite(), &arguments);
    assert_eq!(finite[..6], [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
}
