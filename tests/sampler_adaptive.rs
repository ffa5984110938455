//! Samplers whose samples choose their own steps, in f64 on the CPU executor.

#[path = "common/sampling.rs"]
mod sampling;

use sampling::{Law, exact};
use tweedie::cpu::{Program, Store};
use tweedie::sampler::adaptive::names as path;
use tweedie::sampler::dormand_prince::DormandPrince;
use tweedie::sampler::{AdaptiveSampler, Rk45, adaptive_begin, adaptive_step, denoised_end, names};
use tweedie::sde::{RectifiedFlow, Sde, Ve, Vp};

fn rk45(tolerance: f64) -> Rk45 {
    Rk45 { solver: DormandPrince { absolute: tolerance, relative: tolerance } }
}

/// Runs to the end and `more` tries beyond, from `x` as samples `first..`.
fn solve(sampler: &dyn AdaptiveSampler, sde: &dyn Sde, law: &Law, x: &[f64], first: u32, more: usize) -> Store<f64> {
    let mut store = Store::new();
    law.upload(&mut store);
    store.upload(names::X, x);
    store.upload_words(names::CLOCK, &[0, first, 11, 0]);
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
        left = store.get(path::LEFT).unwrap()[0];
    }
    assert_eq!(left, 0.0, "{}: no end", sampler.name());
    assert!(store.get(path::FAULT).unwrap().iter().all(|fault| *fault == 0.0), "{}", sampler.name());
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
            let found = store.get(names::X).unwrap().iter().zip(&ends);
            let error = found.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let most = store.get(path::TRIES).unwrap().iter().copied().fold(0.0, f64::max);
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
    let samplers: [&dyn AdaptiveSampler; 1] = [&rk45(1e-4)];
    for sampler in samplers {
        let of = |store: &Store<f64>, name: &str| store.get(name).unwrap().to_vec();
        let all = solve(sampler, &sde, &law, &x, 0, 0);
        let tries = of(&all, path::TRIES);
        assert!(tries.iter().any(|tried| *tried != tries[0]), "{}: they differ: {tries:?}", sampler.name());
        let longer = solve(sampler, &sde, &law, &x, 0, 40);
        for name in [names::X, path::TIME, path::TRIES] {
            assert_eq!(of(&all, name), of(&longer, name), "{} {name}", sampler.name());
        }
        let part = solve(sampler, &sde, &law, &x[2..], 2, 0);
        assert_eq!(of(&all, names::X)[2..], of(&part, names::X), "{}", sampler.name());
    }
}

#[test]
fn the_end_without_noise_is_the_mean_of_the_data() {
    // Of N(0, ¼): alpha ¼ / (alpha² ¼ + sigma²) x.
    let sde = Vp { t_min: 0.05, ..Vp::default() };
    let mut store = Store::<f64>::new();
    let law = Law::gaussian(0.5);
    law.upload(&mut store);
    store.upload(names::X, &[0.4, -1.0]);
    let end = denoised_end(&sde, 1, |_| exact(law.mixture(), &sde));
    Program::new(&end, "params").run(&mut store, &[], 2).unwrap();
    let at = sde.at(sde.t_min());
    let factor = at.alpha * 0.25 / (at.alpha.powi(2) * 0.25 + at.sigma.powi(2));
    for (found, x) in store.get(names::X).unwrap().iter().zip([0.4, -1.0]) {
        assert!((found - factor * x).abs() < 1e-12, "{found}");
    }
}
