//! Scores: every process, quantity and level.

use crate::common::experiments::{Scores, devices};
use crate::common::forward::{Forward, Kind, Level, all};
use tweedie::engine::Device;
use tweedie::sde::Quantity;

use crate::cases::{Source, cases};
use crate::mixture::{Exact, Mixture, ROUNDING, Sizes};

/// Points at each level.
const POINTS: usize = 64;
/// Rounding of alpha and sigma, which come from f64.
const OFF: f64 = ROUNDING;
/// Shares' logarithms may be off by as much as this where first order is to say anything.
const FIRST_ORDER: f64 = 0.1;

/// What was seen.
#[derive(Default)]
struct Seen {
    /// Values that f32 knows, and those of points of which it does not know the component.
    known: usize,
    unknown: usize,
    /// The largest share of its bound that an error takes.
    worst: f64,
    /// Bounds in units of what the quantity is about.
    bounds: Vec<f64>,
    faults: Vec<String>,
}

/// The value of a quantity along an axis, its bound, and about how large it is.
fn wanted(process: &Forward, level: Level, exact: &Exact, axis: usize, quantity: Quantity) -> (f64, f64) {
    let [score, denoised] = exact.values[axis];
    let [of_score, of_denoised] = exact.bounds[axis];
    let epsilon = -level.sigma * score;
    let of_epsilon = level.sigma * of_score + 3.0 * ROUNDING * epsilon.abs();
    match quantity {
        Quantity::Score => (score, of_score),
        Quantity::Denoised => (denoised, of_denoised),
        Quantity::Epsilon => (epsilon, of_epsilon),
        Quantity::Velocity => {
            let [p, q] = process.velocity(level);
            let rounding = 4.0 * ROUNDING * ((p * denoised).abs() + (q * epsilon).abs());
            (p * denoised + q * epsilon, p.abs() * of_denoised + q.abs() * of_epsilon + rounding)
        }
    }
}

/// The times at which a process is looked at: both ends, next to them, in the middle, and anywhere.
fn times(random: &mut Source, process: &Forward) -> Vec<f64> {
    let shares = [0.0, 1e-3, 0.1, 0.5, 0.9, 0.999, 1.0, random.between(0.0, 1.0)];
    shares.iter().map(|share| process.t_min + share * (process.t_max - process.t_min)).collect()
}

/// Compares a mixture's scores under a process on a device with those of `twin`.
fn compare(random: &mut Source, process: &Forward, twin: &Forward, law: &Mixture, device: &Device, seen: &mut Seen) {
    let mut scores = Scores::new(process, &law.toml(), device, POINTS);
    for t in times(random, process) {
        let level = twin.at(t);
        let x: Vec<Vec<f32>> = (0..POINTS).map(|i| law.noisy(random, process.at(t), i % 2 == 1)).collect();
        let exact: Vec<Exact> =
            x.iter().map(|x| law.exactly(&x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), level, OFF)).collect();
        for quantity in Quantity::ALL {
            let found = match scores.at(&x.concat(), t, quantity) {
                Ok(found) => found,
                Err(error) => {
                    seen.faults.push(format!("{} at {t} ({level:?}): {error}", quantity.name()));
                    continue;
                }
            };
            let values: Vec<(f64, f64)> = exact
                .iter()
                .flat_map(|exact| (0..law.dims).map(|axis| wanted(process, level, exact, axis, quantity)))
                .collect();
            let about = (values.iter().map(|(value, _)| value * value).sum::<f64>() / values.len() as f64).sqrt();
            for (i, (found, (value, bound))) in found.iter().zip(values).enumerate() {
                let (exact, axis) = (&exact[i / law.dims], i % law.dims);
                let found = f64::from(*found);
                let (good, limits) = if exact.slack < FIRST_ORDER {
                    seen.known += 1;
                    seen.bounds.push(bound / about.max(value.abs()));
                    seen.worst = seen.worst.max((found - value).abs() / bound);
                    let most = bound * (1.0 + 4.0 * exact.slack);
                    ((found - value).abs() <= most, [value - most, value + most])
                } else {
                    // f32 cannot tell the components' shares: a mean of what they say is all that can be asked for.
                    seen.unknown += 1;
                    let [score, denoised] = exact.hulls[axis];
                    let of_score = |factor: f64| {
                        let [a, b] = score.map(|end| end * factor);
                        [a.min(b) - 1e-5 * a.abs(), a.max(b) + 1e-5 * b.abs()]
                    };
                    let limits = match quantity {
                        Quantity::Score => score,
                        Quantity::Denoised => denoised,
                        Quantity::Epsilon => of_score(-level.sigma),
                        Quantity::Velocity => [f64::NEG_INFINITY, f64::INFINITY],
                    };
                    (found >= limits[0] && found <= limits[1], limits)
                };
                if !good {
                    seen.faults.push(format!(
                        "{} at t = {t} ({level:?}), point {:?}, axis {axis}: {found}, should be {value}, within {limits:?}; \
                         shares are known to {:.1e}",
                        quantity.name(),
                        x[i / law.dims],
                        exact.slack
                    ));
                }
            }
        }
    }
}

