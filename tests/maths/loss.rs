//! Denoising score matching against closed forms, and the training step's promises.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, Storage};
use tweedie::loss::{
    Batch, Denoising, EvaluationSpec, Objective, RING_COLUMNS, Reduce, StoredDataset, TrainingStep, WeightingKind,
    evaluation_states, evaluation_step, flip_half, training_states, training_step,
};
use tweedie::nn::{Conditioning, ExactMixture, LearningRate, Mlp, MlpShape, Optimizer, initial_parameters};
use tweedie::sde::{Exact, Model, Network, Parameterisation, Sde, Ve, Vp};

/// The score −A x with A = diag(0.7, 0.3).
fn linear<'a>(sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let score = |graph: &mut Graph, x, _, _| {
        let a = Expr::column().less(1.0).select(0.7, 0.3);
        graph.map(&[x], &-(a * Expr::input(0)))
    };
    Box::new(Exact { sde, score, denoised: |_: &mut Graph, _, _, _| unreachable!("not asked for") })
}

/// The exact score of N(0, diag(1, 4)).
fn exact<'a>(sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let mixture = ExactMixture { components: 1, dims: 2 };
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, alpha, sigma| mixture.score(graph, x, alpha, sigma),
        denoised: move |graph: &mut Graph, x, alpha, sigma| mixture.denoised(graph, x, alpha, sigma),
    })
}

/// The expectation of the loss over data N(0, diag(1, 4)) and noise. It is a quadratic of both, so that the points
/// ± one standard deviation, all combinations with equal weight, give it exactly.
fn expectation(loss: &Denoising, sde: &dyn Sde, model: &dyn Model, t: f64) -> f64 {
    let mut graph = Graph::new();
    let x0 = graph.input("x0", Shape::batch(&[2]));
    let noise = graph.input("noise", Shape::batch(&[2]));
    let time = graph.input("t", Shape::batch(&[1]));
    let clock = graph.clock("clock");
    let result = loss.loss_at(&mut graph, &Batch::new(sde, model, x0, clock), time, noise);
    graph.output("loss", result.mean);
    let sign = |i: usize, bit: usize| if i >> bit & 1 == 0 { 1.0 } else { -1.0 };
    let x0: Vec<f64> = (0..16).flat_map(|i| [sign(i, 0), 2.0 * sign(i, 1)]).collect();
    let noise: Vec<f64> = (0..16).flat_map(|i| [sign(i, 2), sign(i, 3)]).collect();
    let mut store = Store::new();
    ExactMixture::states(&[1.0], &[0.0, 0.0], &[1.0, 2.0]).iter().for_each(|(name, values)| store.upload(name, values));
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut store, &[("x0", &x0), ("noise", &noise), ("t", &[t; 16])], 16).unwrap();
    program.output("loss")[0]
}

#[test]
fn the_closed_forms_of_a_gaussian_hold() {
    // Noise of sigma 0.5 on N(0, diag(1, 4)), model −diag(0.7, 0.3) x: DSM 3.4975 with ½ and the sum over dimensions;
    // the exact score leaves 3.4823529412, and the difference is the ESM error 0.0151470588.
    let sde = Ve::default();
    let t = sde.t_of_sigma(0.5).unwrap();
    let loss = Denoising { weighting: WeightingKind::Uniform.into(), reduce: Reduce::Sum, ..Denoising::default() };
    let dsm = expectation(&loss, &sde, linear(&sde).as_ref(), t);
    assert!((dsm - 3.4975).abs() < 1e-10, "{dsm}");
    let least = expectation(&loss, &sde, exact(&sde).as_ref(), t);
    assert!((least - 3.482_352_941_2).abs() < 1e-10, "{least}");
    assert!((dsm - least - 0.015_147_058_8).abs() < 1e-10);
    let sigma2 = Denoising { weighting: WeightingKind::Sigma2.into(), ..loss };
    let weighted = expectation(&sigma2, &sde, linear(&sde).as_ref(), t);
    assert!((weighted - 0.874_375).abs() < 1e-10, "{weighted}");
}

