//! What a CPU and a GPU agree on where samples choose their own steps (docs/determinism.md): the law, and most samples.

use crate::common::experiments::{Samples, devices};
use crate::common::forward::{Forward, Kind};
use crate::common::sampling::normal_distribution;
use tweedie::engine::{self, EngineError, Program, ProgramName};
use tweedie::graph::{Expr, Graph, Shape, TensorType};

/// Three modes in the plane: weight, mean, widths.
const LAW: [(f64, [f64; 2], [f64; 2]); 3] =
    [(0.5, [-1.0, 0.3], [0.3, 0.1]), (0.3, [1.0, -0.5], [0.2, 0.4]), (0.2, [0.6, 1.2], [0.1, 0.2])];
/// Directions along which the law is looked at.
const DIRECTIONS: [[f64; 2]; 4] = [[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [-0.6, 0.8]];
const N: usize = 4096;

/// The largest distance between the distribution function of the samples along a direction and that of the noised data.
fn kolmogorov(samples: &[f32], direction: [f64; 2], [alpha, sigma]: [f64; 2]) -> f64 {
    let along = |x: [f64; 2]| x[0] * direction[0] + x[1] * direction[1];
    let law = |x: f64| -> f64 {
        let of = |(weight, mean, widths): &(f64, [f64; 2], [f64; 2])| {
            let variance = |i: usize| direction[i].powi(2) * ((alpha * widths[i]).powi(2) + sigma * sigma);
            weight * normal_distribution((x - alpha * along(*mean)) / (variance(0) + variance(1)).sqrt())
        };
        LAW.iter().map(of).sum()
    };
    let mut x: Vec<f64> = samples.chunks(2).map(|x| along([x[0].into(), x[1].into()])).collect();
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let beside = |(i, x): (usize, &f64)| {
        let exact = law(*x);
        (exact - i as f64 / n).abs().max((exact - (i + 1) as f64 / n).abs())
    };
    x.iter().enumerate().map(beside).fold(0.0, f64::max)
}

/// What remains of the largest of `tests` Kolmogorov distances of `n` samples once in a hundred times, by the law of
/// Kolmogorov: P(√n distance > k) = 2 e^{−2 k²} but for terms that are smaller by e^{−6 k²}.
fn by_chance(n: usize, tests: usize) -> f64 {
    (0.5 * (2.0 * tests as f64 / 1e-2).ln() / n as f64).sqrt()
}

#[test]
fn samples_with_their_own_steps_have_one_law_on_every_device() {
    let list = |of: &dyn Fn(usize) -> String| (0..3).map(of).collect::<Vec<_>>().join(", ");
    let data = format!(
        "[data]\nkind = \"mixture\"\nn = 6\nweights = [{}]\nmeans = [{}]\nwidths = [{}]",
        list(&|k| format!("{}", LAW[k].0)),
        list(&|k| format!("{:?}", LAW[k].1)),
        list(&|k| format!("{:?}", LAW[k].2)),
    );
    let vp =
        Forward { t_min: 0.01, ..Forward::new(Kind::Vp { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false }) };
    let end = vp.at(vp.t_min);
    // With the error of the law at the default tolerance, which 65536 samples show: .012, and at a tenth of it nothing.
    for (sampler, bias) in [("adaptive-sde", 0.015), ("rk45", 0.001)] {
        let sample = format!("kind = \"{sampler}\"\ndenoise = false");
        let most = by_chance(N, 2 * 2 * DIRECTIONS.len()) + bias;
        let drawn = devices().map(|(name, device)| {
            let mut samples = Samples::new(&vp, &data, &sample, device, N, false);
            let samples = samples.draw(&sample, 3, None, |_, _| Vec::new()).expect("samples");
            for direction in DIRECTIONS {
                let distance = kolmogorov(&samples, direction, [end.alpha, end.sigma]);
                println!("{sampler} {name} along {direction:?}: {distance:.4} of {most:.4}");
                assert!(distance < most, "{sampler} {name} along {direction:?}: {distance}, by chance below {most}");
            }
            samples
        });
        // The same paths, but for samples of which one device takes a step that the other refuses.
        let far = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let distances: Vec<f32> = drawn[0].chunks(2).zip(drawn[1].chunks(2)).map(far).collect();
        let others = distances.iter().filter(|distance| **distance > 1e-3).count();
        println!("{sampler}: {others} of {N} differ, by up to {:.1e}", distances.iter().copied().fold(0.0, f32::max));
        let most = if sampler == "rk45" { 0 } else { N / 20 };
        assert!(others <= most, "{sampler}: {others} of {N} samples differ");
    }
}

#[test]
fn a_law_that_is_off_by_a_little_is_noticed() {
    // Quantiles of a law a seventh of a width away are farther from it than chance allows.
    let quantiles = |shift: f64| -> Vec<f32> {
        let at = |i: usize| {
            let (mut low, mut high) = (-9.0, 9.0);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if normal_distribution(middle) < (i as f64 + 0.5) / N as f64 { low = middle } else { high = middle }
            }
            low + shift
        };
        // The first coordinate of the first mode alone.
        (0..N).flat_map(|i| [LAW[0].1[0] + LAW[0].2[0] * at(i), 0.0].map(|x| x as f32)).collect()
    };
    let alone = |samples: &[f32]| {
        let mut x: Vec<f64> = samples.chunks(2).map(|x| (f64::from(x[0]) - LAW[0].1[0]) / LAW[0].2[0]).collect();
        x.sort_by(f64::total_cmp);
        let far = |(i, x): (usize, &f64)| (normal_distribution(*x) - (i as f64 + 0.5) / N as f64).abs();
        x.iter().enumerate().map(far).fold(0.0, f64::max)
    };
    let most = by_chance(N, 16) + 0.015;
    assert!(alone(&quantiles(0.0)) < 1e-3 && alone(&quantiles(0.15)) > most, "{most}");
    // And one mode is not three.
    assert!(kolmogorov(&quantiles(0.0), [1.0, 0.0], [1.0, 0.0]) > 0.3);
}

