//! Deterministic samplers against the flow.

use crate::cases::{Source, cases};
use crate::common::experiments::{Samples, devices};
use crate::common::forward::{Forward, all};
use crate::flow::carried;
use crate::mixture::{Mixture, ROUNDING, Sizes};

/// Samplers, their orders p, and the constants C of their errors C h^p, where h is the length of a step in ln(alpha /
/// sigma) and errors are in units of the data's size.
const SAMPLERS: [(&str, i32, f64); 9] = [
    ("ode-euler", 1, 3.0),
    ("ddim", 1, 3.0),
    ("ode-heun", 2, 3.0),
    ("dpm++2m", 2, 3.0),
    ("dpm++3m", 3, 40.0),
    ("unipc", 3, 10.0),
    ("deis", 3, 10.0),
    ("lms", 4, 100.0),
    ("pndm", 2, 10.0),
];
const POINTS: usize = 16;
/// Steps, and whether the end is denoised: few and many of both.
const GRIDS: [(usize, bool); 5] = [(10, false), (64, true), (64, false), (512, true), (MANY, true)];
/// As many as fit a table of 4096 rows in every sampler.
const MANY: usize = 4080;

fn keys(sampler: &str, spacing: &str, steps: usize, denoise: bool) -> String {
    format!("kind = \"{sampler}\"\nsteps = {steps}\ndenoise = {denoise}\n{spacing}")
}

/// A process, with a signal at the start or any.
fn process_for(random: &mut Source, with_signal: bool) -> Forward {
    let all: Vec<Forward> = all().into_iter().filter(|process| !with_signal || !process.loses_all_signal()).collect();
    all[random.below(all.len())]
}

/// A law and the ends of paths from draws of the prior, both without noise and with that of t_min.
struct Truth {
    law: Mixture,
    prior: Vec<f32>,
    noisy: Vec<Vec<f64>>,
    denoised: Vec<Vec<f64>>,
}

impl Truth {
    fn draw(random: &mut Source, process: &Forward, sizes: Sizes) -> Self {
        let law = Mixture::draw(random, sizes, 8);
        let prior = random.normals(POINTS * law.dims);
        // As floats have the start.
        let start = |z: &[f32]| z.iter().map(|z| f64::from(process.prior() as f32 * z)).collect::<Vec<f64>>();
        let noisy: Vec<Vec<f64>> = prior.chunks(law.dims).map(|z| carried(&law, process, &start(z))).collect();
        let last = process.at(process.t_min);
        let denoised = noisy.iter().map(|x| law.denoised(x, last)).collect();
        Self { law, prior, noisy, denoised }
    }

    /// The error that a tenth of the paths exceeds, in units of the data's size. (A path next to the border of two
    /// modes may end in either.)
    fn error(&self, found: &[f32], denoise: bool) -> f64 {
        let exact = if denoise { &self.denoised } else { &self.noisy };
        let of = |(found, exact): (&[f32], &Vec<f64>)| {
            let errors = found.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs());
            errors.fold(0.0, f64::max) / self.law.size()
        };
        let mut errors: Vec<f64> = found.chunks(self.law.dims).zip(exact).map(of).collect();
        errors.sort_by(f64::total_cmp);
        errors[POINTS * 9 / 10]
    }
}

/// The largest error that is allowed in units of the data's size, which is `size`.
fn allowed(process: &Forward, size: f64, (order, constant): (i32, f64), (steps, denoise): (usize, bool)) -> f64 {
    // Of every step some roundings of a float: docs/samplers.md.
    let rounding = ROUNDING * (50.0 + steps as f64);
    if process.loses_all_signal() {
        // On the default times, whose first step is endless in ln(alpha / sigma): not more than order 2 is sure.
        return (100.0 / steps as f64).powi(order.min(2)).min(10.0) + rounding;
    }
    let start = process.at(process.t_max);
    let way = process.at(process.t_min).lambda() - start.lambda();
    let h = way / (steps - usize::from(denoise)) as f64;
    // The first step of a method that goes by several is Euler's, whose error counts as far as the data show at the
    // start.
    let first = 3.0 * h * h * (start.alpha * size / start.sigma).min(1.0);
    // Steps that are too long do not lead far away from the data.
    (constant * h.powi(order) + first).min(3.0) + rounding
}