/// `process` with other numbers.
fn varied(random: &mut Source, process: &Forward) -> Forward {
    let kind = match process.kind {
        Kind::Vp { zero_terminal_snr, .. } => {
            Kind::Vp { beta_min: random.size(0.01, 2.0), beta_max: random.size(5.0, 60.0), zero_terminal_snr }
        }
        Kind::Cosine { .. } => Kind::Cosine { offset: random.size(1e-3, 0.1) },
        Kind::Sigmoid { .. } => Kind::Sigmoid {
            start: random.between(-4.0, 0.0),
            end: random.between(2.0, 4.0),
            temperature: random.size(0.5, 2.0),
        },
        Kind::SubVp { .. } => Kind::SubVp { beta_min: random.size(0.01, 2.0), beta_max: random.size(5.0, 60.0) },
        Kind::Ve { .. } => Kind::Ve { sigma_min: random.size(1e-4, 0.1), sigma_max: random.size(1.0, 1e4) },
        Kind::Edm { .. } => Kind::Edm {
            sigma_min: random.size(1e-4, 0.1),
            sigma_max: random.size(1.0, 1e4),
            rho: random.size(1.0, 20.0),
        },
        Kind::Learned { .. } => {
            Kind::Learned { log_snr_max: random.between(5.0, 15.0), log_snr_min: random.between(-15.0, -3.0) }
        }
        Kind::RectifiedFlow => Kind::RectifiedFlow,
    };
    let t_min = if process.t_min == 0.0 { 0.0 } else { random.size(1e-5, 1e-2) };
    let t_max = if process.t_max == 1.0 { 1.0 } else { random.between(0.9, 0.9999) };
    let shift = if process.shift == 0.0 { 0.0 } else { random.between(-6.0, 3.0) };
    Forward { kind, shift, t_min, t_max }
}

#[test]
fn every_quantity_is_that_of_the_twin() {
    let mut failed = Vec::new();
    let mut bounds = Vec::new();
    for mut case in cases(1) {
        for (number, process) in all().iter().enumerate() {
            for (name, device) in devices() {
                // A GPU has to compile what it runs; the CPU may be asked more.
                for i in 0..if name == "CPU" { 4 } else { 1 } {
                    let sizes = [Sizes::Alike, Sizes::Wild, Sizes::Tame][(number + i) % 3];
                    let law = Mixture::draw(&mut case.random, sizes, 40);
                    let other = varied(&mut case.random, process);
                    let process = if i % 2 == 0 { process } else { &other };
                    let mut seen = Seen::default();
                    compare(&mut case.random, process, process, &law, device, &mut seen);
                    if !seen.faults.is_empty() {
                        failed.push(format!(
                            "case {}: {name}, {process:?}: {} of {} values, up to {:.1} times their bounds; the law is {law:?};\n{}",
                            case.seed,
                            seen.faults.len(),
                            seen.known + seen.unknown,
                            seen.worst,
                            seen.faults[..seen.faults.len().min(3)].join("\n")
                        ));
                    }
                    // Most points have a component that is known, or the twin's bounds would say nothing.
                    assert!(seen.unknown < seen.known, "{name} {process:?} {law:?}: {} values", seen.known);
                    bounds.extend(seen.bounds);
                }
            }
        }
    }
    bounds.sort_by(f64::total_cmp);
    let [middle, high] = [2, 100].map(|part| bounds[bounds.len() - 1 - bounds.len() / part]);
    println!(
        "{} values; bounds are {middle:.1e} of a quantity in the median, {high:.1e} in the worst hundredth",
        bounds.len()
    );
    assert!(middle < 5e-6 && high < 1e-2, "bounds that hold nothing: {middle:e}, {high:e}");
    assert!(failed.is_empty(), "{} of the mixtures:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_process_that_is_off_by_a_little_is_noticed() {
    // An end of β that is off by a ten-thousandth.
    let vp = |beta_max| Forward::new(Kind::Vp { beta_min: 0.1, beta_max, zero_terminal_snr: false });
    for mut case in cases(1) {
        let law = Mixture::draw(&mut case.random, Sizes::Tame, 40);
        let mut seen = Seen::default();
        compare(&mut case.random, &vp(20.0), &vp(20.002), &law, devices()[0].1, &mut seen);
        assert!(seen.faults.len() > seen.known / 10, "{} of {}", seen.faults.len(), seen.known);
    }
}
