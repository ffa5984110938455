//! What training learns besides the network: the loss to expect at a noise level, and where in time it is large. In f64
//! on the CPU executor, against closed forms.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, Storage, Value};
use tweedie::loss::{
    Auxiliary, Batch, Denoising, Objective, Reduce, SecondMoments, StoredDataset, TimeSampling, Trainee, TrainingStep,
    Uncertain, Uncertainty, Weighting, WeightingKind, second_moment_states, training_states, training_step,
};
use tweedie::nn::{LearningRate, Optimizer, initial_parameters};
use tweedie::sde::{Edm, Exact, Model, Sde, Vp};

/// Standard deviation of the data.
const WIDTH: f64 = 0.8;

/// The exact score of N(0, WIDTH² I).
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

#[test]
fn uncertainty_learns_the_logarithm_of_the_expected_loss() {
    // With alpha = 1 and s² = 0.25 instead of the data's 0.64, the exact score leaves
    // L = 0.64 (sigma² + 0.25) / (0.25 (0.64 + sigma²)), from 1 at low to 2.56 at high noise.
    let sde = Edm::default();
    let loss = Denoising {
        weighting: Weighting { sigma_data: 0.5, ..WeightingKind::Edm.into() },
        time: TimeSampling::LogNormal { mean: -0.5, std: 1.2 },
        t_min: 0.0,
        reduce: Reduce::Mean,
    };
    let optimizer = Optimizer { learning_rate: LearningRate::constant(1e-2), ema_decay: 0.99, ..Optimizer::default() };
    let rows = 4096;
    let data = StoredDataset { rows, dims: 2, storage: Storage::F32 };
    let spec = TrainingStep {
        sde: &sde,
        loss: &loss,
        optimizer: &optimizer,
        data,
        flip: None,
        dequantise: None,
        ring_rows: 4,
    };
    let graph = training_step(&spec, |graph| {
        let uncertainty = Uncertainty::new(graph);
        Trainee { model: exact(&sde), auxiliary: Box::new(Uncertain { sde: &sde, uncertainty }) }
    });
    let mut store = Store::<f64>::new();
    let first: Vec<f64> = initial_parameters(&graph, 7).iter().map(|value| f64::from(*value)).collect();
    store.upload("params", &first);
    store.upload("ema", &first);
    store.upload_words("clock", &[0, 0, 3, 4]);
    let mut draw = Graph::new();
    let clock = draw.clock("clock");
    let z = draw.normal(clock, "data", Shape::batch(&[2]));
    let x0 = draw.scale(z, WIDTH);
    draw.output("x0", x0);
    let mut program = Program::<f64>::new(&draw, "params");
    program.run(&mut store, &[], rows).unwrap();
    store.upload(training_states::DATASET, program.output("x0"));
    store.upload_words(training_states::CLOCK, &[0, 0, 7, 0]);
    let mut program = Program::<f64>::new(&graph, "params");
    (0..600).for_each(|_| program.run(&mut store, &[], 256).unwrap());

    let mut graph = Graph::new();
    let uncertainty = Uncertainty::new(&mut graph);
    let t = graph.input("t", Shape::batch(&[1]));
    let u = uncertainty.forward(&mut graph, &sde, t);
    graph.output("u", u);
    let mut program = Program::<f64>::new(&graph, "ema");
    for sigma in [0.05f64, 0.2, 0.6, 2.0, 6.0] {
        let expected = (0.64 * (sigma * sigma + 0.25) / (0.25 * (0.64 + sigma * sigma))).ln();
        program.run(&mut store, &[("t", &[sde.t_of_sigma(sigma).unwrap()])], 1).unwrap();
        let u = program.output("u")[0];
        assert!((u - expected).abs() < 0.15, "sigma = {sigma}: {u}, {expected}");
    }
}

/// Mean and variance of the loss of one sample, and what the states are, after `steps` of `batch`.
fn run(loss: &Denoising, sde: &dyn Sde, steps: u32, batch: usize) -> (f64, f64, Store<f64>) {
    run_with(exact(sde).into(), loss, sde, steps, batch)
}

/// The same with a model, and what is learned beside it.
fn run_with(
    Trainee { model, auxiliary }: Trainee,
    loss: &Denoising,
    sde: &dyn Sde,
    steps: u32,
    batch: usize,
) -> (f64, f64, Store<f64>) {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let z = graph.normal(clock, "data", Shape::batch(&[2]));
    let x0 = graph.scale(z, WIDTH);
    let batch_of = Batch { auxiliary: auxiliary.as_ref(), ..Batch::new(sde, model.as_ref(), x0, clock) };
    let result = loss.loss(&mut graph, &batch_of);
    graph.output("per_sample", result.per_sample);
    let mut store = Store::new();
    store.upload(training_states::STATUS, &[0.0]);
    store.upload(second_moment_states::SECOND_MOMENTS, &[1.0; 16]);
    let mut program = Program::<f64>::new(&graph, "params");
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for step in 0..steps {
        store.upload_words("clock", &[step, 0, 3, 4]);
        program.run(&mut store, &[], batch).unwrap();
        // The first half learns.
        for loss in program.output("per_sample").iter().filter(|_| step >= steps / 2) {
            (count, sum, squares) = (count + 1.0, sum + loss, squares + loss * loss);
        }
    }
    let mean: f64 = sum / count;
    (mean, squares / count - mean * mean, store)
}

