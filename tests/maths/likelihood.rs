//! Likelihoods against densities that are known, in f64 on the CPU executor.

use crate::common::processes::processes;
use crate::common::sampling::normal_distribution;
use tweedie::cpu::{Program, Store};
use tweedie::data::{Mixture as Density, Width};
use tweedie::graph::{Expr, Graph, Initial, Shape, Storage, TensorType, Value};
use tweedie::likelihood::{
    Bound, Divergence, FlowLikelihood, bits_per_dimension, bound_states, flow_states, log_normal_density,
};
use tweedie::loss::{
    Batch, Denoising, Loss, Objective, Projection, StoredDataset, TrainingStep, training_states, training_step,
};
use tweedie::nn::{ExactMixture, LearningRate, Optimizer};
use tweedie::sampler::dormand_prince::{DormandPrince, EVALUATIONS, Problem};
use tweedie::sampler::states;
use tweedie::sde::{Model, NoiseLevel, Quantity, Sde, Ve, Vp, flow_is_finite};

/// The setting of Karras et al.: sigma itself is the variable.
const KARRAS: Ve = Ve { sigma_min: 0.002, sigma_max: 80.0, t_min: 0.0 };
const FINE: DormandPrince = DormandPrince { absolute: 1e-8, relative: 1e-8 };

fn exact<'a>(components: usize, dims: usize, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    Box::new(ExactMixture { components, dims }.model(sde))
}

/// A store with a mixture of equal weights and one width.
fn store(means: &[f64], width: f64, components: usize) -> Store<f64> {
    let mut store = Store::new();
    for (name, values) in ExactMixture::states(&vec![1.0; components], means, &vec![width; means.len()]) {
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
        if store.get(states::LEFT).unwrap()[0] == 0.0 {
            assert!(store.get(states::FAULT).unwrap()[..batch].iter().all(|fault| *fault == 0.0));
            return steps;
        }
    }
    panic!("no end");
}

/// Where the flow takes `data`, and the integral of its divergence on the way.
fn followed(
    flow: &FlowLikelihood,
    components: usize,
    store: &mut Store<f64>,
    data: &[f64],
    seed: u32,
) -> Vec<(Vec<f64>, f64)> {
    let batch = data.len() / flow.dims;
    store.upload(flow_states::DATA, data);
    store.upload_words(flow_states::CLOCK, &[0, 0, seed, 0]);
    let model = |_: &mut Graph| exact(components, flow.dims, flow.sde);
    solve(&flow.begin(model), &flow.advance(model), store, batch);
    let x = store.get(flow_states::X).unwrap().chunks(flow.dims).take(batch).map(<[f64]>::to_vec);
    x.zip(store.get(flow_states::LOG_VOLUME).unwrap().iter().copied()).collect()
}

/// Log densities with the prior that samplers start from.
fn log_densities(
    flow: &FlowLikelihood,
    components: usize,
    store: &mut Store<f64>,
    data: &[f64],
    seed: u32,
) -> Vec<f64> {
    let prior = flow.sde.prior_sigma();
    let followed = followed(flow, components, store, data, seed);
    followed.iter().map(|(x, volume)| log_normal_density(x, prior) + volume).collect()
}

#[test]
fn the_flow_knows_the_density_of_a_mixture() {
    // ½ N(±1, ¼²): published values, without noise.
    let known = [(0.0, -7.532_644_172), (0.5, -2.225_791_240), (1.0, -0.225_791_353), (1.5, -2.225_791_353)];
    let density = Density::new(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &[0.25, 0.25].map(Width::Isotropic)).unwrap();
    let data: Vec<f64> = known.iter().map(|(x, _)| *x).collect();
    let mut store = store(&[-1.0, 1.0], 0.25, 2);
    for divergence in [Divergence::Exact, Divergence::Hutchinson(Projection::Rademacher)] {
        let flow = FlowLikelihood { sde: &KARRAS, divergence, solver: FINE, dims: 1, bin_width: None };
        // In one dimension a Rademacher direction gives the divergence itself.
        let followed = followed(&flow, 2, &mut store, &data, 1);
        for ((end, volume), (x, published)) in followed.iter().zip(known) {
            assert!((density.log_density(&[x], 1.0, 0.0) - published).abs() < 1e-9, "{x}");
            // The flow begins at sigma = 0.002, and ends in the mixture with sigma = 80.
            let (found, wanted) = (density.log_density(end, 1.0, 80.0) + volume, density.log_density(&[x], 1.0, 0.002));
            assert!((found - wanted).abs() < 1e-6, "{divergence:?}: log p({x}) = {found}, should be {wanted}");
            // Both together, and the prior in the place of the mixture, change little.
            let found = log_normal_density(end, 80.0) + volume;
            assert!((found - published).abs() < 1e-3, "{divergence:?}: log p({x}) = {found}, published {published}");
        }
    }
}

