//! Stochastic samplers against their formulas: paths with the same noise, and the laws of Gaussians.

use crate::cases::{Source, cases};
use crate::chains::{Chain, propagated};
use crate::common::experiments::{Samples, devices};
use crate::common::forward::{Forward, all};
use crate::mixture::{Mixture, ROUNDING, Sizes};

/// Few steps and many.
const STEPS: [usize; 2] = [6, 400];

fn chains(random: &mut Source) -> [Chain; 9] {
    [
        Chain::EulerMaruyama,
        Chain::ReverseDiffusion,
        Chain::Ancestral,
        Chain::Ddim { eta: random.between(0.1, 1.0) },
        Chain::Dpm2mSde { eta: random.between(0.1, 1.0) },
        Chain::Sra1,
        Chain::EdmStochastic {
            churn: random.between(1.0, 40.0),
            churn_min: 0.05,
            churn_max: 20.0,
            churn_noise: random.between(0.99, 1.01),
        },
        Chain::PredictorCorrector { snr: random.between(0.05, 0.2), corrector_steps: 1 + random.below(2) },
        Chain::AnnealedLangevin { step_size: random.between(0.05, 0.3), steps_per_level: 3 },
    ]
}

/// Processes for a chain: those with signal at the start, where it needs some.
fn process_for(random: &mut Source, chain: Chain) -> Forward {
    let needs_none =
        matches!(chain, Chain::EulerMaruyama | Chain::Ancestral | Chain::Ddim { .. } | Chain::Dpm2mSde { .. });
    let all: Vec<Forward> = all().into_iter().filter(|process| needs_none || !process.loses_all_signal()).collect();
    all[random.below(all.len())]
}

/// How times are spread: evenly in the log-SNR only where there is a signal.
fn spacing_for(random: &mut Source, process: &Forward) -> &'static str {
    ["linear", "arsinh", "log-snr"][random.below(if process.loses_all_signal() { 2 } else { 3 })]
}

fn keys(chain: Chain, spacing: &str, steps: usize, denoise: bool) -> String {
    format!("{}\nsteps = {steps}\nspacing = \"{spacing}\"\ndenoise = {denoise}", chain.toml())
}

