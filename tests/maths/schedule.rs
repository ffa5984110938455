//! Learned schedules: the bound does not depend on the pace of noise, its variance does, and what is learned comes near to
//! the best there is; grids of equal work; the noise at which a mixture's weights are seen. Closed forms and published
//! values.

use tweedie::cpu::{Program, Store};
use tweedie::data::{Line, Mixture, Width};
use tweedie::graph::{Expr, Graph, Shape, Storage, Tape};
use tweedie::loss::{
    Denoising, EndsSpec, LearnedEnds, Reduce, Scheduled, StoredDataset, TimeSampling, TimeWarp, Trainee, TrainingStep,
    WeightingKind, training_states, training_step,
};
use tweedie::nn::{LearningRate, Optimizer, initial_parameters};
use tweedie::sampler::Grid;
use tweedie::sde::{Cosine, Edm, EvenLogSnr, Exact, Model, RectifiedFlow, Sde, Vp, Warped, equal_work, work_graph};

/// Standard deviation of the data, which are normal on a line.
const WIDTH: f64 = 0.5;

/// The exact score.
fn exact(sde: &dyn Sde) -> Box<dyn Model + '_> {
    let variance = || Expr::input(1).square() * (WIDTH * WIDTH) + Expr::input(2).square();
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, alpha, sigma| graph.map(&[x, alpha, sigma], &-(Expr::input(0) / variance())),
        denoised: move |graph: &mut Graph, x, alpha, sigma| {
            let gain = Expr::input(1) * (WIDTH * WIDTH) / variance();
            graph.map(&[x, alpha, sigma], &(gain * Expr::input(0)))
        },
    })
}

/// Twelve pairs of data and noise with even weights, exact for polynomials of two normal numbers up to degree 5 (Stroud
/// 1971: a hexagon and, six times, its middle); the squared loss is of degree 4.
fn points() -> Vec<(f64, f64)> {
    let vertex = |i: u32| {
        let (sin, cos) = (f64::from(i) * std::f64::consts::FRAC_PI_3).sin_cos();
        [(0.0, 0.0), (2.0 * WIDTH * cos, 2.0 * sin)]
    };
    (0..6).flat_map(vertex).collect()
}

/// Mean of the loss, mean of its square, and the gradient of that, for logits.
struct Objective {
    program: Program<f64>,
    store: Store<f64>,
    inputs: [Vec<f64>; 3],
    span: f64,
}

impl Objective {
    fn new(sde: &dyn Sde, pieces: usize, range: [f64; 2], times: usize) -> Self {
        let mut graph = Graph::new();
        let warp = TimeWarp::new(&mut graph, pieces, range);
        let [x0, noise, t] = ["x0", "noise", "t"].map(|name| graph.input(name, Shape::batch(&[1])));
        let loss = warp.loss(&mut graph, sde, exact(sde).as_ref(), x0, t, noise);
        let parameters = graph.parameter_values();
        let gradient = graph.gradient(loss.second_moment, &parameters)[0];
        graph.output("loss", loss.per_sample);
        graph.output("second_moment", loss.second_moment);
        graph.output("gradient", gradient);
        let [low, high] = range;
        let time = |i: usize| low + (high - low) * (i as f64 + 0.5) / times as f64;
        let points = points();
        let all = || (0..times).flat_map(|i| points.iter().map(move |point| (time(i), *point)));
        let inputs = [
            all().map(|(_, (x0, _))| x0).collect(),
            all().map(|(_, (_, noise))| noise).collect(),
            all().map(|(t, _)| t).collect(),
        ];
        Self { program: Program::new(&graph, "params"), store: Store::new(), inputs, span: high - low }
    }

    fn at(&mut self, logits: &[f64]) -> (f64, f64, Vec<f64>) {
        let mut arena = logits.to_vec();
        arena.resize(logits.len().next_multiple_of(64), 0.0);
        self.store.upload("params", &arena);
        let [x0, noise, t] = &self.inputs;
        self.program.run(&mut self.store, &[("x0", x0), ("noise", noise), ("t", t)], t.len()).unwrap();
        let losses = self.program.output("loss");
        let bound = losses.iter().sum::<f64>() / losses.len() as f64 * self.span;
        (
            bound,
            self.program.output("second_moment")[0] * self.span * self.span,
            self.program.output("gradient").to_vec(),
        )
    }
}

