//! Samplers whose samples choose their own steps, in f64 on the CPU executor.

use crate::common::sampling::{self, Law, exact};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Graph, Shape};
use tweedie::sampler::brownian_tree::{BrownianTree, TICKS};
use tweedie::sampler::dormand_prince::DormandPrince;
use tweedie::sampler::{AdaptiveSampler, AdaptiveSde, Rk45, adaptive_begin, adaptive_step, denoised_end, states};
use tweedie::sde::{RectifiedFlow, Sde, Ve, Vp};

fn rk45(tolerance: f64) -> Rk45 {
    Rk45 { solver: DormandPrince { absolute: tolerance, relative: tolerance } }
}

fn adaptive_sde(tolerance: f64) -> AdaptiveSde {
    AdaptiveSde { absolute: tolerance, relative: tolerance }
}

/// Paths of a tree at these ticks, for `samples` samples from `first` of `dims` coordinates: `[tick][sample * dims + coordinate]`.
fn paths(tree: BrownianTree, ticks: &[f64], first: u32, samples: usize, dims: usize) -> Vec<Vec<f64>> {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let tick = graph.input("tick", Shape::batch(&[1]));
    let path = tree.at(&mut graph, clock, tick, &Shape::batch(&[dims]));
    graph.output("path", path);
    let mut store = Store::<f64>::new();
    store.upload_words("clock", &[0, first, 11, 0]);
    let mut program = Program::new(&graph, "params");
    let at = |tick: &f64| {
        program.run(&mut store, &[("tick", &vec![*tick; samples])], samples).unwrap();
        program.output("path").to_vec()
    };
    ticks.iter().map(at).collect()
}

/// Runs to the end and `more` tries beyond, from `x` as samples `first..`.
fn solve(sampler: &dyn AdaptiveSampler, sde: &dyn Sde, law: &Law, x: &[f64], first: u32, more: usize) -> Store<f64> {
    let mut store = Store::new();
    law.upload(&mut store);
    store.upload(states::X, x);
    store.upload_words(states::CLOCK, &[0, first, 11, 0]);
    let begin = adaptive_begin(sampler, sde, 1, |_| exact(law.mixture(), sde));
    Program::new(&begin, "params").run(&mut store, &[], x.len()).unwrap();
    let step = adaptive_step(sampler, sde, 1, |_| exact(law.mixture(), sde));
    let mut step = Program::new(&step, "params");
    let mut left = x.len() as f64;
    for _ in 0..20_000 {
        if left == 0.0 {
            break;
        }
        step.run(&mut store, &[], x.len()).unwrap();
        left = store.get(states::LEFT).unwrap()[0];
    }
    assert_eq!(left, 0.0, "{}: no end", sampler.name());
    assert!(store.get(states::FAULT).unwrap().iter().all(|fault| *fault == 0.0), "{}", sampler.name());
    for _ in 0..more {
        step.run(&mut store, &[], x.len()).unwrap();
    }
    store
}

#[test]
fn rk45_ends_at_the_quantiles_of_the_data() {
    let law = Law::two_modes();
    let wide = Ve { sigma_min: 0.05, sigma_max: 80.0, t_min: 1e-3 };
    // The last of them has no signal where it starts.
    for sde in [&Vp::default() as &dyn Sde, &wide, &RectifiedFlow::default()] {
        let x: Vec<f64> = [0.1, 0.5, 1.3, -0.7].iter().map(|z| z * sde.prior_sigma()).collect();
        let ends: Vec<f64> = x.iter().map(|x| law.transported(sde, *x)).collect();
        let mut tries = 0.0;
        for tolerance in [1e-3, 1e-5, 1e-7, 1e-9] {
            let store = solve(&rk45(tolerance), sde, &law, &x, 0, 0);
            let found = store.get(states::X).unwrap().iter().zip(&ends);
            let error = found.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let most = store.get(states::TRIES).unwrap().iter().copied().fold(0.0, f64::max);
            println!("{} tolerance {tolerance}: error {error:.2e} after {most} tries", sde.name());
            assert!(error < 30.0 * tolerance, "{}: error {error} at {tolerance}", sde.name());
            assert!(most > tries, "a smaller tolerance takes more steps");
            tries = most;
        }
    }
}

#[test]
fn what_has_arrived_stays_and_each_sample_is_its_own() {
    let (sde, law) = (Vp::default(), Law::two_modes());
    let x = [0.1, 2.2, -0.4, 0.02, -1.1];
    let samplers: [&dyn AdaptiveSampler; 2] = [&rk45(1e-4), &adaptive_sde(3e-3)];
    for sampler in samplers {
        let of = |store: &Store<f64>, name: &str| store.get(name).unwrap().to_vec();
        let all = solve(sampler, &sde, &law, &x, 0, 0);
        let tries = of(&all, states::TRIES);
        assert!(tries.iter().any(|tried| *tried != tries[0]), "{}: they differ: {tries:?}", sampler.name());
        let longer = solve(sampler, &sde, &law, &x, 0, 40);
        for name in [states::X, states::TIME, states::TRIES] {
            assert_eq!(of(&all, name), of(&longer, name), "{} {name}", sampler.name());
        }
        let part = solve(sampler, &sde, &law, &x[2..], 2, 0);
        assert_eq!(of(&all, states::X)[2..], of(&part, states::X), "{}", sampler.name());
    }
}

