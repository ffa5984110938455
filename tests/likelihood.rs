//! Likelihoods against densities that are known, in f64 on the CPU executor.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Graph, Shape, TensorType};
use tweedie::likelihood::{
    Bound, Divergence, FlowLikelihood, bits_per_dimension, bound_names, log_normal_density, names, share,
};
use tweedie::loss::Projection;
use tweedie::nn::Mixture;
use tweedie::sampler::dormand_prince::{DormandPrince, EVALUATIONS, Problem, names as ode};
use tweedie::sde::{Exact, Model, RectifiedFlow, Sde, Ve, Vp};

/// The setting of Karras et al.: sigma itself is the variable.
const KARRAS: Ve = Ve { sigma_min: 0.002, sigma_max: 80.0, t_min: 0.0 };
const FINE: DormandPrince = DormandPrince { absolute: 1e-8, relative: 1e-8 };

fn exact<'a>(components: usize, dims: usize, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let mixture = Mixture { components, dims };
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, alpha, sigma| mixture.score(graph, x, alpha, sigma),
        denoised: move |graph: &mut Graph, x, alpha, sigma| mixture.denoised(graph, x, alpha, sigma),
    })
}

/// A store with a mixture of equal weights and one width.
fn store(means: &[f64], width: f64, components: usize) -> Store<f64> {
    let mut store = Store::new();
    for (name, values) in Mixture::states(&vec![1.0; components], means, &vec![width; means.len()]) {
        store.upload(name, &values);
    }
    store
}

/// Runs a solution to its end; gives the number of steps.
fn solve(begin: &Graph, advance: &Graph, store: &mut Store<f64>, batch: usize) -> usize {
    Program::new(begin, "params").run(store, &[], batch).unwrap();
    let mut advance = Program::new(advance, "params");
    for steps in 1..2000 {
        advance.run(store, &[], batch).unwrap();
        if store.get(ode::LEFT).unwrap()[0] == 0.0 {
            assert!(store.get(ode::FAULT).unwrap()[..batch].iter().all(|fault| *fault == 0.0));
            return steps;
        }
    }
    panic!("no end");
}

fn log_densities(
    flow: &FlowLikelihood,
    components: usize,
    store: &mut Store<f64>,
    data: &[f64],
    seed: u32,
) -> Vec<f64> {
    let batch = data.len() / flow.dims;
    store.upload(names::DATA, data);
    store.upload_words(names::CLOCK, &[0, 0, seed, 0]);
    let model = |_: &mut Graph| exact(components, flow.dims, flow.sde);
    solve(&flow.begin(model), &flow.advance(model), store, batch);
    let x = store.get(names::X).unwrap().chunks(flow.dims).take(batch);
    let volumes = store.get(names::LOG_VOLUME).unwrap();
    x.zip(volumes).map(|(x, volume)| log_normal_density(x, flow.sde.prior_sigma()) + volume).collect()
}

#[test]
fn the_flow_knows_the_density_of_a_mixture() {
    // ½ N(±1, ¼²): published values at sigma = 0; the flow begins at 0.002.
    let known = [(0.0, -7.532_644_172), (0.5, -2.225_791_240), (1.0, -0.225_791_253), (1.5, -2.225_791_353)];
    let data: Vec<f64> = known.iter().map(|(x, _)| *x).collect();
    let mut store = store(&[-1.0, 1.0], 0.25, 2);
    for divergence in [Divergence::Exact, Divergence::Hutchinson(Projection::Rademacher)] {
        let flow = FlowLikelihood { sde: &KARRAS, divergence, solver: FINE, dims: 1, bin_width: None };
        // In one dimension a Rademacher direction gives the divergence itself.
        for (found, (x, density)) in log_densities(&flow, 2, &mut store, &data, 1).iter().zip(known) {
            assert!((found - density).abs() < 1e-3, "log p({x}) = {found}, should be {density}");
        }
    }
}