/// E[loss] and the root of E[loss²] for each unit of time: ½ g² / sigma² times c, and √3 times that, where c is what is
/// left of the noise's variance when x is known.
fn expected(sde: &dyn Sde, t: f64) -> f64 {
    let at = sde.at(t);
    let signal = (WIDTH * at.alpha).powi(2);
    0.5 * at.diffusion_squared / at.sigma.powi(2) * signal / (signal + at.sigma.powi(2))
}

/// ∫ `f` by the midpoint rule.
fn integral(range: [f64; 2], f: impl Fn(f64) -> f64) -> f64 {
    integral_of(8000, range, f)
}

/// The same of so many points.
fn integral_of(n: u32, [low, high]: [f64; 2], f: impl Fn(f64) -> f64) -> f64 {
    let step = (high - low) / f64::from(n);
    (0..n).map(|i| f(low + step * (f64::from(i) + 0.5)) * step).sum()
}

#[test]
fn the_bound_does_not_depend_on_the_pace_and_its_variance_is_learned_away() {
    let sde = Vp::default();
    let range = [2e-2, 1.0];
    let bound = integral(range, |t| expected(&sde, t));
    // Closed form: with SNR = e^λ, ∫ ½ 0.25 e^λ / (0.25 e^λ + 1) dλ = ½ ln(1 + 0.25 SNR) between the ends.
    let end = |t: f64| 0.5 * (0.25 * sde.at(t).log_snr.exp()).ln_1p();
    assert!((bound - (end(range[0]) - end(range[1]))).abs() < 1e-4);
    let pieces = 16;
    let mut objective = Objective::new(&sde, pieces, range, 320);
    let wild: Vec<f64> = (0..pieces).map(|i| (i as f64 * 1.7).sin()).collect();
    let even = objective.at(&vec![0.0; pieces]);
    for logits in [&vec![0.0; pieces], &wild] {
        let (found, ..) = objective.at(logits);
        assert!((found / bound - 1.0).abs() < 5e-3, "{found}, {bound}");
    }

    // Adam.
    let (mut logits, mut m, mut v) = (vec![0.0; pieces], vec![0.0; pieces], vec![0.0; pieces]);
    for step in 1..=80 {
        let (.., gradient) = objective.at(&logits);
        for i in 0..pieces {
            m[i] = 0.9 * m[i] + 0.1 * gradient[i];
            v[i] = 0.99 * v[i] + 0.01 * gradient[i] * gradient[i];
            let (m, v) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.99f64.powi(step)));
            let rate = 0.3 * (1.0 - f64::from(step - 1) / 80.0);
            logits[i] -= rate * m / (v.sqrt() + 1e-12);
        }
    }
    let (learned_bound, learned, _) = objective.at(&logits);
    assert!((learned_bound / bound - 1.0).abs() < 5e-3, "{learned_bound}, {bound}");
    // E[L²] = ∫ m / density is least, (∫ √m)², where density is in proportion to √m.
    let uniform = integral(range, |t| 3.0 * expected(&sde, t).powi(2)) * (range[1] - range[0]);
    let best = 3.0 * bound * bound;
    assert!((even.1 / uniform - 1.0).abs() < 0.02, "{}, {uniform}", even.1);
    // Sixteen straight pieces cannot do better than 15 % above the smooth best; even times are 700 % above.
    assert!(learned < 1.2 * best && uniform > 5.0 * best, "{learned}, best {best}, uniform {uniform}");

    // As a process of its own it is the same path, with even steps where the loss is even.
    let knots = TimeWarp::knots(&logits, range);
    let warped = Warped::new(Box::new(Vp { t_min: range[0], ..sde }), knots.clone()).unwrap();
    let at: Vec<f64> = (0..=pieces).map(|i| range[0] + (range[1] - range[0]) * i as f64 / pieces as f64).collect();
    for (t, knot) in at.iter().zip(&knots) {
        assert!((warped.at(*t).log_snr - sde.at(*knot).log_snr).abs() < 1e-9);
    }
}