#[test]
fn the_end_without_noise_is_the_mean_of_the_data() {
    // Of N(0, ¼): alpha ¼ / (alpha² ¼ + sigma²) x.
    let sde = Vp { t_min: 0.05, ..Vp::default() };
    let mut store = Store::<f64>::new();
    let law = Law::gaussian(0.5);
    law.upload(&mut store);
    store.upload(states::X, &[0.4, -1.0]);
    let end = denoised_end(&sde, 1, |_| exact(law.mixture(), &sde));
    Program::new(&end, "params").run(&mut store, &[], 2).unwrap();
    let at = sde.at(sde.t_min());
    let factor = at.alpha * 0.25 / (at.alpha.powi(2) * 0.25 + at.sigma.powi(2));
    for (found, x) in store.get(states::X).unwrap().iter().zip([0.4, -1.0]) {
        assert!((found - factor * x).abs() < 1e-12, "{found}");
    }
}

#[test]
fn the_increments_of_a_tree_are_those_of_brownian_motion() {
    let (samples, dims) = (5000, 4);
    let count = (samples * dims) as f64;
    // In all sizes, on both sides of the tree's middle, with ends that are and are not in the middle of anything.
    let ticks = [0.0, 1.0, 2.0, 7.0, 1000.0, 1003.0, 16384.0, 32767.0, 32768.0, 50000.0, 65535.0, TICKS];
    for growth in [0.0, 6.0, -2.0] {
        let tree = BrownianTree { growth };
        let at = paths(tree, &ticks, 0, samples, dims);
        assert!(at[0].iter().all(|b| *b == 0.0));
        let mut increments = Vec::new();
        for (pair, ends) in at.windows(2).zip(ticks.windows(2)) {
            let variance = tree.variance(ends[1] / TICKS) - tree.variance(ends[0] / TICKS);
            increments.push(pair[1].iter().zip(&pair[0]).map(|(b, a)| (b - a) / variance.sqrt()).collect::<Vec<f64>>());
        }
        for (i, a) in increments.iter().enumerate() {
            for (j, b) in increments.iter().enumerate().take(i + 1) {
                let covariance = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / count;
                let (wanted, deviation) = if i == j { (1.0, 2f64.sqrt()) } else { (0.0, 1.0) };
                let off = (covariance - wanted).abs() / (deviation / count.sqrt());
                assert!(off < 4.5, "growth {growth}, increments {i} and {j}: {covariance}, {off:.1} standard errors");
            }
        }
        // Between ticks a straight line.
        let [a, middle, b] = &paths(tree, &[7.0, 7.25, 8.0], 0, 3, 2)[..] else { panic!() };
        for ((a, middle), b) in a.iter().zip(middle).zip(b) {
            assert!((middle - (0.75 * a + 0.25 * b)).abs() < 1e-12);
        }
        // Sample 4990 is the same wherever the batch begins, and the seed has a say.
        assert_eq!(paths(tree, &[1003.0], 4990, 3, dims)[0][..12], at[5][4990 * dims..4993 * dims]);
    }
}

/// The mean of the data given x = alpha x_0 + sigma epsilon.
fn denoised(law: &Law, at: tweedie::sde::Marginal, x: f64) -> f64 {
    let variance = (at.alpha * law.width).powi(2) + at.sigma.powi(2);
    let logs = law.means.iter().map(|mean| -0.5 * (x - at.alpha * mean).powi(2) / variance);
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    let parts = law.means.iter().zip(logs).map(|(mean, log)| {
        let gain = at.alpha * law.width.powi(2) / variance;
        let weight = (log - largest).exp();
        (weight, weight * (mean + gain * (x - at.alpha * mean)))
    });
    let (weights, means) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    means / weights
}