#[test]
fn deterministic_samplers_follow_the_flow_at_few_and_at_many_steps() {
    let mut failed = Vec::new();
    for mut case in cases(1) {
        for (number, (sampler, order, constant)) in SAMPLERS.into_iter().enumerate() {
            for (device_name, device) in devices() {
                let on_gpu = device_name == "GPU";
                for i in 0..if on_gpu { 1 } else { 2 } {
                    let process = process_for(&mut case.random, i == 0 || sampler == "pndm");
                    // Data a thousand times as large as the noise show themselves in the first thousandth of the way
                    // from no signal at all, and even times pass that by.
                    let sizes = match process.loses_all_signal() {
                        true => Sizes::Tame,
                        false => [Sizes::Tame, Sizes::Alike, Sizes::Wild][(number + i) % 3],
                    };
                    let truth = Truth::draw(&mut case.random, &process, sizes);
                    let spacing = if process.loses_all_signal() { "" } else { "spacing = \"log-snr\"" };
                    let toml = truth.law.toml();
                    let most = keys(sampler, spacing, MANY, true);
                    let mut samples = Samples::new(&process, &toml, &most, device, POINTS, false);
                    // A software GPU takes long for many steps: those of a third of the samplers.
                    let on_this = |steps: usize| steps < MANY || !on_gpu || number as u64 % 3 == case.seed % 3;
                    for (steps, denoise) in GRIDS.into_iter().filter(|(steps, _)| on_this(*steps)) {
                        let found = samples
                            .draw(&keys(sampler, spacing, steps, denoise), 0, Some(&truth.prior), |_, _| Vec::new())
                            .unwrap_or_else(|error| panic!("{sampler} {process:?} {:?}: {error}", truth.law));
                        let error = truth.error(&found, denoise);
                        let most = allowed(&process, truth.law.size(), (order, constant), (steps, denoise));
                        println!(
                            "{device_name} {sampler} {} {steps} {denoise}: {error:.1e} of {most:.1e}",
                            process.name()
                        );
                        // Not a number is no success.
                        let good = error < most;
                        if !good {
                            failed.push(format!(
                                "case {}: {device_name} {sampler}, {steps} steps, denoise {denoise}: off by {error:.1e} of the \
                                 data's size, {most:.1e} are allowed; {process:?}, {:?}",
                                case.seed, truth.law
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
fn rk45_follows_the_flow_to_its_tolerance() {
    let mut failed = Vec::new();
    for mut case in cases(1) {
        for (device_name, device) in devices() {
            for i in 0..if device_name == "CPU" { 4 } else { 1 } {
                let process = loop {
                    let process = process_for(&mut case.random, false);
                    // There it has an endless slope, and is refused.
                    if !process.name().contains("sigmoid to 1") {
                        break process;
                    }
                };
                let truth = Truth::draw(&mut case.random, &process, [Sizes::Tame, Sizes::Alike][i % 2]);
                for (tolerance, denoise) in [(1e-4, false), (1e-5, true)] {
                    let keys =
                        format!("kind = \"rk45\"\nrtol = {tolerance:?}\natol = {tolerance:?}\ndenoise = {denoise}");
                    let toml = truth.law.toml();
                    let mut samples = Samples::new(&process, &toml, &keys, device, POINTS, false);
                    let found = samples.draw(&keys, 0, Some(&truth.prior), |_, _| Vec::new());
                    let found = found.unwrap_or_else(|error| panic!("{process:?} {:?}: {error}", truth.law));
                    let error = truth.error(&found, denoise);
                    // Of a step it tolerates this much of a coordinate, which is as large as the prior and the data.
                    let most = 100.0 * tolerance * (1.0 + (1.0 + process.prior()) / truth.law.size());
                    println!("{device_name} rk45 {}: {tolerance}: {error:.1e} of {most:.1e}", process.name());
                    let good = error < most;
                    if !good {
                        failed.push(format!(
                            "case {}: {device_name} tolerance {tolerance}: off by {error:.1e} of the data's size, {most:.1e} are allowed; \
                             {process:?}, {:?}",
                            case.seed, truth.law
                        ));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of the paths:\n{}", failed.len(), failed.join("\n"));
}