#[test]
fn training_learns_the_schedule_whose_loss_has_the_least_variance() {
    // Of each unit of time E[L] = expected(t), and E[L²] three times its square.
    let sde = EvenLogSnr { log_snr: [12.0, -14.0], times: vec![0.0, 1.0] };
    let pieces = 16;
    let loss = Denoising {
        weighting: WeightingKind::Likelihood.into(),
        reduce: Reduce::Sum,
        time: TimeSampling::Uniform,
        t_min: 0.0,
    };
    let optimizer = Optimizer { learning_rate: LearningRate::constant(3e-2), ema_decay: 0.99, ..Optimizer::default() };
    let rows = 4096;
    let spec = TrainingStep {
        sde: &sde,
        loss: &loss,
        optimizer: &optimizer,
        data: StoredDataset { rows, dims: 1, storage: Storage::F32 },
        flip: None,
        dequantise: None,
        ring_rows: 4,
    };
    let graph = training_step(&spec, |graph| {
        let warp = TimeWarp::new(graph, pieces, [0.0, 1.0]);
        Trainee { model: exact(&sde), auxiliary: Box::new(Scheduled { warp, ends: None }) }
    });
    let mut store = Store::<f64>::new();
    let first: Vec<f64> = initial_parameters(&graph, 7).iter().map(|value| f64::from(*value)).collect();
    store.upload("params", &first);
    store.upload("ema", &first);
    let mut draw = Graph::new();
    let clock = draw.clock("clock");
    let z = draw.normal(clock, "data", Shape::batch(&[1]));
    let x0 = draw.scale(z, WIDTH);
    draw.output("x0", x0);
    store.upload_words("clock", &[0, 0, 3, 4]);
    let mut program = Program::<f64>::new(&draw, "params");
    program.run(&mut store, &[], rows).unwrap();
    store.upload(training_states::DATASET, program.output("x0"));
    store.upload_words(training_states::CLOCK, &[0, 0, 7, 0]);
    let mut program = Program::<f64>::new(&graph, "params");
    (0..400).for_each(|_| program.run(&mut store, &[], 128).unwrap());

    let knots = TimeWarp::knots(&store.get("ema").unwrap()[..pieces], [0.0, 1.0]);
    let width = 1.0 / pieces as f64;
    // In the piece between two knots the loss counts by the slope, and is met with the inverse of that density.
    let learned: f64 = knots
        .windows(2)
        .map(|pair| {
            integral_of(500, [pair[0], pair[1]], |t| 3.0 * expected(&sde, t).powi(2)) * (pair[1] - pair[0]) / width
        })
        .sum();
    let even = integral([0.0, 1.0], |t| 3.0 * expected(&sde, t).powi(2));
    let bound = integral([0.0, 1.0], |t| expected(&sde, t));
    let best = 3.0 * bound * bound;
    assert!(even > 2.0 * best, "even times are far from the best: {even}, {best}");
    // Sixteen straight pieces come to 1.067 times the smooth best.
    assert!(learned < 1.2 * best && learned > 1.06 * best, "{learned}, best {best}, even {even}");

    // Samplers go along it, from noise to data.
    let scheduled = EvenLogSnr { times: knots.clone(), ..sde };
    let times = Grid::linear(pieces).times(&scheduled, pieces + 1);
    assert!(times.iter().zip(knots.iter().rev()).all(|(time, knot)| (time - knot).abs() < 1e-12), "{times:?}");
}