#[test]
fn the_flow_knows_the_density_of_a_gaussian_under_every_process() {
    let vp = Vp::default();
    let straight = RectifiedFlow::default();
    let (mean, width) = ([0.3, -0.2, 0.1], 0.5f64);
    let data = [0.3, -0.2, 0.1, 1.0, 0.5, -0.7];
    for (sde, tolerance) in [(&vp as &dyn Sde, 1e-3), (&KARRAS, 1e-3), (&straight, 1e-3)] {
        let mut store = store(&mean, width, 1);
        let flow = FlowLikelihood { sde, divergence: Divergence::Exact, solver: FINE, dims: 3, bin_width: None };
        let found = log_densities(&flow, 1, &mut store, &data, 1);
        // The flow begins at x as a sample at t_min: compare with the density of the noised data there.
        let at = sde.at(sde.t_min());
        let sigma = at.alpha.hypot(at.sigma / width) * width;
        for (found, x) in found.iter().zip(data.chunks(3)) {
            let centred: Vec<f64> = x.iter().zip(mean).map(|(x, mean)| x - at.alpha * mean).collect();
            let density = log_normal_density(&centred, sigma);
            // The prior is that of no data at all: what is left of the mean at t_max is the difference.
            assert!((found - density).abs() < tolerance, "{}: {found}, should be {density}", sde.name());
        }
    }
}

#[test]
fn random_directions_have_the_divergence_as_their_mean() {
    let means = [-1.0, 0.5, 1.0, -0.5];
    let one = [0.4, 0.2];
    let n = 4000;
    let data: Vec<f64> = one.iter().copied().cycle().take(2 * n).collect();
    let solver = DormandPrince { absolute: 1e-6, relative: 1e-6 };
    let mut store = store(&means, 0.4, 2);
    let flow = |divergence| FlowLikelihood { sde: &KARRAS, divergence, solver, dims: 2, bin_width: None };
    let density = log_densities(&flow(Divergence::Exact), 2, &mut store, &one, 1)[0];
    for law in Projection::ALL {
        let found = log_densities(&flow(Divergence::Hutchinson(law)), 2, &mut store, &data, 7);
        let mean = found.iter().sum::<f64>() / n as f64;
        let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (variance / n as f64).sqrt();
        assert!(error > 1e-4, "{law:?}: directions differ");
        assert!((mean - density).abs() < 4.0 * error, "{law:?}: {mean} ± {error}, should be {density}");
    }
}

/// A field's solution there and back again, and how the error follows the tolerance.
#[test]
fn the_solver_keeps_its_tolerance_and_finds_the_way_back() {
    // Each sample turns at its own speed: y″ = −w² y, with w a value of its own that does not move.
    let graph_of = |begin: bool, tolerance: f64, ends: [f64; 2]| {
        let field = |graph: &mut Graph, y: &[tweedie::graph::Value], _| {
            use tweedie::graph::Expr;
            let [position, speed, w] = [0, 1, 2].map(Expr::input);
            let force = graph.map(&[y[0], y[1], y[2]], &(-(position * w.square()) + speed * 0.0));
            let still = graph.scale(y[2], 0.0);
            vec![y[1], force, still]
        };
        let problem =
            Problem { values: &[("position", 1), ("speed", 1), ("w", 1)], field: &field, start: ends[0], end: ends[1] };
        let solver = DormandPrince { absolute: tolerance, relative: tolerance };
        let mut graph = Graph::new();
        if begin {
            let column = || TensorType::f32(Shape::batch(&[1]));
            let y = ["position", "speed", "w"].map(|name| graph.state(name, column()));
            solver.begin(&mut graph, &problem, &y);
        } else {
            solver.advance(&mut graph, &problem);
        }
        graph
    };
    let speeds = [0.5, 1.0, 3.0, 12.0];
    let mut last = f64::INFINITY;
    for tolerance in [1e-3, 1e-5, 1e-7, 1e-9] {
        let mut store = Store::<f64>::new();
        store.upload("position", &[1.0; 4]);
        store.upload("speed", &[0.0; 4]);
        store.upload("w", &speeds);
        let there = [0.0, 2.0];
        let steps = solve(&graph_of(true, tolerance, there), &graph_of(false, tolerance, there), &mut store, 4);
        let error = |store: &Store<f64>| {
            let found = store.get("position").unwrap().iter().zip(speeds);
            found.map(|(x, w)| (x - (2.0 * w).cos()).abs()).fold(0.0, f64::max)
        };
        let found = error(&store);
        assert!(found < 100.0 * tolerance && found < last, "tolerance {tolerance}: error {found} after {steps} steps");
        last = found;
        // Each takes its own steps, and the slow ones stop first.
        let tries = store.get(ode::TRIES).unwrap().to_vec();
        assert!(tries[0] < tries[2] && tries[2] < tries[3], "{tries:?}");
        assert_eq!(tries[3] as usize, steps);
        assert_eq!(EVALUATIONS, 6);
        // What has arrived does not move, to the bit.
        let before = store.get("position").unwrap().to_vec();
        Program::new(&graph_of(false, tolerance, there), "params").run(&mut store, &[], 4).unwrap();
        assert_eq!(store.get("position").unwrap(), before);
        assert_eq!(store.get(ode::TRIES).unwrap(), tries);
        let back = [2.0, 0.0];
        solve(&graph_of(true, tolerance, back), &graph_of(false, tolerance, back), &mut store, 4);
        let home = store.get("position").unwrap().iter().map(|x| (x - 1.0).abs()).fold(0.0, f64::max);
        assert!(home < 200.0 * tolerance, "tolerance {tolerance}: back with error {home}");
    }
}