#[test]
fn weightings_and_reductions_are_the_stated_factors() {
    // E ‖score + epsilon / sigma‖² for score −A x and x = alpha x_0 + sigma epsilon, by hand.
    for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
        for t in [1e-3, 0.1, 0.7] {
            let at = sde.at(t);
            let squared: f64 = [(0.7, 1.0), (0.3, 4.0)]
                .iter()
                .map(|(a, variance)| (a * at.alpha).powi(2) * variance + (1.0 / at.sigma - a * at.sigma).powi(2))
                .sum();
            let weightings = [
                (WeightingKind::Uniform.into(), 1.0),
                (WeightingKind::Sigma2.into(), at.sigma.powi(2)),
                (WeightingKind::Likelihood.into(), at.diffusion_squared),
            ];
            for (weighting, lambda) in weightings {
                for (reduce, factor) in [(Reduce::Sum, 0.5), (Reduce::Mean, 0.5)] {
                    let loss = Denoising { weighting, reduce, ..Denoising::default() };
                    let value = expectation(&loss, sde, linear(sde).as_ref(), t);
                    let expected = factor * lambda * squared;
                    assert!((value / expected - 1.0).abs() < 1e-9, "{weighting:?} {reduce:?} {t}: {value}, {expected}");
                }
            }
        }
    }
    // Of 2 dimensions the mean is half the sum; in general it is 2 / D of the mathematical value.
    assert_eq!((Reduce::Mean.factor(64), Reduce::Sum.factor(64)), (1.0 / 64.0, 0.5));
}

fn network<'a>(graph: &mut Graph, sde: &'a dyn Sde, shape: MlpShape) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, shape);
    Box::new(Network {
        sde,
        parameterisation: Parameterisation::Preconditioned,
        sigma_data: 1.0,
        network: move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default()),
    })
}

const SMALL: MlpShape = MlpShape { dims: 2, width: 24, depth: 2, embedding: 8, classes: 0 };
const DATA: StoredDataset = StoredDataset { rows: 64, dims: 2, storage: Storage::F32 };

/// Two clusters.
fn clusters() -> Vec<f32> {
    let unit = |i: u32| (f64::from(i.wrapping_mul(2_654_435_769)) / 4_294_967_296.0) as f32 - 0.5;
    (0..64).flat_map(|i| [if i % 2 == 0 { 1.0 } else { -1.0 } + 0.3 * unit(i), 0.5 * unit(i + 99)]).collect()
}

struct Run {
    program: Program<f32>,
    store: Store<f32>,
}

impl Run {
    fn new(sde: &dyn Sde, optimizer: &Optimizer) -> Self {
        let loss = Denoising::default();
        let spec = TrainingStep { sde, loss: &loss, optimizer, data: DATA, flip: None, dequantise: None, ring_rows: 8 };
        let graph = training_step(&spec, |graph| network(graph, sde, SMALL));
        let mut store = Store::new();
        let first = initial_parameters(&graph, 7);
        store.upload("params", &first);
        store.upload("ema", &first);
        store.upload(training_states::DATASET, &clusters());
        store.upload_words(training_states::CLOCK, &[0, 0, 7, 0]);
        Self { program: Program::new(&graph, "params"), store }
    }

    fn steps(&mut self, count: usize, batch: usize) {
        for _ in 0..count {
            self.program.run(&mut self.store, &[], batch).unwrap();
        }
    }

    fn bits(&self) -> Vec<Vec<u32>> {
        ["params", "adam_m", "adam_v", "ema"]
            .map(|name| self.store.get(name).unwrap().iter().map(|value| value.to_bits()).collect())
            .into()
    }

    fn record(&self, step: usize) -> &[f32] {
        &self.store.get(training_states::RING).unwrap()[step % 8 * RING_COLUMNS..][..RING_COLUMNS]
    }