#[test]
fn the_ends_follow_the_whole_bound() {
    // Values of three levels; the first step's gradient is what Adam keeps of it.
    let spec = EndsSpec { log_snr: [6.0, -4.0], first: [0.2, 0.8], levels: 3 };
    let sde = EvenLogSnr { log_snr: spec.log_snr, times: vec![0.0, 1.0] };
    let loss = Denoising {
        weighting: WeightingKind::Likelihood.into(),
        reduce: Reduce::Mean,
        time: TimeSampling::Uniform,
        t_min: 0.0,
    };
    let optimizer = Optimizer { clip_norm: None, ..Optimizer::default() };
    let (rows, batch) = (12, 60_000);
    let step = TrainingStep {
        sde: &sde,
        loss: &loss,
        optimizer: &optimizer,
        data: StoredDataset { rows, dims: 1, storage: Storage::F32 },
        flip: None,
        dequantise: None,
        ring_rows: 4,
    };
    let mut places = Vec::new();
    let graph = training_step(&step, |graph| {
        let warp = TimeWarp::new(graph, 4, [0.0, 1.0]);
        let ends = Some(LearnedEnds::new(graph, spec));
        places = graph.parameters().iter().map(|parameter| (parameter.name.clone(), parameter.offset)).collect();
        Trainee { model: exact(&sde), auxiliary: Box::new(Scheduled { warp, ends }) }
    });
    let place = |end: usize| places.iter().find(|(name, _)| name == LearnedEnds::NAMES[end]).unwrap().1;
    let data: Vec<f64> = (0..rows).map(|i| (i % 3) as f64 - 1.0).collect();
    let mut program = Program::<f64>::new(&graph, "params");
    // The loss of a step, and the gradient of both ends.
    let mut at = |values: [f64; 2]| {
        let mut arena = vec![0.0; graph.arena_elements()];
        [0, 1].into_iter().for_each(|end| arena[place(end)] = values[end]);
        let mut store = Store::new();
        store.upload("params", &arena);
        store.upload("ema", &arena);
        store.upload(training_states::DATASET, &data);
        store.upload_words(training_states::CLOCK, &[0, 0, 7, 0]);
        program.run(&mut store, &[], batch).unwrap();
        let gradient = |end| store.get("adam_m").unwrap()[place(end)] / (1.0 - optimizer.beta1);
        (store.get(training_states::RING).unwrap()[0], [0, 1].map(gradient))
    };
    let values = [0.3, -0.2];
    let (_, found) = at(values);
    let h = 1e-4;
    let moved = |end: usize, by: f64| {
        let mut moved = values;
        moved[end] += by;
        moved
    };
    let log_snr = |values: [f64; 2]| LearnedEnds::times(&spec, values).map(|t| sde.at(t).log_snr);
    // With one coordinate a nat counts 2 in the mean without ½. KL to the prior, E x² being ⅔:
    let prior = |values: [f64; 2]| {
        let sigma2 = 1.0 / (1.0 + log_snr(values)[1].exp());
        0.5 * ((1.0 - sigma2) * 2.0 / 3.0 + sigma2 - 1.0 - sigma2.ln())
    };
    // −ln p(x | x at the first end) of a middle and of an outer level, by the integral over the noise.
    let reconstruction = |values: [f64; 2]| {
        let unit = (0.5 * log_snr(values)[0]).exp();
        let of = |offsets: [f64; 2]| {
            integral([-9.0, 9.0], |e| {
                let other = |j: f64| (-0.5 * (j * unit).powi(2) - j * unit * e).exp();
                (1.0 + other(offsets[0]) + other(offsets[1])).ln() * (-0.5 * e * e).exp() / std::f64::consts::TAU.sqrt()
            })
        };
        (of([-1.0, 1.0]) + 2.0 * of([1.0, 2.0])) / 3.0
    };
    for (end, tolerance) in [(0, 2e-2), (1, 1e-5)] {
        let slope = |f: &mut dyn FnMut([f64; 2]) -> f64| (f(moved(end, h)) - f(moved(end, -h))) / (2.0 * h);
        let of_loss = slope(&mut |values| at(values).0);
        let of_rest = 2.0 * slope(&mut |values| if end == 0 { reconstruction(values) } else { prior(values) });
        assert!(of_loss.abs() > 0.05 && of_rest.abs() > 0.05, "{of_loss}, {of_rest}");
        let wanted = of_loss + of_rest;
        let error = (found[end] - wanted).abs();
        assert!(error < tolerance * of_rest.abs(), "end {end}: {} instead of {wanted}", found[end]);
    }
}