#[test]
fn second_moments_are_learned_and_drawn_by() {
    let sde = Vp::default();
    let even = Denoising {
        weighting: WeightingKind::Likelihood.into(),
        t_min: 1e-2,
        reduce: Reduce::Sum,
        ..Denoising::default()
    };
    let by_moment = Denoising { time: TimeSampling::LossSecondMoment(SecondMoments { bins: 16 }), ..even };
    let (steps, batch) = (300, 512);
    let (mean, variance, _) = run(&even, &sde, steps, batch);
    let (drawn_mean, drawn_variance, store) = run(&by_moment, &sde, steps, batch);
    let count = f64::from(steps) / 2.0 * batch as f64;
    // The same expectation: 4 standard errors. Less variance: what is left is that of the noise.
    let error = ((variance + drawn_variance) / count).sqrt();
    assert!((mean - drawn_mean).abs() < 4.0 * error, "{mean}, {drawn_mean}");
    assert!(drawn_variance < 0.5 * variance, "{variance}, {drawn_variance}");

    // L = ½ w ‖e‖² with e normal of variance c = 0.64 alpha² / v in both coordinates, and E[L²] = 2 (w c)².
    let moments = store.get(second_moment_states::SECOND_MOMENTS).unwrap();
    for (bin, moment) in moments.iter().enumerate() {
        let points = 400;
        let expected = (0..points)
            .map(|i| {
                let at = sde.at(0.01 + 0.99 * (bin as f64 + (i as f64 + 0.5) / points as f64) / 16.0);
                let signal = (WIDTH * at.alpha).powi(2);
                let w = at.diffusion_squared / at.sigma.powi(2);
                2.0 * (w * signal / (signal + at.sigma.powi(2))).powi(2) / points as f64
            })
            .sum::<f64>();
        // Running means over some twenty steps, of a squared loss whose deviation is √5 of its mean, where a step has ten of
        // them or more.
        if (1..5).contains(&bin) {
            assert!((0.5..2.0).contains(&(moment / expected)), "{bin}: {moment}, {expected}");
        }
    }
}

/// A known function of time for the loss to be expected.
struct Expected;

impl Auxiliary for Expected {
    fn uncertainty(&self, graph: &mut Graph, t: Value) -> Option<Value> {
        Some(graph.map(&[t], &(Expr::input(0) * 4.0 - 1.0)))
    }
}

#[test]
fn how_times_are_drawn_does_not_change_what_uncertainty_expects() {
    // E[L e^−u + u] over even times, whatever the density that is divided out: of both terms.
    let sde = Vp::default();
    let (steps, batch) = (200, 512);
    let of = |time| {
        let loss = Denoising {
            weighting: Weighting { sigma_data: 0.5, ..WeightingKind::Edm.into() },
            time,
            t_min: 1e-2,
            reduce: Reduce::Mean,
        };
        let (mean, variance, _) =
            run_with(Trainee { model: exact(&sde), auxiliary: Box::new(Expected) }, &loss, &sde, steps, batch);
        (mean, variance / (f64::from(steps) / 2.0 * batch as f64))
    };
    let (even, even_error) = of(TimeSampling::Uniform);
    // ∫ u alone is 1.02.
    assert!(even > 1.02, "{even}");
    for time in [TimeSampling::Importance, TimeSampling::LossSecondMoment(SecondMoments { bins: 16 })] {
        let (mean, error) = of(time);
        let error = (even_error + error).sqrt();
        assert!((mean - even).abs() < 4.0 * error && error < 0.02, "{time:?}: {mean}, {even} ± {error}");
    }
}

#[test]
fn what_is_not_finite_or_not_seen_leaves_no_moment() {
    let sde = Vp::default();
    let moments = SecondMoments { bins: 4 };
    let mut graph = Graph::new();
    let [u, losses] = ["u", "losses"].map(|name| graph.input(name, Shape::batch(&[1])));
    let binned = moments.draw(&mut graph, &sde, 0.0, u);
    moments.observe(&mut graph, &binned, losses);
    graph.output("t", binned.t);
    graph.output("correction", binned.correction);
    let mut store = Store::<f64>::new();
    store.upload(training_states::STATUS, &[0.0]);
    // Roots 1, 3, 0 and 4 of 8: parts of time by the shares 1/8, 3/8, 0 and 1/2, but for a thousandth.
    store.upload(second_moment_states::SECOND_MOMENTS, &[1.0, 9.0, 0.0, 16.0]);
    let mut program = Program::<f64>::new(&graph, "params");
    let shares = [0.125, 0.375, 0.0, 0.5].map(|share| 0.999 * share + 0.00025);
    let ends: Vec<f64> = shares
        .iter()
        .scan(0.0, |end, share| {
            *end += share;
            Some(*end)
        })
        .collect();
    let u = [0.5 * ends[0], ends[0] + 0.25 * shares[1], ends[1] + 0.5 * shares[2], 0.5 * (ends[2] + 1.0)];
    let losses = [3.0, f64::NAN, 2.0, 5.0];
    program.run(&mut store, &[("u", &u), ("losses", &losses)], 4).unwrap();
    for ((t, correction), (expected, share)) in program
        .output("t")
        .iter()
        .zip(program.output("correction"))
        .zip([0.125, 0.3125, 0.625, 0.875].iter().zip(shares))
    {
        assert!((t - expected).abs() < 1e-12, "{t}, {expected}");
        assert!((correction - 0.25 / share).abs() < 1e-9, "{correction}");
    }
    let after = store.get(second_moment_states::SECOND_MOMENTS).unwrap().to_vec();
    for (moment, expected) in after.iter().zip([0.9 + 0.1 * 9.0, 9.0, 0.1 * 4.0, 0.9 * 16.0 + 0.1 * 25.0]) {
        assert!((moment - expected).abs() < 1e-12, "{after:?}");
    }
    store.upload(training_states::STATUS, &[1.0]);
    program.run(&mut store, &[("u", &u), ("losses", &losses)], 4).unwrap();
    assert_eq!(store.get(second_moment_states::SECOND_MOMENTS).unwrap(), after, "a stopped run learns nothing");
}
