//! Weightings and the drawing of times against published values and closed forms, in f64 on the CPU executor.

use std::f64::consts::FRAC_1_SQRT_2;

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, Storage, Tape};
use tweedie::loss::{
    Batch, Denoising, EvaluationSpec, Objective, Reduce, StoredDataset, TimeSampling, Weighting, WeightingKind,
    evaluation_states, evaluation_step, training_states,
};
use tweedie::nn::ExactMixture;
use tweedie::sde::{Edm, Exact, Model, PROCESSES, Quantity, RectifiedFlow, Sde, SubVp, Ve, Vp};

/// An expression of time, at `t`.
fn at(expr: &Expr, t: f64) -> f64 {
    Tape::new(std::slice::from_ref(expr)).evaluate(&[t])[0]
}

fn weight(weighting: Weighting, quantity: Quantity, sde: &dyn Sde, t: f64) -> f64 {
    at(&weighting.of(quantity, sde, &Expr::input(0)), t)
}

#[test]
fn weights_of_snr_are_the_published_ones() {
    // SNR; min-SNR with gamma = 5 for epsilon, denoised and velocity; P2 with k = 1 for gamma = 0.5 and 1.
    let table = [
        (1e-3, 1.0, 0.001, 0.000999001, 0.9995, 0.999001),
        (0.1, 1.0, 0.1, 0.0909091, 0.953463, 0.909091),
        (1.0, 1.0, 1.0, 0.5, FRAC_1_SQRT_2, 0.5),
        (5.0, 1.0, 5.0, 0.833333, 0.408248, 0.166667),
        (100.0, 0.05, 5.0, 0.049505, 0.0995037, 0.00990099),
        (1e4, 0.0005, 5.0, 0.00049995, 0.0099995, 0.00009999),
    ];
    let sde = Vp::default();
    let near = |value: f64, expected: f64| assert!((value / expected - 1.0).abs() < 6e-6, "{value}, {expected}");
    for (snr, epsilon, denoised, velocity, p2_half, p2) in table {
        let t = sde.t_of_noise_to_signal(f64::powf(snr, -0.5)).unwrap();
        let min_snr = WeightingKind::MinSnr.into();
        near(weight(min_snr, Quantity::Epsilon, &sde, t), epsilon);
        near(weight(min_snr, Quantity::Denoised, &sde, t), denoised);
        near(weight(min_snr, Quantity::Velocity, &sde, t), velocity);
        near(weight(Weighting { p2_gamma: 0.5, ..WeightingKind::P2.into() }, Quantity::Epsilon, &sde, t), p2_half);
        near(weight(Weighting { p2_gamma: 1.0, ..WeightingKind::P2.into() }, Quantity::Epsilon, &sde, t), p2);
    }
}

#[test]
fn the_weights_of_karras_are_the_published_ones() {
    let table =
        [(0.002, 250004.0), (0.1, 104.0), (0.3, 15.111111), (0.5, 8.0), (1.0, 5.0), (10.0, 4.01), (80.0, 4.0001562)];
    let sde = Edm::default();
    for (sigma, expected) in table {
        let t = sde.t_of_sigma(sigma).unwrap();
        let edm = weight(Weighting { sigma_data: 0.5, ..WeightingKind::Edm.into() }, Quantity::Denoised, &sde, t);
        assert!((edm / expected - 1.0).abs() < 2e-8, "{edm}, {expected}");
        // Crowson et al. weigh the error of the output, of which edm's weight is 1.
        let soft =
            weight(Weighting { sigma_data: 0.5, ..WeightingKind::SoftMinSnr.into() }, Quantity::Denoised, &sde, t);
        let expected = (sigma * 0.5 / (sigma * sigma + 0.25)).powi(2);
        assert!((soft / edm / expected - 1.0).abs() < 1e-9, "{soft}, {expected}");
    }
}

