//! Gaussian mixtures against closed forms.

use rand::{RngExt, SeedableRng};
use tweedie::data::*;

/// The two components of width 1/4 at -1 and 1, in one dimension.
fn two_peaks() -> Mixture {
    let widths = [Width::Isotropic(0.25), Width::Isotropic(0.25)];
    Mixture::new(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &widths).unwrap()
}

/// A mixture in three dimensions with unequal everything.
fn lopsided() -> Mixture {
    let means = [vec![0.3, -1.2, 2.0], vec![-2.0, 0.1, 0.4], vec![1.5, 1.5, -1.0]];
    let widths = [Width::PerAxis(vec![0.5, 1.0, 0.2]), Width::Isotropic(0.7), Width::PerAxis(vec![1.1, 0.3, 0.9])];
    Mixture::new(&[0.2, 0.5, 0.3], &means, &widths).unwrap()
}

const POINTS: [[f64; 3]; 4] = [[0.0, 0.0, 0.0], [0.4, -1.0, 1.8], [-3.0, 2.0, 1.0], [6.0, -5.0, 4.0]];
const LEVELS: [(f64, f64); 4] = [(1.0, 0.0), (0.9, 0.4), (0.3, 0.95), (1.0, 8.0)];

#[test]
fn mixtures_refuse_nonsense_in_one_line() {
    let w = |x: f64| Width::Isotropic(x);
    type Case<'a> = (&'a [f64], &'a [&'a [f64]], &'a [Width], &'a str);
    let cases: [Case; 12] = [
        (&[], &[], &[], "weights"),
        (&[0.5, 0.6], &[&[0.0], &[1.0]], &[w(1.0), w(1.0)], "a sum of 1.1"),
        (&[1.5, -0.5], &[&[0.0], &[1.0]], &[w(1.0), w(1.0)], "weights[1]"),
        (&[f64::NAN], &[&[0.0]], &[w(1.0)], "weights[0]"),
        (&[0.5, 0.5], &[&[0.0]], &[w(1.0), w(1.0)], "means"),
        (&[1.0], &[&[0.0]], &[w(1.0), w(1.0)], "widths"),
        (&[0.5, 0.5], &[&[0.0], &[1.0, 2.0]], &[w(1.0), w(1.0)], "means[1]"),
        (&[1.0], &[&[]], &[w(1.0)], "means[0]"),
        (&[1.0], &[&[f64::INFINITY]], &[w(1.0)], "means[0]"),
        (&[1.0], &[&[0.0]], &[w(0.0)], "widths[0]"),
        (&[1.0], &[&[0.0]], &[w(f64::NAN)], "widths[0]"),
        (&[1.0], &[&[0.0, 1.0]], &[Width::PerAxis(vec![1.0])], "widths[0]"),
    ];
    for (weights, means, widths, part) in cases {
        let means: Vec<Vec<f64>> = means.iter().map(|m| m.to_vec()).collect();
        let error = Mixture::new(weights, &means, widths).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn densities_are_the_published_ones() {
    let mixture = two_peaks();
    let published = [(0.0, -7.532644172), (0.5, -2.225791240), (1.0, -0.225791353), (1.5, -2.225791353)];
    for (x, expected) in published {
        let found = mixture.log_density(&[x], 1.0, 0.0);
        assert!((found - expected).abs() < 1e-9, "{found} at {x}");
    }
    // The entropy, by the trapezoidal rule, which is exact to rounding for such functions.
    let h = 1e-3;
    let term = |i: i32| mixture.log_density(&[f64::from(i) * h], 1.0, 0.0);
    let entropy: f64 = (-5000..=5000).map(term).map(|l| -h * l * l.exp()).sum();
    assert!((entropy - 0.725697818).abs() < 1e-9, "{entropy}");
}

#[test]
fn the_denoiser_of_two_peaks_is_a_hyperbolic_tangent() {
    let mixture = two_peaks();
    for sigma in [0.002, 0.1, 0.5, 2.0, 80.0] {
        for x in [-120.0, -1.3, -0.2, 0.0, 0.01, 0.7, 3.0] {
            let (v, mut found) = (0.0625 + sigma * sigma, [0.0]);
            let k = 0.0625 / v;
            let expected = (1.0 - k) * f64::tanh(x / v) + k * x;
            mixture.denoised(&[x], 1.0, sigma, &mut found);
            assert!((found[0] - expected).abs() < 1e-12 * (1.0 + x.abs()), "{} for {expected}", found[0]);
        }
    }
}

#[test]
fn scores_are_the_gradients_of_the_log_density() {
    let mixture = lopsided();
    for (alpha, sigma) in LEVELS {
        for x in POINTS {
            let mut score = [0.0; 3];
            mixture.score(&x, alpha, sigma, &mut score);
            for d in 0..3 {
                let shifted = |by: f64| {
                    let mut y = x;
                    y[d] += by;
                    mixture.log_density(&y, alpha, sigma)
                };
                // Central differences of order four.
                let h = 1e-3;
                let slope = (8.0 * (shifted(h) - shifted(-h)) - (shifted(2.0 * h) - shifted(-2.0 * h))) / (12.0 * h);
                assert!((score[d] - slope).abs() < 1e-6 * (1.0 + slope.abs()), "{} for {slope}", score[d]);
            }
        }
    }
}

#[test]
fn tweedie_joins_score_and_denoised() {
    let mixture = lopsided();
    for (alpha, sigma) in LEVELS {
        for x in POINTS {
            let (mut score, mut denoised) = ([0.0; 3], [0.0; 3]);
            mixture.score(&x, alpha, sigma, &mut score);
            mixture.denoised(&x, alpha, sigma, &mut denoised);
            for d in 0..3 {
                let expected = (x[d] + sigma * sigma * score[d]) / alpha;
                assert!((denoised[d] - expected).abs() < 1e-10, "{} for {expected}", denoised[d]);
            }
        }
    }
    // Pure noise tells nothing: the denoised sample is the mean.
    let mut denoised = [0.0; 3];
    mixture.denoised(&[0.3, -2.0, 1.0], 0.0, 1.0, &mut denoised);
    for (found, expected) in denoised.iter().zip(mixture.mean()) {
        assert!((found - expected).abs() < 1e-14);
    }
}

#[test]
fn far_from_every_component_nothing_underflows() {
    let mixture = two_peaks();
    let mut score = [0.0];
    mixture.score(&[300.0], 1.0, 0.0, &mut score);
    // Only the right component counts there.
    assert!((score[0] + 299.0 / 0.0625).abs() < 1e-9);
    let expected = 0.5f64.ln() - 0.5 * (std::f64::consts::TAU * 0.0625).ln() - 299.0 * 299.0 / 0.125;
    assert!((mixture.log_density(&[300.0], 1.0, 0.0) - expected).abs() < 1e-6);
}

/// How far apart .8/.2 and .5/.5 of two unit Gaussians at distance D are, noised with sigma: Fisher divergence
/// E_p(s_p - s_q)² and KL(p‖q), from a table computed by other means.
#[test]
fn separated_modes_hide_their_weights_from_the_score() {
    let table = [
        (4.0, 0.0, 6.371e-2, 0.1791),
        (4.0, 1.0, 5.797e-2, 0.1470),
        (6.0, 2.0, 2.404e-2, 0.1408),
        (8.0, 5.0, 4.103e-3, 0.0761),
        (10.0, 10.0, 6.268e-4, 0.0374),
        (200f64.sqrt(), 0.0, 2.448e-11, 0.1927),
        (200f64.sqrt(), 2.0, 1.040e-3, 0.1923),
        (200f64.sqrt(), 5.0, 4.526e-3, 0.1447),
    ];
    for (distance, sigma, fisher, divergence) in table {
        let modes = [vec![distance / 2.0], vec![-distance / 2.0]];
        let with =
            |w: f64| Mixture::new(&[w, 1.0 - w], &modes, &[Width::Isotropic(1.0), Width::Isotropic(1.0)]).unwrap();
        let (p, q) = (with(0.8), with(0.5));
        let (reach, n) = (distance / 2.0 + 12.0 * (1.0 + sigma), 4000);
        let (mut found_fisher, mut found_divergence) = (0.0, 0.0);
        for i in 0..=n {
            let x = [reach * (2.0 * f64::from(i) / f64::from(n) - 1.0)];
            let (mut sp, mut sq) = ([0.0], [0.0]);
            p.score(&x, 1.0, sigma, &mut sp);
            q.score(&x, 1.0, sigma, &mut sq);
            let (lp, lq) = (p.log_density(&x, 1.0, sigma), q.log_density(&x, 1.0, sigma));
            let mass = lp.exp() * 2.0 * reach / f64::from(n);
            found_fisher += mass * (sp[0] - sq[0]).powi(2);
            found_divergence += mass * (lp - lq);
        }
        assert!((found_fisher / fisher - 1.0).abs() < 6e-4, "{found_fisher} for {fisher}");
        assert!((found_divergence - divergence).abs() < 6e-5, "{found_divergence} for {divergence}");
    }
}

#[test]
fn samples_have_the_mixtures_moments_and_weights() {
    let mixture = lopsided();
    let n = 40_000;
    let (values, labels) = mixture.sample(n, 11);
    let (mean, std) = (mixture.mean(), mixture.std());
    for d in 0..3 {
        let axis = || values.iter().skip(d).step_by(3).map(|x| f64::from(*x));
        let found = axis().sum::<f64>() / n as f64;
        let spread = (axis().map(|x| (x - found).powi(2)).sum::<f64>() / n as f64).sqrt();
        // Four standard errors of a mean; of a standard deviation they are smaller for tails as light as these.
        let error = 4.0 * std[d] / (n as f64).sqrt();
        assert!((found - mean[d]).abs() < error && (spread - std[d]).abs() < error, "{found} {spread} on axis {d}");
    }
    for (k, weight) in mixture.weights().iter().enumerate() {
        let share = labels.iter().filter(|l| **l == k as u32).count() as f64 / n as f64;
        assert!((share - weight).abs() < 4.0 * (weight * (1.0 - weight) / n as f64).sqrt(), "{share} for {weight}");
    }
    assert_eq!(mixture.sample(100, 11).0, values[..300]);
    let set = mixture.dataset("lopsided", 30, 11).unwrap();
    assert_eq!((set.exact.as_ref(), set.shape.as_slice()), (Some(&mixture), &[3][..]));
    let shares = mixture.responsibilities(&[1.5, 1.5, -1.0], 1.0, 0.0);
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-15 && shares[2] > 0.9);
}