    /// The mean held-out loss at the levels 0.05, 0.35, 0.65, 0.95.
    fn evaluate(&mut self, sde: &dyn Sde, parameters: &str) -> f32 {
        let loss = Denoising::default();
        let spec = EvaluationSpec { sde, loss: &loss, data: DATA, exact: None, dequantise: None, times: 4 };
        let graph = evaluation_step(&spec, |graph| network(graph, sde, SMALL));
        self.store.upload(evaluation_states::DATASET, &clusters());
        self.store.upload(evaluation_states::TIMES, &[0.05, 0.35, 0.65, 0.95]);
        self.store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
        let mut program = Program::<f32>::new(&graph, parameters);
        program.run(&mut self.store, &[], 256).unwrap();
        program.output("loss")[0]
    }
}

#[test]
fn training_lowers_the_loss() {
    for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
        let optimizer = Optimizer { learning_rate: LearningRate::constant(3e-3), ..Optimizer::default() };
        let mut run = Run::new(sde, &optimizer);
        let before = run.evaluate(sde, "params");
        run.steps(400, 128);
        let (after, average) = (run.evaluate(sde, "params"), run.evaluate(sde, "ema"));
        assert!(after < 0.8 * before, "{}: {before} to {after}", sde.name());
        assert!(average < 0.85 * before, "{}: EMA {before} to {average}", sde.name());
        assert_eq!(run.store.words(training_states::CLOCK).unwrap()[0], 400);
        let record = run.record(399);
        assert!(record[0] > 0.0 && record[1] > 0.0 && record[3] == -1.0, "{record:?}");
        assert!((record[2] - 3e-3).abs() < 1e-9);
    }
}

#[test]
fn a_nan_leaves_weights_moments_and_ema_untouched() {
    let sde = Vp::default();
    let mut run = Run::new(&sde, &Optimizer::default());
    run.steps(3, 64);
    let before = run.bits();
    assert_eq!(run.store.get(training_states::STATUS).unwrap(), [0.0]);
    let good = clusters();
    let mut bad = good.clone();
    bad[20] = f32::NAN;
    run.store.upload(training_states::DATASET, &bad);
    run.steps(1, 64);
    assert_eq!(run.bits(), before);
    assert_eq!(run.store.get(training_states::STATUS).unwrap(), [1.0]);
    assert_eq!(run.store.words(training_states::CLOCK).unwrap()[0], 3, "the clock stays at the step that failed");
    let record = run.record(3).to_vec();
    assert!(!record[0].is_finite(), "{record:?}");
    assert!(record[3] > 0.0 && record[3] <= 1.0, "the time of the bad sample: {record:?}");

    // Nothing moves until the host has seen it, even if all is well again.
    run.store.upload(training_states::DATASET, &good);
    run.steps(2, 64);
    assert_eq!(run.bits(), before);
    let bits = |record: &[f32]| record.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(run.record(3)), bits(&record));
    run.store.upload(training_states::STATUS, &[0.0]);
    run.steps(1, 64);
    assert_ne!(run.bits(), before);
    assert_eq!(run.store.words(training_states::CLOCK).unwrap()[0], 4);
}

#[test]
fn an_infinite_weight_is_caught_too() {
    let sde = Ve::default();
    let mut run = Run::new(&sde, &Optimizer::default());
    run.steps(1, 16);
    run.store.get_mut("params").unwrap()[3] = f32::INFINITY;
    let before = run.bits();
    run.steps(1, 16);
    assert_eq!(run.bits(), before);
    assert_eq!(run.store.get(training_states::STATUS).unwrap(), [1.0]);
}

