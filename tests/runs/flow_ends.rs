//! The probability flow up to the very ends of time, in f32 on CPU and GPU: nothing may hang on how an end is rounded.

use crate::common::experiments::{Samples, devices, experiment, log_densities};
use crate::common::forward::{Forward, Kind, Level, all};
use tweedie::engine::Device;
use tweedie::likelihood::Divergence;
use tweedie::sampler::dormand_prince::DormandPrince;
use tweedie::train::draw::likelihood::Method;

const MEAN: f64 = 0.4;
const WIDTH: f64 = 0.5;

/// Standard deviation of x_t.
fn spread(level: Level) -> f64 {
    (level.alpha * WIDTH).hypot(level.sigma)
}

/// Where the flow takes x from one level to another: Gaussians stay Gaussian.
fn carried(x: f64, from: Level, to: Level) -> f64 {
    to.alpha * MEAN + (x - from.alpha * MEAN) * spread(to) / spread(from)
}

/// The medians of the errors of `rk45` and of log densities at a tolerance of 1e-5.
fn errors(process: &Forward, device: &Device) -> [f64; 2] {
    let data = format!("[data]\nkind = \"mixture\"\nweights = [1.0]\nmeans = [[{MEAN}]]\nwidths = [{WIDTH}]\nn = 6");
    let sample = "kind = \"rk45\"\ndenoise = false";
    let experiment = experiment(process, &data, sample);
    let [first, last] = [process.t_min, process.t_max].map(|t| process.at(t));
    let prior = process.prior();
    let z: Vec<f32> = (0..33).map(|i| (i as f32 - 16.0) / 8.0 + 0.01).collect();
    let mut samples = Samples::new(process, &data, sample, device, z.len(), false);
    let found = samples.draw(sample, 0, Some(&z), |_, _| Vec::new()).expect("samples");
    let of_sample = |(z, x): (&f32, &f32)| (carried(prior * f64::from(*z), last, first) - f64::from(*x)).abs();
    let solver = DormandPrince { absolute: 1e-5, relative: 1e-5 };
    let method = Method::Flow { divergence: Divergence::Exact, solver };
    let densities = log_densities(&experiment, device, &found, method).log_density;
    let of_density = |(x, nats): (&f32, &f64)| {
        let end = carried(f64::from(*x), first, last) / prior;
        let volume = (spread(last) / spread(first) / prior).ln();
        (nats - (volume - 0.5 * end * end - 0.5 * std::f64::consts::TAU.ln())).abs()
    };
    [
        median(z.iter().zip(&found).map(of_sample).collect()),
        median(found.iter().zip(&densities).map(of_density).collect()),
    ]
}

/// Both in digits that say something.
fn shown([a, b]: [f64; 2]) -> String {
    format!("{a:.1e} and {b:.1e}")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn zero_terminal_snr_does_not_hang_on_the_sign_of_a_rounding_error() {
    // By chance one of two neighbours had 70 times the error of the other, and on the other device the other.
    for (name, device) in devices() {
        let vp = |beta_max, zero_terminal_snr| Forward::new(Kind::Vp { beta_min: 0.1, beta_max, zero_terminal_snr });
        let plain = errors(&vp(20.0, false), device);
        for i in 0..12 {
            let process = vp(19.9 + 0.05 * f64::from(i), true);
            let found = errors(&process, device);
            assert!(
                found.iter().zip(plain).all(|(found, plain)| *found < 2.0 * plain),
                "{name} {process:?}: median errors of samples and log densities {}, of vp {}",
                shown(found),
                shown(plain)
            );
        }
    }
}

#[test]
fn the_flow_is_as_exact_in_every_process_up_to_its_ends() {
    // At t_max = 1 sigmoid has no slope, and is refused.
    let endless = |process: &Forward| matches!(process.kind, Kind::Sigmoid { .. }) && process.t_max == 1.0;
    for (name, device) in devices() {
        for process in all().iter().filter(|process| !endless(process)) {
            let found = errors(process, device);
            println!("{name} {}: {}", process.name(), shown(found));
            assert!(
                found.iter().all(|error| *error < 5e-5),
                "{name} {}: median errors {}",
                process.name(),
                shown(found)
            );
        }
    }
}