#[test]
fn what_is_not_there_is_refused_alike() {
    const OTHER: ProgramName = ProgramName::new("other");
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[2]));
    let y = graph.scale(x, 2.0);
    let count = graph.state("count", TensorType::f32(Shape::fixed(&[3])));
    let next = graph.map(&[count], &(Expr::input(0) + 1.0));
    graph.output("y", y);
    graph.assign("count", next);
    let program = Program { name: ProgramName::new("double"), graph, parameters_from: "params" };
    for (device_name, device) in devices() {
        let mut engine = engine::load(device, std::slice::from_ref(&program), 3).unwrap();
        let no_program = "no program is called other; there are: double";
        for refused in [
            engine.advance(OTHER, 1, 1).map(drop),
            engine.run(OTHER, 1, 1),
            engine.set_input(OTHER, "x", 1, &[1.0, 2.0]),
            engine.output(OTHER, "y").map(drop),
            engine.profile(OTHER, 1, 1).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().to_string(), no_program, "{device_name}");
        }
        let said = |refused: Result<(), EngineError>| refused.unwrap_err().to_string();
        assert_eq!(said(engine.set_input(program.name, "z", 1, &[1.0])), "program double has no input `z`; it has: x");
        let length = "input `x` of program double takes 4 elements at batch 2, not 3";
        assert_eq!(said(engine.set_input(program.name, "x", 2, &[1.0; 3])), length, "{device_name}");
        assert_eq!(said(engine.output(program.name, "z").map(drop)), "program double has no output `z`; it has: y");
        let not_run = "program double has not run, and has no outputs yet";
        assert_eq!(said(engine.output(program.name, "y").map(drop)), not_run);
        let no_state = "no program has a state `total`; there are: count";
        for refused in [
            engine.watch(&["count", "total"], 1),
            engine.floats("total", 1).map(drop),
            engine.words("total", 1).map(drop),
        ] {
            assert_eq!(said(refused), no_state, "{device_name}");
        }
        for refused in [engine.watch(&["count"], 0), engine.watch(&[], 1)] {
            assert_eq!(said(refused), "watching takes at least one state and one run", "{device_name}");
        }
        engine.set_floats("count", &[1.0, 2.0, 3.0]).unwrap();
        engine.set_input(program.name, "x", 1, &[1.0, 2.0]).unwrap();
        engine.run(program.name, 1, 1).unwrap();
        assert_eq!(engine.output(program.name, "y").unwrap(), [2.0, 4.0], "{device_name}");
        assert_eq!(said(engine.floats("count", 4).map(drop)), "state `count` has 3 elements, not 4", "{device_name}");
        assert_eq!(engine.floats("count", 3).unwrap(), [2.0, 3.0, 4.0], "{device_name}");
    }
}