#[test]
fn weights_of_one_error_in_four_quantities_agree() {
    // The errors that an error of 1 in epsilon makes in the others.
    let all = [
        WeightingKind::Sigma2.into(),
        WeightingKind::Likelihood.into(),
        WeightingKind::Uniform.into(),
        Weighting { sigma_data: 0.6, ..WeightingKind::Edm.into() },
        WeightingKind::MinSnr.into(),
        Weighting { sigma_data: 0.6, ..WeightingKind::SoftMinSnr.into() },
        Weighting { p2_gamma: 0.7, ..WeightingKind::P2.into() },
        Weighting { sigmoid_bias: 1.0, ..WeightingKind::Sigmoid.into() },
    ];
    for (name, process) in PROCESSES {
        let sde = process();
        for t in [0.1, 0.5, 0.9] {
            let marginal = sde.at(t);
            let (alpha, sigma) = (marginal.alpha, marginal.sigma);
            let constants = [alpha, sigma].map(Expr::constant);
            let [p, q] = sde.velocity(&constants[0], &constants[1]).map(|expr| expr.as_constant().unwrap());
            let errors = [
                (Quantity::Score, -1.0 / sigma),
                (Quantity::Denoised, -sigma / alpha),
                (Quantity::Velocity, p * (-sigma / alpha) + q),
            ];
            for weighting in all {
                let epsilon = weight(weighting, Quantity::Epsilon, sde.as_ref(), t);
                assert!(epsilon > 0.0);
                for (quantity, error) in errors {
                    let ratio = weight(weighting, quantity, sde.as_ref(), t) * error * error / epsilon;
                    assert!((ratio - 1.0).abs() < 1e-9, "{name} {weighting:?} {quantity:?} at {t}: {ratio}");
                }
            }
            // Per unit of ln SNR, whose rate is g² / sigma².
            let rate = marginal.diffusion_squared / (sigma * sigma);
            let sigmoid = weight(
                Weighting { sigmoid_bias: 1.0, ..WeightingKind::Sigmoid.into() },
                Quantity::Epsilon,
                sde.as_ref(),
                t,
            );
            let expected = rate / (1.0 + (marginal.log_snr - 1.0).exp());
            assert!((sigmoid / expected - 1.0).abs() < 1e-9, "{name} at {t}: {sigmoid}, {expected}");
        }
    }
}

#[test]
fn weights_stay_finite_where_nothing_is_left_of_the_data() {
    let sde = RectifiedFlow::default();
    for weighting in [
        WeightingKind::Sigma2.into(),
        WeightingKind::Likelihood.into(),
        Weighting { sigma_data: 0.5, ..WeightingKind::Edm.into() },
        WeightingKind::MinSnr.into(),
        Weighting { sigma_data: 0.5, ..WeightingKind::SoftMinSnr.into() },
        Weighting { p2_gamma: 1.0, ..WeightingKind::P2.into() },
        Weighting { sigmoid_bias: 0.0, ..WeightingKind::Sigmoid.into() },
    ] {
        let quantity = weighting.quantity(&sde);
        let [end, before] = [1.0, 1.0 - 1e-4].map(|t| weight(weighting, quantity, &sde, t));
        assert!(end.is_finite() && before < 10.0, "{weighting:?}: {end} {before}");
        assert!((end - before).abs() < 0.01, "{weighting:?}: {before} to {end}");
    }
}

#[test]
fn importance_has_the_published_normalisers() {
    let sde = Vp::default();
    for (t_min, expected) in [(1e-5, 23.8644724), (1e-3, 19.1653867)] {
        let z = TimeSampling::Importance.normaliser(&sde, t_min) * (1.0 - t_min);
        assert!((z - expected).abs() < 1e-7, "{z}, {expected}");
        // It is the integral of g² / sigma²: by Simpson's rule in ln t.
        let n = 4000;
        let f = |i: usize| {
            let t = (t_min.ln() * (1.0 - i as f64 / n as f64)).exp();
            let at = sde.at(t);
            t * at.diffusion_squared / at.sigma.powi(2)
                * [2.0, 4.0][i % 2]
                * if i.is_multiple_of(n) { 0.5 } else { 1.0 }
        };
        let integral = (0..=n).map(f).sum::<f64>() * -t_min.ln() / (3 * n) as f64;
        assert!((integral - expected).abs() < 1e-6, "{integral}");
    }
}

#[test]
fn times_are_found_again_from_the_log_snr() {
    for (name, process) in PROCESSES {
        let sde = process();
        let inverse = sde.t_of_log_snr(&Expr::input(0));
        for share in [1e-4, 0.01, 0.3, 0.6, 0.95] {
            let t = share * sde.t_max();
            let found = at(&inverse, sde.at(t).log_snr);
            assert!((found - t).abs() < 2e-9, "{name}: {found} for {t}");
        }
    }
}

