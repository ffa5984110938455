//! Which solution a scheme converges to, where the noise depends on the state: dX = mu X dt + g X dw, whose means are
//! known for both meanings and, for each scheme, at a finite number of steps.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, TensorType};
use tweedie::sde::diagonal::{Calculus, Diagonal, Increment, SCHEMES, Scheme};

const MU: f64 = 0.1;
const G: f64 = 0.5;
const STEPS: usize = 100;
const PATHS: usize = 1 << 16;

fn geometric(calculus: Calculus) -> Diagonal {
    Diagonal { drift: Expr::input(0) * MU, diffusion: Expr::input(0) * G, calculus }
}

/// The state at time 1 of `PATHS` paths from `start`, all with the same Brownian motions whatever the number of steps: a
/// step's way is the sum of those of [`STEPS`].
fn ends(scheme: &dyn Scheme, sde: &Diagonal, start: f64, steps: usize, paths: usize) -> Vec<f64> {
    let column = || TensorType::f32(Shape::batch(&[1]));
    let mut summing = Graph::new();
    let clock = summing.clock("clock");
    let dw = summing.state("dw", column());
    let z = summing.normal(clock, "brownian", Shape::batch(&[1]));
    let way = summing.map(&[dw, z], &(Expr::input(0) + Expr::input(1) * (1.0 / STEPS as f64).sqrt()));
    let status = summing.state("status", TensorType::f32(Shape::fixed(&[1])));
    let ticked = summing.tick(clock, status);
    summing.assign("dw", way);
    summing.assign("clock", ticked);

    let mut stepping = Graph::new();
    let [x, dw] = ["x", "dw"].map(|name| stepping.state(name, column()));
    let t = stepping.state("t", TensorType::f32(Shape::fixed(&[1, 1])));
    let dt = stepping.full(1.0 / steps as f64, Shape::fixed(&[1, 1]));
    let next = scheme.step(&mut stepping, sde, x, Increment { t, dt, dw });
    let zero = stepping.full(0.0, Shape::batch(&[1]));
    let later = stepping.plus(t, dt);
    stepping.assign("x", next);
    stepping.assign("dw", zero);
    stepping.assign("t", later);

    let mut store = Store::<f64>::new();
    store.upload("x", &vec![start; paths]);
    store.upload("dw", &vec![0.0; paths]);
    store.upload("status", &[0.0]);
    store.upload("t", &[0.0]);
    store.upload_words("clock", &[0, 0, 5, 0]);
    let (mut summing, mut stepping) = (Program::new(&summing, "params"), Program::new(&stepping, "params"));
    for _ in 0..steps {
        for _ in 0..STEPS / steps {
            summing.run(&mut store, &[], paths).unwrap();
        }
        stepping.run(&mut store, &[], paths).unwrap();
    }
    store.get("x").unwrap().to_vec()
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn the_schemes_split_into_two_camps() {
    let dt = 1.0 / STEPS as f64;
    let power = |factor: f64| factor.powi(STEPS as i32);
    let expected = |name: &str| match name {
        "euler-maruyama" | "ito-milstein" => power(1.0 + MU * dt),
        "heun" => power(1.0 + (MU + 0.5 * G * G) * dt + 0.5 * MU * MU * dt * dt),
        "euler-heun" | "stratonovich-milstein" => power(1.0 + (MU + 0.5 * G * G) * dt),
        other => panic!("no mean for {other}"),
    };
    for scheme in SCHEMES {
        let (mean, error) = mean_and_error(&ends(scheme, &geometric(scheme.calculus()), 1.0, STEPS, PATHS));
        let exact = expected(scheme.name());
        assert!((mean - exact).abs() < 4.0 * error, "{}: {mean} ± {error}, should be {exact}", scheme.name());
        let limit = match scheme.calculus() {
            Calculus::Ito => 1.105_170_9,
            Calculus::Stratonovich => 1.252_322_7,
        };
        assert!((mean - limit).abs() < 4.0 * error + 2e-3, "{}: {mean}, in the limit {limit}", scheme.name());
    }
}

#[test]
fn a_rewritten_drift_brings_every_scheme_to_the_same_mean() {
    for calculus in [Calculus::Ito, Calculus::Stratonovich] {
        let limit = if calculus == Calculus::Ito { 1.105_170_9 } else { 1.252_322_7 };
        for scheme in SCHEMES {
            let sde = geometric(calculus).in_calculus(scheme.calculus());
            let (mean, error) = mean_and_error(&ends(scheme, &sde, 1.0, STEPS, PATHS));
            assert!((mean - limit).abs() < 4.0 * error + 2e-3, "{} {calculus:?}: {mean} ± {error}", scheme.name());
        }
    }
}

/// Against the exact solution of the same Brownian path, x exp((mu − g²/2) T + g w(T)) in Itô's meaning.
#[test]
fn paths_converge_at_the_stated_order() {
    let paths = 4096;
    // With g alone as the diffusion, a step's sum is w(1): x(1) = w(1).
    let brownian = Diagonal { drift: Expr::constant(0.0), diffusion: Expr::constant(1.0), calculus: Calculus::Ito };
    let w = ends(SCHEMES[0], &brownian, 0.0, STEPS, paths);
    for scheme in SCHEMES {
        let sde = geometric(Calculus::Ito).in_calculus(scheme.calculus());
        let error = |steps: usize| {
            let x = ends(scheme, &sde, 1.0, steps, paths);
            let exact = w.iter().map(|w| ((MU - 0.5 * G * G) + G * w).exp());
            x.iter().zip(exact).map(|(x, exact)| (x - exact).abs()).sum::<f64>() / paths as f64
        };
        let order = (error(10) / error(100)).log10();
        let stated = scheme.strong_order();
        assert!((order - stated).abs() < 0.15, "{}: order {order:.2}, stated {stated}", scheme.name());
    }
}

/// Of torchsde on the same increments (tests/fixtures/make_sde.py).
#[test]
fn every_scheme_takes_the_steps_of_torchsde() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../fixtures/sde.json")).unwrap();
    let numbers = |json: &serde_json::Value| -> Vec<f64> {
        json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (x, t) = (Expr::input(0), Expr::input(1));
    let (drift, diffusion) = (0.3 - &x * 0.5 + t * 0.1, x.sin() * 0.3 + 0.4);
    for scheme in SCHEMES {
        let sde = Diagonal { drift: drift.clone(), diffusion: diffusion.clone(), calculus: scheme.calculus() };
        let mut graph = Graph::new();
        let column = || TensorType::f32(Shape::batch(&[1]));
        let [x, dw] = ["x", "dw"].map(|name| graph.state(name, column()));
        let t = graph.input("t", Shape::fixed(&[1, 1]));
        let dt = graph.full(0.25, Shape::fixed(&[1, 1]));
        let next = scheme.step(&mut graph, &sde, x, Increment { t, dt, dw });
        graph.assign("x", next);
        let mut store = Store::<f64>::new();
        store.upload("x", &numbers(&fixture["diagonal"]["start"]));
        let mut program = Program::new(&graph, "params");
        for (step, z) in fixture["first"].as_array().unwrap().iter().enumerate() {
            store.upload("dw", &numbers(z).iter().map(|z| 0.5 * z).collect::<Vec<f64>>());
            program.run(&mut store, &[("t", &[0.25 * step as f64])], 4).unwrap();
        }
        for (end, expected) in store.get("x").unwrap().iter().zip(numbers(&fixture["diagonal"]["ends"][scheme.name()]))
        {
            assert!((end - expected).abs() < 1e-12, "{}: {end}, torchsde {expected}", scheme.name());
        }
    }
}

#[test]
fn without_a_state_in_the_noise_the_calculi_agree() {
    let sde = Diagonal {
        drift: Expr::input(0) * -0.5,
        diffusion: (Expr::input(1) * 0.3 + 0.2).sqrt(),
        calculus: Calculus::Ito,
    };
    assert_eq!(sde.drift_correction().as_constant(), Some(0.0));
    // Noise that does not know the state: Euler's and Milstein's steps, and those of both calculi, are the same numbers.
    let reference = ends(SCHEMES[0], &sde, 1.0, STEPS, 256);
    // Without time it would not be the same noise.
    let still = Diagonal { diffusion: Expr::constant(0.2f64.sqrt()), ..sde.clone() };
    assert!(ends(SCHEMES[0], &still, 1.0, STEPS, 256).iter().zip(&reference).any(|(a, b)| (a - b).abs() > 0.05));
    for scheme in SCHEMES.iter().filter(|scheme| scheme.name().contains("milstein")) {
        let other = ends(*scheme, &sde.in_calculus(scheme.calculus()), 1.0, STEPS, 256);
        let largest = reference.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(largest < 1e-12, "{}: {largest}", scheme.name());
    }
}

#[test]
fn noise_that_changes_in_time_has_the_variance_of_its_steps() {
    // dX = g(t) dw with g² = 0.3 t + 0.2: X is a sum of increments, each times what its scheme takes for g, found from a path
    // for each increment that has no other. The variance at time 1 is 0.35.
    let (steps, dt) = (8, 0.125);
    let g = |step: usize| (0.3 * dt * step as f64 + 0.2).sqrt();
    for scheme in SCHEMES {
        let diffusion = (Expr::input(1) * 0.3 + 0.2).sqrt();
        let sde = Diagonal { drift: Expr::constant(0.0), diffusion, calculus: scheme.calculus() };
        let mut graph = Graph::new();
        let [x, dw] = ["x", "dw"].map(|name| graph.state(name, TensorType::f32(Shape::batch(&[1]))));
        let t = graph.input("t", Shape::fixed(&[1, 1]));
        let length = graph.full(dt, Shape::fixed(&[1, 1]));
        let next = scheme.step(&mut graph, &sde, x, Increment { t, dt: length, dw });
        graph.assign("x", next);
        let mut store = Store::<f64>::new();
        store.upload("x", &vec![0.0; steps]);
        let mut program = Program::new(&graph, "params");
        for step in 0..steps {
            let one: Vec<f64> = (0..steps).map(|path| f64::from(u8::from(path == step))).collect();
            store.upload("dw", &one);
            program.run(&mut store, &[("t", &[dt * step as f64])], steps).unwrap();
        }
        let factors = store.get("x").unwrap();
        // The mean of both ends where the calculus is that of the middle.
        let both = scheme.name().contains("heun");
        for (step, factor) in factors.iter().enumerate() {
            let expected = if both { 0.5 * (g(step) + g(step + 1)) } else { g(step) };
            assert!((factor - expected).abs() < 1e-12, "{} at {step}: {factor}, {expected}", scheme.name());
        }
        let variance = factors.iter().map(|factor| factor * factor * dt).sum::<f64>();
        let most = if both { 5e-4 } else { 0.02 };
        assert!((variance - 0.35).abs() < most, "{}: {variance}", scheme.name());
    }
}