#[test]
fn stochastic_samplers_take_the_steps_of_their_formulas() {
    const POINTS: usize = 16;
    let mut failed = Vec::new();
    for mut case in cases(1) {
        for chain in chains(&mut case.random) {
            for (device_name, device) in devices() {
                for i in 0..if device_name == "CPU" { 3 } else { 1 } {
                    let process = process_for(&mut case.random, chain);
                    let spacing = spacing_for(&mut case.random, &process);
                    let law = Mixture::draw(&mut case.random, [Sizes::Tame, Sizes::Alike][i % 2], 6);
                    let toml = law.toml();
                    let most = keys(chain, spacing, STEPS[1], true);
                    let mut samples = Samples::new(&process, &toml, &most, device, POINTS, true);
                    for (steps, denoise) in [(STEPS[0], i % 2 == 0), (STEPS[0], i % 2 == 1), (STEPS[1], i % 2 == 0)] {
                        let prior = case.random.normals(POINTS * law.dims);
                        let (mut noise, mut draws) = (Vec::new(), 0);
                        let random = &mut case.random;
                        let found =
                            samples.draw(&keys(chain, spacing, steps, denoise), 0, Some(&prior), |rows, of_row| {
                                draws = of_row;
                                noise = random.normals(rows * of_row * POINTS * law.dims);
                                noise.clone()
                            });
                        let found = found.unwrap_or_else(|error| panic!("{chain:?} {process:?} {law:?}: {error}"));
                        assert_eq!(draws, chain.draws(), "{chain:?}");
                        let way = chain.way(&process, spacing, steps, denoise);
                        let error = |i: usize| {
                            let of = |row: usize, draw: usize| -> Vec<f64> {
                                let first = ((row * draws + draw) * POINTS + i) * law.dims;
                                noise[first..first + law.dims].iter().map(|z| f64::from(*z)).collect()
                            };
                            let own = i * law.dims..(i + 1) * law.dims;
                            let x = prior[own.clone()].iter().map(|z| process.prior() * f64::from(*z)).collect();
                            let (end, largest) = chain.run(&law, &process, &way, x, of);
                            let errors = found[own].iter().zip(&end).map(|(a, b)| (f64::from(*a) - b).abs());
                            errors.fold(0.0, f64::max) / largest.max(law.size())
                        };
                        let mut errors: Vec<f64> = (0..POINTS).map(error).collect();
                        errors.sort_by(f64::total_cmp);
                        // A path next to the border of two modes may take the other one: so of most paths.
                        let [middle, high] = [errors[POINTS / 2], errors[POINTS * 3 / 4]];
                        let most = ROUNDING * (200.0 + chain.rows(&way) as f64);
                        if !(middle < most && high < 4.0 * most) {
                            failed.push(format!(
                                "case {}: {device_name} {chain:?}, {spacing}, {steps} steps, denoise {denoise}: off by {middle:.1e}, a \
                                 quarter by more than {high:.1e}, where {most:.1e} are allowed; {process:?}, {law:?}",
                                case.seed
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of the ways:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn laws_of_gaussians_are_those_of_the_affine_steps() {
    const N: usize = 2048;
    const DIMS: usize = 3;
    let mut failed = Vec::new();
    for mut case in cases(1) {
        for chain in chains(&mut case.random) {
            // Its steps depend on norms, and are not affine: its paths are above.
            if matches!(chain, Chain::PredictorCorrector { .. }) {
                continue;
            }
            for (device_name, device) in devices() {
                let process = process_for(&mut case.random, chain);
                let spacing = spacing_for(&mut case.random, &process);
                let size = case.random.size(1e-3, 1e3);
                let random = &mut case.random;
                let mean: Vec<f64> = (0..DIMS).map(|_| size * random.normal()).collect();
                let widths: Vec<f64> = (0..DIMS).map(|_| (size * random.size(0.03, 3.0)).clamp(1e-3, 1e3)).collect();
                let toml = Mixture::gaussian(mean.clone(), widths.clone()).toml();
                let most = keys(chain, spacing, STEPS[1], true);
                let mut samples = Samples::new(&process, &toml, &most, device, N, false);
                for (steps, denoise) in [(STEPS[0], true), (STEPS[0], false), (STEPS[1], false)] {
                    let found = samples.draw(&keys(chain, spacing, steps, denoise), case.seed, None, |_, _| Vec::new());
                    let found = found.unwrap_or_else(|error| panic!("{chain:?} {process:?}: {error}"));
                    let way = chain.way(&process, spacing, steps, denoise);
                    for d in 0..DIMS {
                        let law = propagated(chain, &process, &way, [mean[d], widths[d]], process.prior().powi(2));
                        let x: Vec<f64> = found.iter().skip(d).step_by(DIMS).map(|x| f64::from(*x)).collect();
                        let n = N as f64;
                        let found_mean = x.iter().sum::<f64>() / n;
                        let found_variance = x.iter().map(|x| (x - found_mean).powi(2)).sum::<f64>() / (n - 1.0);
                        // In standard errors of a normal law, with what f32 rounds.
                        let rounding = ROUNDING * (50.0 + steps as f64) * (law[0].abs() + law[1].sqrt());
                        let of_mean = (found_mean - law[0]).abs() / ((law[1] / n).sqrt() + rounding);
                        let of_variance = (found_variance - law[1]).abs()
                            / ((2.0 / n).sqrt() * law[1] + rounding * law[1].sqrt() + rounding.powi(2));
                        // Beyond 5 once in two million times.
                        if !(of_mean < 5.0 && of_variance < 5.0) {
                            failed.push(format!(
                                "case {}: {device_name} {chain:?}, {spacing}, {steps} steps, denoise {denoise}, axis {d}: mean {found_mean} \
                                 and variance {found_variance}, should be {law:?} ({of_mean:.1} and {of_variance:.1} standard errors); \
                                 {process:?}, mean {}, width {}",
                                case.seed, mean[d], widths[d]
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of the laws:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn many_affine_steps_end_in_the_law_of_the_data() {
    // So that the formulas above are not just two of the same: of a Gaussian at t_min, as steps become many.
    for mut case in cases(1) {
        for chain in chains(&mut case.random) {
            // These do not converge with steps: the one's corrections are not affine, the others add noise of their
            // own.
            let chain = match chain {
                Chain::PredictorCorrector { .. } | Chain::AnnealedLangevin { .. } => continue,
                Chain::EdmStochastic { churn, churn_min, churn_max, .. } => {
                    Chain::EdmStochastic { churn, churn_min, churn_max, churn_noise: 1.0 }
                }
                other => other,
            };
            for process in all().into_iter().filter(|process| !process.loses_all_signal()) {
                let [mean, width] = [case.random.normal(), case.random.size(0.1, 1.0)];
                let [first, last] = [process.t_max, process.t_min].map(|t| process.at(t));
                let spread = |level: crate::common::forward::Level| (level.alpha * width).powi(2) + level.sigma.powi(2);
                let end = |steps: usize| {
                    let way = chain.way(&process, "log-snr", steps, false);
                    propagated(chain, &process, &way, [mean, width], spread(first))[1] / spread(last) - 1.0
                };
                let [coarse, fine] = [end(200), end(1600)];
                assert!(
                    fine.abs() < 0.01 && (fine.abs() < 0.2 * coarse.abs() || fine.abs() < 1e-4),
                    "case {}: {chain:?} {process:?}: the variance is off by {coarse:.1e} and {fine:.1e}",
                    case.seed
                );
            }
        }
    }
}