#[test]
fn the_flow_knows_the_density_of_a_gaussian_under_every_process() {
    let (mean, width) = ([0.3, -0.2, 0.1], 0.5f64);
    let data = [0.3, -0.2, 0.1, 1.0, 0.5, -0.7];
    let mut endless = Vec::new();
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        if !flow_is_finite(sde) {
            endless.push(name);
            continue;
        }
        let mut store = store(&mean, width, 1);
        let flow = FlowLikelihood { sde, divergence: Divergence::Exact, solver: FINE, dims: 3, bin_width: None };
        // The law of x at a time; the flow takes that of t_min to that of t_max.
        let density = |t: f64, x: &[f64]| {
            let at = sde.at(t);
            let centred: Vec<f64> = x.iter().zip(mean).map(|(x, mean)| x - at.alpha * mean).collect();
            log_normal_density(&centred, (at.alpha * width).hypot(at.sigma))
        };
        for ((end, volume), x) in followed(&flow, 1, &mut store, &data, 1).iter().zip(data.chunks(3)) {
            let (found, wanted) = (density(sde.t_max(), end) + volume, density(sde.t_min(), x));
            assert!((found - wanted).abs() < 1e-6, "{name}: {found}, should be {wanted}");
        }
    }
    // There alpha goes to 0 as √(1 − t).
    assert_eq!(endless, ["sigmoid to the end"]);
}

/// The variance of what is spread evenly over an interval.
fn spread(width: f64) -> f64 {
    width * width / 12.0
}

#[test]
fn levels_count_as_the_intervals_around_them() {
    // N(0, ½²) on levels of width 1: spread over the interval around 0, the mean log density is that at 0 less w² / 24 / S²
    // for each coordinate.
    let (n, width, level) = (4000, 0.5f64, 1.0f64);
    let data = vec![0.0; 2 * n];
    let mut store = store(&[0.0, 0.0], width, 1);
    let solver = DormandPrince { absolute: 1e-6, relative: 1e-6 };
    let flow = FlowLikelihood { sde: &KARRAS, divergence: Divergence::Exact, solver, dims: 2, bin_width: Some(level) };

    store.upload(flow_states::DATA, &data);
    store.upload_words(flow_states::CLOCK, &[0, 0, 5, 0]);
    Program::new(&flow.begin(|_| exact(1, 2, &KARRAS)), "params").run(&mut store, &[], n).unwrap();
    let moved: Vec<f64> = store.get(flow_states::X).unwrap().iter().zip(&data).map(|(x, level)| x - level).collect();
    assert!(moved.iter().all(|u| u.abs() <= 0.5 * level));
    let variance = moved.iter().map(|u| u * u).sum::<f64>() / moved.len() as f64;
    // u² has the variance w⁴ / 180.
    let error = level.powi(2) / (180.0 * moved.len() as f64).sqrt();
    assert!((variance - spread(level)).abs() < 4.0 * error, "{variance}, should be {} ± {error}", spread(level));

    let found = log_densities(&flow, 1, &mut store, &data, 5);
    let mean = found.iter().sum::<f64>() / n as f64;
    let error = (found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * n) as f64).sqrt();
    let noisy = width.hypot(0.002);
    let at_levels = log_normal_density(&[0.0; 2], noisy);
    let wanted = at_levels - 2.0 * spread(level) / (2.0 * noisy * noisy);
    assert!((mean - wanted).abs() < 4.0 * error, "{mean} ± {error}, should be {wanted}");
    assert!(at_levels - wanted > 50.0 * error, "which is not the density at the levels");

    // No fewer bits than the level itself needs.
    let code = -(normal_distribution(0.5 / width) - normal_distribution(-0.5 / width)).log2();
    let bits = bits_per_dimension(mean, 2, level);
    assert!(bits > code && bits < code + 0.05, "{bits} bits per dimension, a code takes {code}");
}

/// ‖x‖² of the data, which have nothing to teach.
#[derive(Debug)]
struct SecondMoment;

impl Objective for SecondMoment {
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss {
        let mut loss = Denoising::default().loss(graph, batch);
        let squares = graph.map(&[batch.x0], &Expr::input(0).square());
        let sum = graph.sum(squares, &[1]);
        // The weights stay in it, for there has to be a gradient.
        let [sum_, loss_] = [0, 1].map(Expr::input);
        loss.per_sample = graph.map(&[sum, loss.per_sample], &(sum_ + loss_ * 0.0));
        let sum = graph.sum_all(loss.per_sample);
        let ones = graph.full(1.0, Shape::batch(&[1]));
        let count = graph.sum_all(ones);
        loss.mean = graph.map(&[sum, count], &(Expr::input(0) / Expr::input(1)));
        loss
    }