#[test]
fn adaptive_sde_follows_its_path_whatever_the_tolerance() {
    let (sde, law, count) = (Vp { t_min: 0.02, ..Vp::default() }, Law::two_modes(), 64);
    let x: Vec<f64> = (0..count).map(|i| 3.0 * (f64::from(i) + 0.5) / f64::from(count) - 1.5).collect();
    // The same equation, dY = denoised ds + dB in s = alpha²/sigma² with Y = alpha x / sigma², in fine Euler-Maruyama steps of
    // the tree's own path.
    let [start, end] = [sde.t_max(), sde.t_min()].map(|t| sde.at(t).log_snr);
    let tree = BrownianTree { growth: end - start };
    let ticks: Vec<f64> = (0..=1 << 13).map(|i| f64::from(i) * 8.0).collect();
    let path = paths(tree, &ticks, 0, x.len(), 1);
    let log_snr = |tick: f64| start + tick / TICKS * tree.growth;
    let level = |tick: f64| sde.at(sde.t_of_noise_to_signal((-0.5 * log_snr(tick)).exp()).unwrap_or(sde.t_max()));
    let unit = (0.5 * start).exp() * tree.growth.sqrt();
    let of_y = |at: tweedie::sde::Marginal| at.sigma.powi(2) / at.alpha;
    let mut y: Vec<f64> = x.iter().map(|x| x / of_y(sde.at(1.0))).collect();
    for (ends, path) in ticks.windows(2).zip(path.windows(2)) {
        let (at, ds) = (level(ends[0]), log_snr(ends[1]).exp() - log_snr(ends[0]).exp());
        for (i, y) in y.iter_mut().enumerate() {
            *y += denoised(&law, at, *y * of_y(at)) * ds + unit * (path[1][i] - path[0][i]);
        }
    }
    let truth: Vec<f64> = y.iter().map(|y| y * of_y(level(TICKS))).collect();
    let mut last = (f64::INFINITY, 0.0);
    for tolerance in [3e-2, 1e-3, 1e-4] {
        let store = solve(&adaptive_sde(tolerance), &sde, &law, &x, 0, 0);
        let found = store.get(states::X).unwrap().iter().zip(&truth);
        // In the median: next to the border between the modes a path may take the other one.
        let mut errors: Vec<f64> = found.map(|(a, b)| (a - b).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let tries = store.get(states::TRIES).unwrap().iter().sum::<f64>() / f64::from(count);
        let (middle, high) = (errors[errors.len() / 2], errors[errors.len() * 9 / 10]);
        println!("tolerance {tolerance}: median error {middle:.2e}, 90 % {high:.2e}, {tries} tries");
        assert!(middle < 0.5 * last.0 && tries > last.1, "tolerance {tolerance}: {errors:?}");
        last = (middle, tries);
    }
    assert!(last.0 < 5e-3, "{}", last.0);
}

#[test]
fn adaptive_sde_has_the_law_of_the_data() {
    // Far too coarse for a path, with many refusals: these must not show in the law.
    let (sde, law, n) = (Vp { t_min: 0.02, ..Vp::default() }, Law::two_modes(), 4000);
    let prior = paths(BrownianTree { growth: 0.0 }, &[TICKS], 100_000, n, 1).remove(0);
    for (tolerance, bias) in [(1e-1, 0.02), (1e-2, 0.005)] {
        let store = solve(&adaptive_sde(tolerance), &sde, &law, &prior, 0, 0);
        let mut x = store.get(states::X).unwrap().to_vec();
        x.sort_by(f64::total_cmp);
        let at = sde.at(sde.t_min());
        let deviation = (at.alpha * law.width).hypot(at.sigma);
        let distribution = |x: f64| {
            let of = |mean: &f64| sampling::normal_distribution((x - at.alpha * mean) / deviation);
            law.means.iter().map(of).sum::<f64>() / law.means.len() as f64
        };
        let far = |(i, x): (usize, &f64)| (distribution(*x) - (i as f64 + 0.5) / n as f64).abs();
        let distance = x.iter().enumerate().map(far).fold(0.0, f64::max);
        let tries = store.get(states::TRIES).unwrap().iter().sum::<f64>() / n as f64;
        println!("tolerance {tolerance}: Kolmogorov distance {distance:.4}, {tries} tries");
        // Kolmogorov's 1.63 / √n is exceeded once in a hundred times.
        assert!(distance < 1.63 / (n as f64).sqrt() + bias, "tolerance {tolerance}: {distance}");
    }
}

#[test]
fn a_sample_that_cannot_be_taken_on_is_a_fault() {
    let (sde, law) = (Vp::default(), Law::two_modes());
    let samplers: [&dyn AdaptiveSampler; 2] = [&rk45(1e-4), &adaptive_sde(1e-2)];
    for sampler in samplers {
        let mut store = Store::<f64>::new();
        law.upload(&mut store);
        store.upload(states::X, &[0.3, f64::NAN]);
        store.upload_words(states::CLOCK, &[0, 0, 11, 0]);
        let begin = adaptive_begin(sampler, &sde, 1, |_| exact(law.mixture(), &sde));
        Program::new(&begin, "params").run(&mut store, &[], 2).unwrap();
        let step = adaptive_step(sampler, &sde, 1, |_| exact(law.mixture(), &sde));
        let mut step = Program::new(&step, "params");
        for _ in 0..300 {
            step.run(&mut store, &[], 2).unwrap();
        }
        let of = |name: &str| store.get(name).unwrap().to_vec();
        assert_eq!((of(states::LEFT), of(states::FAULT)), (vec![0.0], vec![0.0, 1.0]), "{}", sampler.name());
        assert!(of(states::X)[0].is_finite() && of(states::TIME)[1].is_finite(), "{}", sampler.name());
    }
}