#[test]
fn a_field_that_is_not_finite_is_a_fault_and_not_an_endless_loop() {
    let field = |graph: &mut Graph, y: &[tweedie::graph::Value], _| {
        vec![graph.map(&[y[0]], &(tweedie::graph::Expr::input(0) / 0.0))]
    };
    let problem = Problem { values: &[("y", 1)], field: &field, start: 0.0, end: 1.0 };
    let solver = DormandPrince::default();
    let (mut begin, mut advance) = (Graph::new(), Graph::new());
    let y = begin.state("y", TensorType::f32(Shape::batch(&[1])));
    solver.begin(&mut begin, &problem, &[y]);
    solver.advance(&mut advance, &problem);
    let mut store = Store::<f64>::new();
    store.upload("y", &[1.0]);
    Program::new(&begin, "params").run(&mut store, &[], 1).unwrap();
    let mut advance = Program::new(&advance, "params");
    let steps = (1..2000).find(|_| {
        advance.run(&mut store, &[], 1).unwrap();
        store.get(ode::LEFT).unwrap()[0] == 0.0
    });
    assert!(steps.is_some(), "it ends");
    assert_eq!(store.get(ode::FAULT).unwrap()[0], 1.0);
    assert_eq!(store.get("y").unwrap()[0], 1.0);
}

#[test]
fn the_bound_of_an_exact_score_is_the_entropy_in_the_mean() {
    // Over data, the bound exceeds −log p by nothing where the score is exact: its mean is the entropy.
    let (n, times, width) = (2000, 24, 0.5f64);
    let vp = Vp::default();
    let bound = Bound { sde: &vp, dims: 2, bin_width: None };
    let graph = bound.error(|_| exact(1, 2, &vp));
    let mut store = store(&[0.0, 0.0], width, 1);
    let z: Vec<f64> = {
        let mut draw = Graph::new();
        let clock = draw.clock("c");
        let z = draw.normal(clock, "data", Shape::batch(&[2]));
        draw.output("z", z);
        let mut program = Program::<f64>::new(&draw, "params");
        store.upload_words("c", &[0, 0, 3, 0]);
        program.run(&mut store, &[], n).unwrap();
        program.output("z").to_vec()
    };
    let data: Vec<f64> = z.iter().map(|z| width * z).collect();
    store.upload(names::DATA, &data);
    let mut program = Program::new(&graph, "params");
    let mut errors = vec![0.0; n];
    for draw in 0..times {
        store.upload_words(names::CLOCK, &[draw as u32, 0, 9, 0]);
        let place = |i: usize| (draw as f64 + share(9, draw as u32, i as u32)) / times as f64;
        let t: Vec<f64> = (0..n).map(|i| bound.time(place(i)).unwrap()).collect();
        store.upload(bound_names::TIME, &t);
        store.create(bound_names::ERROR, n);
        program.run(&mut store, &[], n).unwrap();
        let found = store.get(bound_names::ERROR).unwrap();
        errors.iter_mut().zip(found).for_each(|(sum, error)| *sum += error / times as f64);
    }
    let bounds: Vec<f64> = data.chunks(2).zip(errors).map(|(x, error)| bound.nats(x, error)).collect();
    let mean = bounds.iter().sum::<f64>() / n as f64;
    let error = (bounds.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n * n) as f64).sqrt();
    let entropy = 2.0 * (0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln() + width.ln());
    assert!((mean - entropy).abs() < 4.0 * error + 0.02, "{mean} ± {error}, entropy {entropy}");
    assert!(error < 0.1);
}

#[test]
fn bits_count_the_intervals() {
    // Even over 16 intervals of width ⅛ in each of 3 coordinates: 4 bits each.
    let log_density = -3.0 * 2.0f64.ln();
    assert!((bits_per_dimension(log_density, 3, 0.125) - 4.0).abs() < 1e-12);
}