#[test]
fn evaluation_is_stratified_over_levels() {
    let sde = Vp::default();
    let loss = Denoising::default();
    let spec = EvaluationSpec { sde: &sde, loss: &loss, data: DATA, exact: None, dequantise: None, times: 3 };
    let graph = evaluation_step(&spec, |graph| network(graph, &sde, SMALL));
    let run = |batches: &[usize]| {
        let mut store = Store::<f32>::new();
        store.upload("params", &initial_parameters(&graph, 1));
        store.upload(evaluation_states::DATASET, &clusters());
        store.upload(evaluation_states::TIMES, &[0.1, 0.5, 0.9]);
        store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
        let mut program = Program::<f32>::new(&graph, "params");
        let mut result = Vec::new();
        for batch in batches {
            program.run(&mut store, &[], *batch).unwrap();
            result.extend(program.output("t").iter().copied().zip(program.output("per_sample").iter().copied()));
        }
        result
    };
    let whole = run(&[8]);
    let levels: Vec<f32> = whole.iter().map(|(t, _)| *t).collect();
    assert_eq!(levels, [0.1, 0.5, 0.9, 0.1, 0.5, 0.9, 0.1, 0.5]);
    let split = run(&[3, 1, 4]);
    assert_eq!(split, whole, "a sample's noise does not depend on its batch");
    assert_eq!(run(&[8]), whole, "the same samples, times and noise in every evaluation");
}

#[test]
fn times_are_uniform_on_their_range() {
    let sde = Vp::default();
    let loss = Denoising { t_min: 0.25, ..Denoising::default() };
    let mut graph = Graph::new();
    let model = linear(&sde);
    let clock = graph.clock("clock");
    let x0 = graph.input("x0", Shape::batch(&[2]));
    let result = loss.loss(&mut graph, &Batch::new(&sde, model.as_ref(), x0, clock));
    graph.output("t", result.t);
    let mut store = Store::new();
    store.upload_words("clock", &[5, 0, 1, 2]);
    let count = 20_000;
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut store, &[("x0", &vec![0.0; 2 * count])], count).unwrap();
    let t = program.output("t");
    let (mean, least, most) = t
        .iter()
        .fold((0.0, 1.0f64, 0.0f64), |(mean, least, most), t| (mean + t / count as f64, least.min(*t), most.max(*t)));
    assert!((0.25..0.251).contains(&least) && most <= 1.0 && most > 0.999, "{least} to {most}");
    assert!((mean - 0.625).abs() < 4.0 * 0.75 / (12.0 * count as f64).sqrt(), "{mean}");
}

#[test]
fn half_of_the_images_are_mirrored_exactly() {
    for image @ [height, width, channels] in [[2, 3, 2], [3, 4, 1]] {
        let mut graph = Graph::new();
        let size = height * width * channels;
        let x = graph.input("x", Shape::batch(&[size]));
        let clock = graph.clock(training_states::CLOCK);
        let y = flip_half(&mut graph, x, clock, image);
        graph.output("y", y);
        let mut program = Program::<f32>::new(&graph, "params");
        let n = 200;
        let x: Vec<f32> = (0..n * size).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut store = Store::new();
        let mut mirrored_in_step = |step: u32| -> Vec<bool> {
            store.upload_words(training_states::CLOCK, &[step, 0, 8, 0]);
            program.run(&mut store, &[("x", &x)], n).unwrap();
            let samples = x.chunks(size).zip(program.output("y").chunks(size));
            let is_mirrored = |(x, y): (&[f32], &[f32])| {
                let mirror: Vec<f32> = (0..size)
                    .map(|i| {
                        let (line, pixel, channel) = (i / channels / width, i / channels % width, i % channels);
                        x[(line * width + width - 1 - pixel) * channels + channel]
                    })
                    .collect();
                assert!(y == mirror || y == x, "an image or its mirror, to the bit");
                y == mirror
            };
            samples.map(is_mirrored).collect()
        };
        let first = mirrored_in_step(0);
        let share = first.iter().filter(|mirrored| **mirrored).count() as f64 / n as f64;
        // 4 standard errors.
        assert!((share - 0.5).abs() < 4.0 * 0.5 / (n as f64).sqrt(), "{share}");
        assert_ne!(first, mirrored_in_step(1), "another step mirrors others");
    }
}