/// Langevin dynamics on .8 N((5, 5), I) + .2 N((-5, -5), I) from uniform starts, with the exact score: the share of the
/// greater mode ends at .509, since nothing crosses between the modes, and annealed over ten noise levels at .783. (The
/// sampler itself is tested in langevin.rs.)
#[test]
fn annealing_finds_the_weights_that_langevin_dynamics_does_not() {
    let n = 4000;
    let mut rng = rand::rngs::StdRng::seed_from_u64(5);
    let starts: Vec<f64> = (0..2 * n).map(|_| rng.random_range(-8.0..8.0)).collect();
    let normal = Mixture::new(&[1.0], &[vec![0.0, 0.0]], &[Width::Isotropic(1.0)]).unwrap();
    let mut share = |widths: &[f64], steps: usize| {
        let mut points = starts.clone();
        for &width in widths {
            let means = [vec![5.0, 5.0], vec![-5.0, -5.0]];
            let mixture = Mixture::new(&[0.8, 0.2], &means, &vec![Width::Isotropic(width); 2]).unwrap();
            let rate = 0.1 * (width / widths[widths.len() - 1]).powi(2);
            for _ in 0..steps {
                let noise = normal.sample(n, rng.random()).0;
                for (point, z) in points.chunks_mut(2).zip(noise.chunks(2)) {
                    let mut score = [0.0; 2];
                    mixture.score(point, 1.0, 0.0, &mut score);
                    for d in 0..2 {
                        point[d] += rate / 2.0 * score[d] + rate.sqrt() * f64::from(z[d]);
                    }
                }
            }
        }
        points.chunks(2).filter(|p| p[0] + p[1] > 0.0).count() as f64 / n as f64
    };
    let annealed: Vec<f64> = (0..10).map(|i| 20f64.powf(1.0 - f64::from(i) / 9.0)).collect();
    // Four standard errors at n = 4,000.
    let plain = share(&[1.0], 1000);
    assert!((plain - 0.509).abs() < 0.032, "{plain}");
    let annealed = share(&annealed, 100);
    assert!((annealed - 0.783).abs() < 0.026, "{annealed}");
}

#[test]
fn mixtures_refuse_sizes_whose_squares_32_bits_do_not_hold() {
    let new = |mean: f64, width: f64| Mixture::new(&[1.0], &[vec![0.5, mean]], &[Width::PerAxis(vec![1.0, width])]);
    for (mean, width) in [(1e17, 1e17), (-1e17, 1e-18), (0.0, 1e-18)] {
        // What is drawn of it is data too.
        let drawn = new(mean, width).and_then(|mixture| mixture.dataset("sizes", 60, 0));
        assert!(drawn.is_ok(), "{drawn:?}");
    }
    for (mean, width, wanted) in [
        (-2e17, 1.0, "means[0]: found -2e17"),
        (0.0, 2e17, "widths[0]: found 2e17"),
        (0.0, 1e-19, "widths[0]: found 1e-19"),
    ] {
        let error = new(mean, width).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("32 bits"), "{error}");
    }
}