/// `count` times of a step, in f64.
fn draw(time: TimeSampling, sde: &dyn Sde, t_min: f64, count: usize) -> Vec<f64> {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let drawn = time.draw(&mut graph, sde, t_min, clock);
    graph.output("t", drawn.t);
    let mut store = Store::new();
    store.upload_words("clock", &[5, 0, 1, 2]);
    let strata: Vec<f64> = TimeSampling::strata(count).iter().map(|place| f64::from(*place)).collect();
    store.upload(training_states::STRATA, &strata);
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut store, &[], count).unwrap();
    program.output("t").to_vec()
}

/// Kolmogorov's distance of values that ought to be uniform on (0, 1).
fn distance(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, u)| (u - i as f64 / n).abs().max((u - (i + 1) as f64 / n).abs()))
        .fold(0.0, f64::max)
}

#[test]
fn times_have_the_stated_law() {
    let count = 20_000;
    // Kolmogorov's test: 2 / √n is exceeded once in 1500.
    let limit = 2.0 / (count as f64).sqrt();
    for (name, process) in PROCESSES {
        let sde = process();
        let (low, high) = (1e-3, sde.t_max());
        let even =
            distance(draw(TimeSampling::Uniform, sde.as_ref(), low, count).iter().map(|t| (t - low) / (high - low)));
        assert!(even < limit, "{name}: {even}");
        let (most, least) = (sde.at(low).log_snr, sde.at(high).log_snr);
        let times = draw(TimeSampling::Importance, sde.as_ref(), low, count);
        assert!(times.iter().all(|t| (low..=high).contains(t)));
        let important = distance(times.iter().map(|t| (most - sde.at(*t).log_snr) / (most - least)));
        assert!(important < limit, "{name}: {important}");
    }
    // ln sigma of mean −1.2 and deviation 1.2 is all but surely inside the range of this process.
    let sde = Edm::default();
    let times = draw(TimeSampling::LogNormal { mean: -1.2, std: 1.2 }, &sde, 0.0, count);
    let z: Vec<f64> = times.iter().map(|t| (sde.at(*t).sigma.ln() + 1.2) / 1.2).collect();
    let moment = |k: i32| z.iter().map(|z| z.powi(k)).sum::<f64>() / count as f64;
    for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        assert!((moment(k) - expected).abs() < 4.0 * f64::sqrt(variance / count as f64), "{k}: {}", moment(k));
    }
}

#[test]
fn stratified_times_have_one_in_each_part_of_time_however_a_step_is_split() {
    let (sde, t_min, batch) = (Vp::default(), 1e-3, 64);
    let whole = draw(TimeSampling::Stratified { batch, micro_batches: 1 }, &sde, t_min, batch);
    let mut places: Vec<usize> = whole.iter().map(|t| ((t - t_min) / (1.0 - t_min) * batch as f64) as usize).collect();
    places.sort_unstable();
    assert_eq!(places, (0..batch).collect::<Vec<_>>());

    let time = TimeSampling::Stratified { batch, micro_batches: 4 };
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let drawn = time.draw(&mut graph, &sde, t_min, clock);
    graph.output("t", drawn.t);
    let mut store = Store::new();
    store.upload(
        training_states::STRATA,
        &TimeSampling::strata(batch).iter().map(|place| f64::from(*place)).collect::<Vec<_>>(),
    );
    let mut program = Program::<f64>::new(&graph, "params");
    let mut split = Vec::new();
    for micro_batch in 0..4 {
        store.upload_words("clock", &[5, micro_batch * 16, 1, 2]);
        program.run(&mut store, &[], 16).unwrap();
        split.extend_from_slice(program.output("t"));
    }
    assert_eq!(split, whole);
}

/// The score of N(0, 0.8² I) in two dimensions, and one that is wrong by 5 %.
fn model(sde: &dyn Sde, factor: f64) -> Box<dyn Model + '_> {
    let of = move |wanted: Quantity| {
        move |graph: &mut Graph, x, alpha, sigma| {
            let [x_, alpha_, sigma_] = [0, 1, 2].map(Expr::input);
            let variance = alpha_.square() * 0.64 + sigma_.square();
            let score = -(&x_ / variance) * factor;
            let denoised = (&x_ + sigma_.square() * &score) / alpha_;
            graph.map(&[x, alpha, sigma], if wanted == Quantity::Score { &score } else { &denoised })
        }
    };
    Box::new(Exact { sde, score: of(Quantity::Score), denoised: of(Quantity::Denoised) })
}