    fn loss_at(&self, graph: &mut Graph, batch: &Batch, _: Value, _: Value) -> Loss {
        self.loss(graph, batch)
    }
}

#[test]
fn training_spreads_levels_anew_in_every_step() {
    struct Weight(Value);
    impl Model for Weight {
        fn predict(&self, graph: &mut Graph, x: Value, _: &NoiseLevel, _: Quantity) -> Value {
            let shape = graph.shape(x).clone();
            graph.map_to(&[self.0], &Expr::input(0), &shape)
        }
    }
    let (vp, loss) = (Vp::default(), SecondMoment);
    let optimizer = Optimizer { learning_rate: LearningRate::constant(1e-3), ..Optimizer::default() };
    let losses = |dequantise: Option<f64>| -> Vec<f64> {
        let data = StoredDataset { rows: 10, dims: 3, storage: Storage::F32 };
        let spec =
            TrainingStep { sde: &vp, loss: &loss, optimizer: &optimizer, data, flip: None, dequantise, ring_rows: 4 };
        let graph = training_step(&spec, |graph| {
            let model: Box<dyn Model> = Box::new(Weight(graph.parameter("w", &[1], Initial::Zeros)));
            model
        });
        let mut store = Store::<f64>::new();
        store.upload(training_states::DATASET, &[0.0; 30]);
        for arena in ["params", "ema"] {
            store.upload(arena, &vec![0.0; graph.arena_elements()]);
        }
        store.upload_words(training_states::CLOCK, &[0, 0, 9, 0]);
        let mut program = Program::new(&graph, "params");
        (0..3).for_each(|_| program.run(&mut store, &[], 4000).unwrap());
        store.get(training_states::RING).unwrap().chunks(4).take(3).map(|record| record[0]).collect()
    };
    assert_eq!(losses(None), [0.0; 3]);
    let width = 0.5f64;
    let found = losses(Some(width));
    // Three coordinates of variance w² / 12 each, whose square has the variance w⁴ / 180.
    let error = width.powi(2) * (3.0f64 / 180.0 / 4000.0).sqrt();
    for found in &found {
        assert!(
            (found - 3.0 * spread(width)).abs() < 4.0 * error,
            "{found}, should be {} ± {error}",
            3.0 * spread(width)
        );
    }
    assert!(found[0] != found[1] && found[1] != found[2], "anew: {found:?}");
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
        let tries = store.get(states::TRIES).unwrap().to_vec();
        assert!(tries[0] < tries[2] && tries[2] < tries[3], "{tries:?}");
        assert_eq!(tries[3] as usize, steps);
        assert_eq!(EVALUATIONS, 6);
        // What has arrived does not move, to the bit.
        let before = store.get("position").unwrap().to_vec();
        Program::new(&graph_of(false, tolerance, there), "params").run(&mut store, &[], 4).unwrap();
        assert_eq!(store.get("position").unwrap(), before);
        assert_eq!(store.get(states::TRIES).unwrap(), tries);
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
        store.get(states::LEFT).unwrap()[0] == 0.0
    });
    assert!(steps.is_some(), "it ends");
    assert_eq!(store.get(states::FAULT).unwrap()[0], 1.0);
    assert_eq!(store.get("y").unwrap()[0], 1.0);
}

/// A Gaussian of this width under `vp`, of so many coordinates: what is known of its bound.
struct Known<'a> {
    sde: &'a Vp,
    width: f64,
    dims: f64,
}

impl Known<'_> {
    /// sigma² / alpha² at t_min and t_max.
    fn ends(&self) -> [f64; 2] {
        [self.sde.t_min(), self.sde.t_max()].map(|t| self.sde.at(t).noise_to_signal().powi(2))
    }

    /// The mean over log_snr of ½ E‖epsilon − its prediction‖² for x with this sum of squares: with r = sigma² / alpha² the
    /// integral of ½ (D w⁴ + r ‖x‖²) / (w² + r)² dr / r.
    fn mean_error(&self, squares: f64) -> f64 {
        let w2 = self.width.powi(2);
        let noise = |r: f64| self.dims * ((r / (w2 + r)).ln() + w2 / (w2 + r));
        let signal = |r: f64| -squares / (w2 + r);
        let [least, most] = self.ends();
        0.5 * (noise(most) - noise(least) + signal(most) - signal(least)) / (most / least).ln()
    }

    /// The mean of the bound over the data where the score is exact: their entropy; what is left of them in the prior; and
    /// that sigma / alpha at t_min is more noise than x has once x_t is known.
    fn mean_bound(&self) -> f64 {
        let at = self.sde.at(self.sde.t_max());
        let variance = (at.alpha * self.width).powi(2) + at.sigma.powi(2);
        let entropy = 0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln() + self.width.ln();
        let prior = 0.5 * (variance - 1.0 - variance.ln());
        self.dims * (entropy + prior + 0.5 * (self.ends()[0] / self.width.powi(2)).ln_1p())
    }
}