#[test]
fn a_warped_process_is_a_process() {
    let t = Expr::input(0);
    let warped = Warped::new(Box::new(Cosine::default()), vec![1e-3, 0.1, 0.15, 0.6, 0.9946]).unwrap();
    let (alpha, variance) = (warped.alpha(&t), warped.sigma(&t).square());
    let (rate, g2) = (warped.drift_rate(&t), warped.diffusion_squared(&t));
    let pairs = [
        (alpha.derivative(0), &rate * &alpha),
        (variance.derivative(0), 2.0 * &rate * &variance + &g2),
        (warped.log_snr(&t).derivative(0), -(&g2 / &variance)),
    ];
    for time in [5e-4, 0.1, 0.3, 0.55, 0.9] {
        for (left, right) in &pairs {
            let values = Tape::new(&[left.clone(), right.clone()]).evaluate(&[time]);
            assert!((values[0] - values[1]).abs() < 1e-9 * (values[1].abs() + 1e-3), "{time}: {values:?}");
        }
        let found = warped.t_of_noise_to_signal(warped.at(time).noise_to_signal()).unwrap();
        assert!((found - time).abs() < 1e-9, "{found}, {time}");
    }
    for (knots, wanted) in [
        (vec![1e-3, 0.5, 0.4, 0.9946], "each above the one before"),
        (vec![0.5], "two or more"),
        (vec![0.1, 0.9], "must go from t_min = 0.001 to t_max = 0.9946"),
    ] {
        let error = Warped::new(Box::new(Cosine::default()), knots).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

/// The root of the mean square by which the denoised changes between two times. Of the exact score denoised = k(t) x with
/// k = 0.25 alpha / v, so that it is a closed form.
fn change(sde: &dyn Sde, a: f64, b: f64) -> f64 {
    let [a, b] = [a, b].map(|t| sde.at(t));
    let gain = |m: &tweedie::sde::Marginal| {
        let k = 0.25 * m.alpha / (0.25 * m.alpha.powi(2) + m.sigma.powi(2));
        (k * m.alpha, k * m.sigma)
    };
    let ((signal_a, noise_a), (signal_b, noise_b)) = (gain(&a), gain(&b));
    (0.25 * (signal_a - signal_b).powi(2) + (noise_a - noise_b).powi(2)).sqrt()
}

#[test]
fn a_warp_has_one_slope_at_its_knots_and_ends() {
    // Times that floats hold exactly, so that the knots are hit: t_min, 2, 3 and 4 of 4 pieces, t_max.
    let base = || Box::new(Edm::default());
    let knots = [0.0, 0.1, 0.15, 0.7, 1.0];
    let warped = Warped::new(base(), knots.to_vec()).unwrap();
    for (i, at) in [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().enumerate() {
        // Of the piece that begins there; of the last, which ends at t_max.
        let piece = i.min(3);
        let slope = 4.0 * (knots[piece + 1] - knots[piece]);
        let [here, there] = [warped.at(at).diffusion_squared, base().at(knots[i]).diffusion_squared];
        assert!((here / (slope * there) - 1.0).abs() < 1e-12, "{at}: {here}, {slope} times {there}");
        // And so it is in the limit from inside.
        let inside = if i == 4 { at - 1e-9 } else { at + 1e-9 };
        assert!((here / warped.at(inside).diffusion_squared - 1.0).abs() < 1e-6, "{at}");
    }
    // Where t_min is above 0, φ is t before it.
    let (vp, even) = (Vp::default(), Warped::new(Box::new(Vp::default()), vec![1e-3, 0.5005, 1.0]).unwrap());
    for at in [5e-4, 1e-3, 0.5005, 1.0] {
        let [here, there] = [even.at(at), vp.at(at)];
        assert!((here.drift_rate / there.drift_rate - 1.0).abs() < 1e-9, "{at}: {here:?}, {there:?}");
        assert!((here.diffusion_squared / there.diffusion_squared - 1.0).abs() < 1e-9, "{at}: {here:?}, {there:?}");
    }
}

#[test]
fn the_derivative_of_a_warp_counts_one_side_of_a_knot() {
    // What the probability flow takes: derivatives of alpha and sigma, at the knots and at both ends.
    let knots = [0.0, 0.1, 0.15, 0.7, 1.0];
    let warped =
        Warped::new(Box::new(RectifiedFlow { t_min: 0.0, ..RectifiedFlow::default() }), knots.to_vec()).unwrap();
    let slope = Tape::new(&[warped.sigma(&Expr::input(0)).derivative(0)]);
    for (i, at) in [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().enumerate() {
        let piece = i.min(3);
        let (found, wanted) = (slope.evaluate(&[at])[0], 4.0 * (knots[piece + 1] - knots[piece]));
        assert!((found - wanted).abs() < 1e-12, "{at}: {found}, should be {wanted}");
    }
}

#[test]
fn a_learned_warp_has_a_slope_at_every_time() {
    for [low, high] in [[0.0, 1.0], [0.1, 0.7]] {
        let mut graph = Graph::new();
        let warp = TimeWarp::new(&mut graph, 4, [low, high]);
        let t = graph.input("t", Shape::batch(&[1]));
        let [_, slope] = warp.forward(&mut graph, t);
        graph.output("slope", slope);
        let mut store = Store::<f32>::new();
        store.upload("params", &[0.0; 64]);
        let mut program = Program::<f32>::new(&graph, "params");
        // Even pieces have a slope of 1: at the ends, at the knots, and at the floats next to them.
        let near = (0..=4).flat_map(|knot| {
            let at = (low + 0.25 * (high - low) * f64::from(knot)) as f32;
            [f32::from_bits(at.to_bits().saturating_sub(1)), at, f32::from_bits(at.to_bits() + 1)]
        });
        let near: Vec<f32> = near.filter(|t| (low as f32..=high as f32).contains(t)).collect();
        program.run(&mut store, &[("t", &near)], near.len()).unwrap();
        for (t, slope) in near.iter().zip(program.output("slope")) {
            assert!((slope - 1.0).abs() < 1e-6, "{t} of [{low}, {high}]: {slope}");
        }
    }
}

#[test]
fn a_steep_warp_is_finite_in_f32() {
    let sde = Vp::default();
    let mut graph = Graph::new();
    let warp = TimeWarp::new(&mut graph, 4, [0.0, 1.0]);
    let t = graph.input("t", Shape::batch(&[1]));
    let [time, slope] = warp.forward(&mut graph, t);
    let x = graph.map(&[t], &(Expr::input(0) * 0.3));
    let loss = warp.loss(&mut graph, &sde, exact(&sde).as_ref(), x, t, x);
    let parameters = graph.parameter_values();
    let gradient = graph.gradient(loss.second_moment, &parameters)[0];
    for (name, value) in [("time", time), ("slope", slope), ("gradient", gradient)] {
        graph.output(name, value);
    }
    let logits = [100.0, 99.0, 100.0, 98.0];
    let knots = TimeWarp::knots(&[1000.0, 999.0, 1000.0, 998.0], [0.0, 1.0]);
    let mut store = Store::<f32>::new();
    let mut arena = logits.to_vec();
    arena.resize(64, 0.0);
    store.upload("params", &arena);
    let mut program = Program::<f32>::new(&graph, "params");
    program.run(&mut store, &[("t", &[0.125, 0.375, 0.625, 0.875])], 4).unwrap();
    for i in 0..4 {
        let middle = 0.5 * (knots[i] + knots[i + 1]);
        assert!(
            (f64::from(program.output("time")[i]) - middle).abs() < 1e-6,
            "{:?}, {knots:?}",
            program.output("time")
        );
        let slope = 4.0 * (knots[i + 1] - knots[i]);
        assert!(
            (f64::from(program.output("slope")[i]) - slope).abs() < 1e-5,
            "{:?}, {knots:?}",
            program.output("slope")
        );
    }
    assert!(program.output("gradient").iter().all(|value| value.is_finite()), "{:?}", program.output("gradient"));
}

#[test]
fn without_work_times_are_even() {
    assert_eq!(equal_work(&[0.0, 0.7, 1.0], &[0.0, 0.0], 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
    // Work in a part of time alone.
    assert_eq!(equal_work(&[0.0, 0.5, 0.75, 1.0], &[0.0, 2.0, 0.0], 4), [0.0, 0.5625, 0.625, 0.6875, 1.0]);
}

#[test]
fn equal_work_is_equal() {
    let sde = Vp::default();
    let change = |a: f64, b: f64| change(&sde, a, b);
    let times: Vec<f64> = (0..=400).map(|i| 1e-3 + 0.999 * f64::from(i) / 400.0).collect();
    let distances: Vec<f64> = times.windows(2).map(|pair| change(pair[0], pair[1])).collect();
    let grid = equal_work(&times, &distances, 10);
    assert_eq!((grid.len(), grid[0], grid[10]), (11, times[0], times[400]));
    let way = |a: f64, b: f64| {
        let n = 2000;
        let at = |i: usize| a + (b - a) * i as f64 / n as f64;
        (0..n).map(|i| change(at(i), at(i + 1))).sum::<f64>()
    };
    let ways: Vec<f64> = grid.windows(2).map(|pair| way(pair[0], pair[1])).collect();
    let mean = ways.iter().sum::<f64>() / 10.0;
    assert!(ways.iter().all(|way| (way / mean - 1.0).abs() < 0.01), "{ways:?}");
    let even: Vec<f64> = (0..10).map(|i| way(1e-3 + 0.0999 * f64::from(i), 1e-3 + 0.0999 * f64::from(i + 1))).collect();
    assert!(even.iter().any(|way| (way / mean - 1.0).abs() > 0.5), "the even grid is far from it: {even:?}");

    // A model says the same of itself.
    let graph = work_graph(&sde, 1, |_| exact(&sde));
    let mut program = Program::<f64>::new(&graph, "params");
    let points = points();
    let [x0, noise]: [Vec<f64>; 2] = [points.iter().map(|p| p.0).collect(), points.iter().map(|p| p.1).collect()];
    for pair in [[0.05, 0.1], [0.4, 0.41]] {
        let inputs = [("x0", &x0[..]), ("noise", &noise), ("t", &pair[..1]), ("t_next", &pair[1..])];
        program.run(&mut Store::new(), &inputs, points.len()).unwrap();
        let work = program.output("work").iter().sum::<f64>() / points.len() as f64;
        let expected = change(pair[0], pair[1]).powi(2);
        assert!((work / expected - 1.0).abs() < 1e-9, "{work}, {expected}");
    }
}

/// Samples of an exact model by a flow, and the times of its grid.
fn drawn(data: &str, spacing: &str, steps: usize, denoise: bool) -> (Vec<f32>, Vec<f64>) {
    use tweedie::config::{Config, Overrides};
    use tweedie::engine::Device;
    use tweedie::train::draw::request::SampleRequest;
    use tweedie::train::draw::sampling;
    use tweedie::train::experiment::{Classes, Experiment};

    let text = format!(
        "[data]\nkind = \"mixture\"\n{data}\n[model]\nkind = \"exact\"\n[sde]\nkind = \"vp\"\n[sample]\n\
         kind = \"ode-euler\"\nspacing = \"{spacing}\"\nsteps = {steps}\ndenoise = {denoise}"
    );
    let config = Config::parse(&text, "exact.toml", &Overrides::none()).unwrap();
    let experiment = Experiment::new(&config).unwrap();
    let sampler = config.sample.sampler();
    let draw = SampleRequest {
        n: 256,
        grid: config.grid(),
        seed: 3,
        noise: None,
        step_noise: None,
        classes: Classes::Any,
        guidance: 1.0,
        known: None,
        frames: 0,
    };
    let mut engine = experiment.drawing_engine(&Device::Cpu, &experiment.drawing(&sampler), 256).unwrap();
    let drawn = sampling::draw(engine.as_mut(), &experiment, &sampler, &draw, &mut |_, _| true).unwrap();
    (drawn.samples, drawn.times)
}

#[test]
fn the_grid_that_a_model_measures_is_that_of_the_closed_form() {
    let sde = Vp::default();
    let data = "weights = [1]\nmeans = [[0]]\nwidths = [0.5]\nn = 12000";
    let (_, times) = drawn(data, "equal-work", 10, false);
    assert_eq!((times.len(), times[0], times[10]), (11, 1.0, 1e-3));
    let way = |a: f64, b: f64| {
        let at = |i: usize| a + (b - a) * i as f64 / 500.0;
        (0..500).map(|i| change(&sde, at(i), at(i + 1))).sum::<f64>()
    };
    let ways: Vec<f64> = times.windows(2).map(|pair| way(pair[0], pair[1])).collect();
    let mean = ways.iter().sum::<f64>() / 10.0;
    // The moments of a thousand samples are a few percent off.
    assert!(ways.iter().all(|way| (way / mean - 1.0).abs() < 0.06), "{ways:?}");
}

#[test]
fn a_grid_of_equal_work_errs_less_than_an_even_one() {
    // A narrow ellipse, and two modes: most of whose error is in the few points that end up in the other one.
    let ellipse = "weights = [1]\nmeans = [[0, 0]]\nwidths = [[0.3, 0.05]]\nn = 6000";
    let modes = "weights = [0.7, 0.3]\nmeans = [[1, 0], [-1, 0.5]]\nwidths = [0.15, 0.1]\nn = 6000";
    for (data, steps, most) in [(ellipse, 10, 0.5), (ellipse, 40, 0.5), (modes, 40, 0.9)] {
        let (exact, _) = drawn(data, "log-snr", 2000, true);
        let error = |spacing: &str| {
            let (samples, _) = drawn(data, spacing, steps, true);
            let squares = samples.iter().zip(&exact).map(|(a, b)| f64::from(a - b).powi(2));
            (squares.sum::<f64>() / 256.0).sqrt()
        };
        let [even, work] = ["linear", "equal-work"].map(error);
        assert!(work < most * even, "{steps} steps: {work}, even {even}");
    }
}

/// Two modes of width 1, 0.8 of the data in the one at distance / 2.
fn modes(distance: f64) -> Line {
    Line { weights: vec![0.8, 0.2], means: vec![0.5 * distance, -0.5 * distance], widths: vec![1.0, 1.0] }
}

#[test]
fn what_is_seen_of_weights_is_the_published_table() {
    // Distance; Fisher divergence and KL at sigma = 0, 1, 2, 5, 10.
    let table = [
        (4.0, [6.371e-2, 5.797e-2, 2.341e-2, 1.702e-3, 1.326e-4], [0.1791, 0.1470, 0.0908, 0.0247, 0.0069]),
        (6.0, [8.113e-3, 2.649e-2, 2.404e-2, 3.040e-3, 2.773e-4], [0.1919, 0.1826, 0.1408, 0.0493, 0.0150]),
        (8.0, [3.308e-4, 6.284e-3, 1.676e-2, 4.103e-3, 4.485e-4], [0.1927, 0.1913, 0.1709, 0.0761, 0.0254]),
        (10.0, [4.621e-6, 8.374e-4, 8.743e-3, 4.707e-3, 6.268e-4], [0.1927, 0.1926, 0.1851, 0.1018, 0.0374]),
        (200f64.sqrt(), [2.448e-11, 2.310e-6, 1.040e-3, 4.526e-3, 9.561e-4], [0.1927, 0.1927, 0.1923, 0.1447, 0.0650]),
    ];
    for (distance, fisher, kl) in table {
        for ((sigma, fisher), kl) in [0.0, 1.0, 2.0, 5.0, 10.0].into_iter().zip(fisher).zip(kl) {
            let seen = modes(distance).visibility(sigma);
            assert!((seen.fisher / fisher - 1.0).abs() < 6e-4, "{distance}, {sigma}: {seen:?}, {fisher}");
            assert!((seen.kl - kl).abs() < 6e-5, "{distance}, {sigma}: {seen:?}, {kl}");
        }
    }
    // What is left to see at 5 and 10 is in the table, and so is what has been seen by then.
    for (distance, left, sigma) in [(10.0, [0.1927, 0.1018], 5.0), (200f64.sqrt(), [0.1927, 0.0650], 10.0)] {
        let found = modes(distance).noise_that_shows(1.0 - left[1] / left[0]).unwrap();
        assert!((found / sigma - 1.0).abs() < 5e-3, "{distance}: {found}");
    }
    // De Bruijn's identity: KL(0) - KL(s) is the integral of s fisher(s).
    let seen = integral_of(400, [0.0, 5.0], |sigma| sigma * modes(6.0).visibility(sigma).fisher);
    assert!((seen - (0.1919 - 0.0493)).abs() < 1e-4, "{seen}");
    let even = Line { weights: vec![0.5, 0.5], ..modes(6.0) };
    assert_eq!(even.noise_that_shows(0.99), None);
    // Seen best near a quarter of the distance.
    for (distance, sigma) in [(200f64.sqrt(), 3.8), (4.0, 0.6)] {
        let found = modes(distance).most_visible(200);
        assert!((found - sigma).abs() < 0.1, "{distance}: {found}");
    }
}

#[test]
fn a_mixture_is_seen_along_its_longest_line() {
    let mixture =
        Mixture::new(&[0.8, 0.2], &[vec![5.0, 5.0], vec![-5.0, -5.0]], &[Width::Isotropic(1.0), Width::Isotropic(1.0)])
            .unwrap();
    let line = Line::along_longest(&mixture).unwrap();
    assert!((line.visibility(5.0).fisher / 4.526e-3 - 1.0).abs() < 6e-4, "{line:?}");
    assert!(Line::along_longest(&Mixture::new(&[1.0], &[vec![0.0, 1.0]], &[Width::Isotropic(1.0)]).unwrap()).is_none());
}