/// Mean and variance over the samples of a step of the loss of `model`.
fn estimate(loss: &Denoising, sde: &dyn Sde, factor: f64, count: usize) -> (f64, f64) {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let z = graph.normal(clock, "data", Shape::batch(&[2]));
    let x0 = graph.scale(z, 0.8);
    let result = loss.loss(&mut graph, &Batch::new(sde, model(sde, factor).as_ref(), x0, clock));
    graph.output("per_sample", result.per_sample);
    let mut store = Store::new();
    store.upload_words("clock", &[2, 0, 3, 4]);
    let strata: Vec<f64> = TimeSampling::strata(count).iter().map(|place| f64::from(*place)).collect();
    store.upload(training_states::STRATA, &strata);
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut store, &[], count).unwrap();
    let losses = program.output("per_sample");
    let mean = losses.iter().sum::<f64>() / count as f64;
    (mean, losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count as f64)
}

#[test]
fn how_times_are_drawn_does_not_change_the_expected_loss() {
    let count = 20_000;
    let processes: [&dyn Sde; 4] = [&Vp::default(), &SubVp::default(), &Ve::default(), &Edm::default()];
    for sde in processes {
        for weighting in [
            WeightingKind::Sigma2.into(),
            WeightingKind::Likelihood.into(),
            Weighting { sigmoid_bias: 0.0, ..WeightingKind::Sigmoid.into() },
            WeightingKind::MinSnr.into(),
        ] {
            let of = |time| {
                let loss = Denoising { weighting, time, t_min: 1e-3, reduce: Reduce::Sum };
                estimate(&loss, sde, 1.05, count)
            };
            let (even, even_variance) = of(TimeSampling::Uniform);
            for time in [TimeSampling::Stratified { batch: count, micro_batches: 1 }, TimeSampling::Importance] {
                let (mean, variance) = of(time);
                let error = ((even_variance + variance) / count as f64).sqrt();
                assert!((mean - even).abs() < 4.0 * error, "{} {weighting:?} {time:?}: {mean}, {even}", sde.name());
            }
        }
    }
}

#[test]
fn importance_lowers_the_variance_of_the_likelihood_weighted_loss() {
    // As Song, Durkan, Murray and Ermon (2021) draw it for. The loss of the exact score is within (0, D / 2) times the
    // weight, so that its variance is that of the weight.
    let sde = Vp::default();
    let variance = |time| {
        let loss = Denoising { weighting: WeightingKind::Likelihood.into(), time, t_min: 1e-5, reduce: Reduce::Sum };
        estimate(&loss, &sde, 1.0, 20_000).1
    };
    let (even, important) = (variance(TimeSampling::Uniform), variance(TimeSampling::Importance));
    assert!(important < 0.05 * even, "{even}, {important}");
}

#[test]
fn the_loss_in_velocity_is_the_loss_in_epsilon() {
    // edm is taken in velocity; in epsilon the weight is 1 + (sigma / alpha sigma_data)².
    for sde in [&Vp::default() as &dyn Sde, &Edm::default(), &RectifiedFlow::default()] {
        let mut graph = Graph::new();
        let [x0, noise] = ["x0", "noise"].map(|name| graph.input(name, Shape::batch(&[2])));
        let t = graph.input("t", Shape::batch(&[1]));
        let clock = graph.clock("clock");
        let of = |graph: &mut Graph, weighting| {
            let loss = Denoising { weighting, ..Denoising::default() };
            loss.loss_at(graph, &Batch::new(sde, model(sde, 1.05).as_ref(), x0, clock), t, noise).per_sample
        };
        let edm = of(&mut graph, Weighting { sigma_data: 0.5, ..WeightingKind::Edm.into() });
        let sigma2 = of(&mut graph, WeightingKind::Sigma2.into());
        graph.output("edm", edm);
        graph.output("sigma2", sigma2);
        let mut program = Program::<f64>::new(&graph, "params");
        for t in [0.05, 0.5, 0.95] {
            program.run(&mut Store::new(), &[("x0", &[0.3, -1.0]), ("noise", &[0.5, 1.5]), ("t", &[t])], 1).unwrap();
            let factor = 1.0 + (sde.at(t).noise_to_signal() / 0.5).powi(2);
            let (edm, sigma2) = (program.output("edm")[0], program.output("sigma2")[0]);
            assert!((edm / sigma2 / factor - 1.0).abs() < 1e-9, "{} at {t}: {edm}, {sigma2}", sde.name());
        }
    }
}