#[test]
fn the_bound_of_an_exact_score_is_the_entropy_and_what_the_ends_cost() {
    let width = 0.5;
    // The second keeps a third of the signal: then the prior's part is not small.
    for (sde, cost) in [(Vp::default(), 1e-6), (Vp { beta_max: 2.0, ..Vp::default() }, 0.04)] {
        let known = Known { sde: &sde, width, dims: 2.0 };
        let bound = Bound { sde: &sde, dims: 2, bin_width: None };
        // Linear in the squares, so that their mean gives the mean.
        let found = bound.nats(&[width, width], known.mean_error(2.0 * width * width));
        let wanted = known.mean_bound();
        assert!((found - wanted).abs() < 1e-9, "{sde:?}: {found}, should be {wanted}");
        let entropy = 2.0 * (0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln() + width.ln());
        assert!(wanted - entropy > cost, "{sde:?}: {wanted}, entropy {entropy}");
    }
}

#[test]
fn the_errors_of_a_bound_have_the_mean_that_a_gaussian_gives() {
    let (n, times, width, x) = (1000, 16, 0.5f64, [0.9, -0.4]);
    let vp = Vp::default();
    let bound = Bound { sde: &vp, dims: 2, bin_width: None };
    let drawn = bound.times();
    let mut store = store(&[0.0, 0.0], width, 1);
    store.upload(flow_states::DATA, &x.repeat(n));
    let mut program = Program::new(&bound.error(|_| exact(1, 2, &vp)), "params");
    let mut errors = vec![0.0; n];
    for part in 0..times {
        store.upload_words(flow_states::CLOCK, &[part as u32, 0, 9, 0]);
        let time = |i: usize| drawn.drawn((part, times), 9, part as u32, i as u32);
        let t: Vec<f64> = (0..n).map(time).collect();
        // Each in its part, the parts in turn.
        let [from, to] = [part, part + 1].map(|end| drawn.at(end as f64 / times as f64));
        assert!(t.iter().all(|t| (from..=to).contains(t)) && t[0] != t[1]);
        store.upload(bound_states::TIME, &t);
        store.create(bound_states::ERROR, n);
        program.run(&mut store, &[], n).unwrap();
        let found = store.get(bound_states::ERROR).unwrap();
        errors.iter_mut().zip(found).for_each(|(sum, error)| *sum += error / times as f64);
    }
    let mean = errors.iter().sum::<f64>() / n as f64;
    let error = (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n * n) as f64).sqrt();
    let squares = x.iter().map(|x| x * x).sum();
    let wanted = Known { sde: &vp, width, dims: 2.0 }.mean_error(squares);
    assert!((mean - wanted).abs() < 4.0 * error, "{mean} ± {error}, should be {wanted}");
    assert!(error < 0.02 * wanted, "{mean} ± {error}");
}

#[test]
fn the_times_of_a_bound_are_even_in_the_log_snr_of_every_process() {
    for (name, sde) in processes().into_iter().filter(|(_, sde)| !sde.loses_all_signal()) {
        let times = Bound { sde: sde.as_ref(), dims: 2, bin_width: None }.times();
        let [most, least] = [sde.t_min(), sde.t_max()].map(|t| sde.at(t).log_snr);
        for share in [0.0, 0.01, 0.3, 0.5, 0.99, 1.0] {
            let (found, wanted) = (sde.at(times.at(share)).log_snr, most + share * (least - most));
            assert!((found - wanted).abs() < 1e-4, "{name}: {found} at {share}, should be {wanted}");
        }
    }
}

#[test]
fn the_bound_of_a_level_is_the_mean_over_its_interval() {
    let (sde, level, x) = (Vp { beta_max: 2.0, ..Vp::default() }, 0.5, [0.5, -1.0]);
    let [spread_out, at_points] = [Some(level), None].map(|bin_width| Bound { sde: &sde, dims: 2, bin_width });
    // Two points of Gauss and Legendre are exact for squares.
    let u = level / 12.0f64.sqrt();
    let points = [-u, u].into_iter().flat_map(|a| [-u, u].map(|b| at_points.nats(&[x[0] + a, x[1] + b], 1.0)));
    let (found, wanted) = (spread_out.nats(&x, 1.0), points.sum::<f64>() / 4.0);
    assert!((found - wanted).abs() < 1e-12 && wanted - at_points.nats(&x, 1.0) > 1e-3, "{found}, should be {wanted}");
}

#[test]
fn bits_count_the_intervals() {
    // Even over 16 intervals of width ⅛ in each of 3 coordinates: 4 bits each.
    let log_density = -3.0 * 2.0f64.ln();
    assert!((bits_per_dimension(log_density, 3, 0.125) - 4.0).abs() < 1e-12);
}