#[test]
fn the_irreducible_part_is_the_loss_of_the_exact_score() {
    // Data N(0, 0.8²): the best epsilon is sigma x / v with v = 0.64 alpha² + sigma², and leaves 0.64 alpha² / v.
    let sde = Vp::default();
    let law = ExactMixture { components: 1, dims: 2 };
    let exact = law.model(&sde);
    let rows = 1000;
    let data = StoredDataset { rows, dims: 2, storage: Storage::F32 };
    let loss = Denoising::default();
    let spec = EvaluationSpec { sde: &sde, loss: &loss, data, exact: Some(&exact), dequantise: None, times: 2 };
    let graph = evaluation_step(&spec, |_| model(&sde, 1.3));
    let mut store = Store::<f64>::new();
    ExactMixture::states(&[1.0], &[0.0, 0.0], &[0.8, 0.8]).iter().for_each(|(name, values)| store.upload(name, values));
    // Every row once with each sign, so that the mean square is exact.
    let x: Vec<f64> = (0..rows)
        .flat_map(|i| [if i % 2 == 0 { 0.8 } else { -0.8 }, if i / 2 % 2 == 0 { 0.8 } else { -0.8 }])
        .collect();
    store.upload(evaluation_states::DATASET, &x);
    let levels = [0.1, 0.5];
    store.upload(evaluation_states::TIMES, &levels);
    store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
    let count = 40_000;
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut store, &[], count).unwrap();
    let (least, losses) = (program.output("irreducible"), program.output("per_sample"));
    for (level, t) in levels.into_iter().enumerate() {
        let at = sde.at(t);
        let v = 0.64 * at.alpha.powi(2) + at.sigma.powi(2);
        let expected = 0.64 * at.alpha.powi(2) / v;
        let mean = |values: &[f64]| values.iter().skip(level).step_by(2).sum::<f64>() / (count / 2) as f64;
        assert!((mean(least) / expected - 1.0).abs() < 0.03, "{t}: {}, {expected}", mean(least));
        // What is above it is the error of the score: 0.3 of epsilon's, 0.09 sigma² / v.
        // 4 standard errors, nearly all of them from twice the product of that error and what no model knows.
        let share = at.sigma.powi(2) / v;
        let error = mean(losses) - mean(least) - 0.09 * share;
        let standard_error = 0.6 * (share * (1.0 - share) / count as f64).sqrt();
        assert!(error.abs() < 4.0 * standard_error && 4.0 * standard_error < 0.09 * share, "{t}: {error}");
    }
}

#[test]
fn held_out_losses_are_of_values_that_are_spread_as_in_training() {
    // Data 0, spread over a width of 1.2: of variance 0.12. The score of N(0, 0.8²) gives epsilon = k x with k = sigma / v,
    // whose error k (alpha x_0 + sigma epsilon) − epsilon has the mean square k² alpha² 0.12 + (k sigma − 1)².
    let sde = Vp::default();
    let data = StoredDataset { rows: 10, dims: 2, storage: Storage::F32 };
    let count = 40_000;
    for (dequantise, variance) in [(None, 0.0), (Some(1.2), 0.12)] {
        let spec = EvaluationSpec { sde: &sde, loss: &Denoising::default(), data, exact: None, dequantise, times: 1 };
        let graph = evaluation_step(&spec, |_| model(&sde, 1.0));
        let mut store = Store::<f64>::new();
        store.upload(evaluation_states::DATASET, &[0.0; 20]);
        store.upload(evaluation_states::TIMES, &[0.1]);
        store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store, &[], count).unwrap();
        let losses = program.output("per_sample");
        let mean = losses.iter().sum::<f64>() / count as f64;
        let error = (losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (count as f64).powi(2)).sqrt();
        let at = sde.at(0.1);
        let k = at.sigma / (0.64 * at.alpha.powi(2) + at.sigma.powi(2));
        let expected = (k * at.alpha).powi(2) * variance + (k * at.sigma - 1.0).powi(2);
        assert!((mean - expected).abs() < 4.0 * error && error < 0.01, "{dequantise:?}: {mean} ± {error}, {expected}");
    }
}
