//! Data: the bundled digits, toys with their stated scales, mixtures against closed forms, and files in and out.

use std::f64::consts::{PI, TAU};
use std::fs;
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
fn digits_are_the_published_ones() {
    let set = digits().unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (1797, &[8, 8, 1][..], Some(17)));
    let labels = set.labels.as_ref().unwrap();
    let counts: Vec<usize> = (0..10).map(|digit| labels.iter().filter(|l| **l == digit).count()).collect();
    // As scikit-learn's documentation of `load_digits` gives them.
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // The first image, as its documentation prints it: rows 0 and 1.
    let mut first = [0.0; 64];
    set.sample(0, &mut first);
    let level = |x: f32| x * 8.0 + 8.0;
    assert_eq!(first[..8].iter().map(|x| level(*x)).collect::<Vec<_>>(), [0., 0., 5., 13., 9., 1., 0., 0.]);
    assert_eq!(first[8..16].iter().map(|x| level(*x)).collect::<Vec<_>>(), [0., 0., 13., 15., 10., 15., 5., 0.]);
    assert_eq!(labels[0], 0);
    assert!(set.values.to_f32().iter().all(|x| (-1.0..=1.0).contains(x)));
    let (mean, std) = set.mean_std();
    assert!((mean + 0.3894794275).abs() < 1e-9 && (std - 0.7520984436).abs() < 1e-9, "{mean} {std}");
}

#[test]
fn a_split_is_whole_disjoint_balanced_and_always_the_same() {
    let set = digits().unwrap();
    let split = set.split().unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (1498, 299));
    let held = split.held_out.labels.as_ref().unwrap();
    for digit in 0..10 {
        let all = set.labels.as_ref().unwrap().iter().filter(|l| **l == digit).count() as f64;
        let share = held.iter().filter(|l| **l == digit).count() as f64;
        assert!((share - all / 6.0).abs() <= 1.0, "{share} of {all} for digit {digit}");
    }
    assert_eq!(split, set.split().unwrap());

    // Without labels every sixth sample, and each part in order: nothing is lost, and nothing is in both.
    let plain = Dataset::new("count", vec![1], Values::F32((0..20).map(|i| i as f32).collect())).unwrap();
    let parts = plain.split().unwrap();
    assert_eq!(parts.held_out.values.to_f32(), [5.0, 11.0, 17.0]);
    assert_eq!(parts.train.values.to_f32().len(), 17);
    let mut all = [parts.train.values.to_f32(), parts.held_out.values.to_f32()].concat();
    all.sort_by(f32::total_cmp);
    assert_eq!(all, plain.values.to_f32());
    let few = Dataset::new("few", vec![1], Values::F32(vec![0.0; 5])).unwrap();
    assert!(few.split().unwrap_err().to_string().contains("at least 6"));
}

#[test]
fn a_data_set_refuses_what_does_not_fit() {
    let new = |shape: &[usize], values: Vec<f32>| Dataset::new("bad", shape.to_vec(), Values::F32(values));
    for (shape, values) in [(&[2][..], vec![0.0; 3]), (&[2], vec![]), (&[0], vec![0.0]), (&[], vec![0.0])] {
        assert!(new(shape, values).is_err(), "{shape:?}");
    }
    assert!(new(&[usize::MAX, usize::MAX], vec![0.0]).is_err());
    let error = new(&[2], vec![0.0, 1.0, 2.0, f32::NAN]).unwrap_err().to_string();
    assert!(error.contains("NaN in sample 1 (counted from 0)"), "{error}");
    assert!(new(&[1], vec![0.0; 3]).unwrap().with_labels(vec![0]).is_err());
}

#[test]
fn toys_have_their_stated_scale_and_repeat() {
    for toy in Toy::ALL {
        let set = toy.dataset(20_000, 7).unwrap();
        let values = set.values.to_f32();
        assert_eq!((set.len(), set.shape.as_slice(), set.name.as_str()), (20_000, &[2][..], toy.name()));
        let square = values.iter().map(|x| f64::from(x * x)).sum::<f64>() / values.len() as f64;
        assert!((square - 1.0).abs() < 0.04, "{}: mean square {square}", set.name);
        for d in 0..2 {
            let mean = values.iter().skip(d).step_by(2).map(|x| f64::from(*x)).sum::<f64>() / 20_000.0;
            assert!(mean.abs() < 0.04, "{}: mean {mean} on axis {d}", set.name);
        }
        assert_eq!(toy.dataset(500, 7).unwrap().values.to_f32(), values[..1000], "{}: the same seed", set.name);
        assert_ne!(toy.dataset(500, 8).unwrap().values.to_f32(), values[..1000], "{}: another seed", set.name);
        assert!(toy.dataset(0, 7).is_err());
    }
}

#[test]
fn toys_lie_where_their_shapes_are() {
    let board = Toy::Checkerboard.dataset(4000, 1).unwrap().values.to_f32();
    let cell = |x: f32| (f64::from(x) / (3f64.sqrt() / 2.0) + 2.0).floor() as i32;
    let mut seen = [[0; 4]; 4];
    for point in board.chunks(2) {
        seen[cell(point[1]) as usize][cell(point[0]) as usize] += 1;
    }
    for (row, cells) in seen.iter().enumerate() {
        for (column, &count) in cells.iter().enumerate() {
            // 500 are expected on a square of one colour; five standard deviations are 105.
            let expected = if (row + column) % 2 == 0 { 395..605 } else { 0..1 };
            assert!(expected.contains(&count), "{count} at {row}, {column}");
        }
    }
    let moons = Toy::TwoMoons.dataset(4000, 1).unwrap();
    let mut point = [0.0; 2];
    for (i, label) in moons.labels.as_ref().unwrap().iter().enumerate() {
        moons.sample(i, &mut point);
        let [x, y] = [f64::from(point[0]) * 0.7 + 0.5, f64::from(point[1]) * 0.7 + 0.25];
        let radius = if *label == 0 { x.hypot(y) } else { (x - 1.0).hypot(y - 0.5) };
        assert!((radius - 1.0).abs() < 0.3, "{radius}");
    }
    let roll = Toy::SwissRoll.dataset(4000, 1).unwrap().values.to_f32();
    let mut squares = 0.0;
    for point in roll.chunks(2) {
        let [x, y] = [f64::from(point[0]) * 6.8 + 2.0, f64::from(point[1]) * 6.8 + 0.2];
        // On the spiral the angle is the radius, but for full turns; off it, the distance to the nearest arm.
        let turns = x.hypot(y) - y.atan2(x);
        squares += ((turns + PI).rem_euclid(TAU) - PI).powi(2);
    }
    // The noise of 0.5, and a little from turning; points anywhere would have pi / sqrt(3) = 1.8.
    let off = (squares / 4000.0).sqrt();
    assert!((0.47..0.55).contains(&off), "{off}");
}

/// The density of a toy at `x` with noise of this alpha and sigma by brute force: the centres of 200,000 Gaussians or more, even along
/// its curves, in the words of its documentation.
fn brute_density(toy: Toy, x: [f64; 2], alpha: f64, sigma: f64) -> f64 {
    type Curve = Box<dyn Fn(f64) -> [f64; 2]>;
    let count = 200_000;
    let (curves, width): (Vec<Curve>, f64) = match toy {
        Toy::TwoMoons => (
            vec![
                Box::new(|u| [((PI * u).cos() - 0.5) / 0.7, ((PI * u).sin() - 0.25) / 0.7]),
                Box::new(|u| [(0.5 - (PI * u).cos()) / 0.7, (0.25 - (PI * u).sin()) / 0.7]),
            ],
            0.05 / 0.7,
        ),
        _ => {
            let r = |u: f64| PI * (1.5 + 3.0 * u);
            (vec![Box::new(move |u| [(r(u) * r(u).cos() - 2.0) / 6.8, (r(u) * r(u).sin() - 0.2) / 6.8])], 0.5 / 6.8)
        }
    };
    let variance = (alpha * width).powi(2) + sigma * sigma;
    let all = curves.len() as f64 * f64::from(count);
    let one = |centre: [f64; 2]| {
        let distance = (x[0] - alpha * centre[0]).powi(2) + (x[1] - alpha * centre[1]).powi(2);
        (-0.5 * distance / variance).exp() / (TAU * variance) / all
    };
    curves
        .iter()
        .map(|curve| (0..count).map(|i| one(curve((f64::from(i) + 0.5) / f64::from(count)))).sum::<f64>())
        .sum()
}

#[test]
fn blurred_curves_know_their_score_at_every_noise_level() {
    for toy in [Toy::TwoMoons, Toy::SwissRoll] {
        let density = toy.density().unwrap().unwrap();
        // On the curves, between them, at their ends and outside; without noise and with much.
        for x in [[0.7, 0.0], [-0.72, -0.3], [2.1, 0.4], [0.05, 0.4], [1.3, 1.2]] {
            for (alpha, sigma) in [(1.0, 0.0), (1.0, 0.02), (0.8, 0.6)] {
                let at = |x, y| brute_density(toy, [x, y], alpha, sigma);
                let here = at(x[0], x[1]);
                let found = density.log_density(&x, alpha, sigma);
                assert!((found - here.ln()).abs() < 1e-6, "{toy:?} at {x:?}, {alpha}, {sigma}: {found}, {}", here.ln());
                let h = 1e-4;
                let slope = |dx: f64, dy: f64| {
                    (at(x[0] + h * dx, x[1] + h * dy).ln() - at(x[0] - h * dx, x[1] - h * dy).ln()) / (2.0 * h)
                };
                let mut score = [0.0; 2];
                density.score(&x, alpha, sigma, &mut score);
                for (found, wanted) in score.iter().zip([slope(1.0, 0.0), slope(0.0, 1.0)]) {
                    assert!(
                        (found - wanted).abs() < 2e-4 * (1.0 + wanted.abs()),
                        "{toy:?} at {x:?}, {alpha}, {sigma}: {score:?}, {wanted}"
                    );
                }
            }
        }
    }
    assert!(Toy::Checkerboard.density().unwrap().is_none(), "it jumps");
}

#[test]
fn blurred_curves_are_drawn_from_their_density() {
    // Draws in squares of side 0.2 against the density's integral over them: chi squared of about a hundred squares.
    let (side, fine) = (0.2, 6);
    for toy in [Toy::TwoMoons, Toy::SwissRoll] {
        let density = toy.density().unwrap().unwrap();
        let n = 40_000;
        let values = toy.dataset(n, 3).unwrap().values.to_f32();
        let cell = |x: f32| (f64::from(x) / side + 15.0).floor() as usize;
        let mut counts = vec![0.0; 900];
        for point in values.chunks(2) {
            counts[cell(point[1]).min(29) * 30 + cell(point[0]).min(29)] += 1.0;
        }
        let (mut squares, mut cells) = (0.0, 0.0);
        for (place, count) in counts.iter().enumerate() {
            // Where many are expected, there are some.
            if *count == 0.0 {
                continue;
            }
            let corner = [place % 30, place / 30].map(|cell| (cell as f64 - 15.0) * side);
            let step = side / f64::from(fine);
            let points = (0..fine * fine).map(|i| [i % fine, i / fine].map(|i| (f64::from(i) + 0.5) * step));
            let mass: f64 = points
                .map(|[x, y]| density.log_density(&[corner[0] + x, corner[1] + y], 1.0, 0.0).exp() * step * step)
                .sum();
            let expected = mass * n as f64;
            if expected > 20.0 {
                squares += (count - expected).powi(2) / expected;
                cells += 1.0;
            }
        }
        // Mean `cells`, variance twice that.
        assert!(cells > 60.0 && (squares - cells).abs() < 5.0 * (2.0f64 * cells).sqrt(), "{toy:?}: {squares}, {cells}");
    }
}

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

/// A `.npy` file of version 1 with the header that NumPy writes.
fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn npy_files_are_written_as_numpy_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    for (shape, text) in
        [(&[6][..], "(6,)"), (&[2, 3], "(2, 3)"), (&[1, 6, 1], "(1, 6, 1)"), (&[0, 4], "(0, 4)"), (&[], "()")]
    {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32 - 0.5).collect();
        write_npy(&path, shape, &values).unwrap();
        assert_eq!(fs::read(&path).unwrap(), npy("'<f4'", "False", text, &bytes(&values)));
        assert_eq!(read_npy(&path).unwrap(), Array { shape: shape.to_vec(), values: Values::F32(values) });
    }
    assert!(write_npy(&path, &[2, 2], &[0.0; 3]).is_err());
}

#[test]
fn npy_files_of_other_element_types_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let doubles: Vec<u8> = [0.25f64, -3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    // 1.5 and -2 in half precision.
    let halves = [0x00, 0x3e, 0x00, 0xc0];
    for (descr, data, expected) in [("'<f8'", &doubles[..], [0.25, -3.0]), ("'<f2'", &halves, [1.5, -2.0])] {
        fs::write(&path, npy(descr, "False", "(2,)", data)).unwrap();
        assert_eq!(read_npy(&path).unwrap().values.to_f32(), expected);
    }
    fs::write(&path, npy("'|u1'", "False", "(2, 1, 1, 1)", &[0, 255])).unwrap();
    assert_eq!(read_npy(&path).unwrap().values.to_f32(), [0.0, 255.0]);
    let set = load(&path).unwrap();
    assert_eq!((set.shape.as_slice(), set.levels, set.values.to_f32()), (&[1, 1, 1][..], Some(256), vec![-1.0, 1.0]));
}

#[test]
fn npy_files_that_do_not_fit_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let cases: [(Vec<u8>, &str); 10] = [
        (npy("'<i8'", "False", "(1,)", &[0; 8]), "'<i8'"),
        (npy("'>f4'", "False", "(1,)", &[0; 4]), "'>f4'"),
        (npy("'<f4'", "True", "(2, 2)", &[0; 16]), "Fortran"),
        (npy("'<f4'", "False", "(3,)", &[0; 8]), "12 bytes"),
        (npy("'<f4'", "False", "(1,)", &[0; 8]), "4 bytes"),
        (npy("[('a', '<f4')]", "False", "(1,)", &[0; 4]), "plain array"),
        (npy("'<f4'", "False", "(99999999999, 99999999999)", &[]), "smaller"),
        (b"\x93NUMPY\x01\x00\xff\xff".to_vec(), "no NumPy header"),
        (b"PK\x03\x04".to_vec(), "no NumPy header"),
        (Vec::new(), "no NumPy header"),
    ];
    for (bytes, part) in cases {
        fs::write(&path, bytes).unwrap();
        let error = read_npy(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("x.npy") && !error.contains('\n'), "{error}");
    }
    assert!(read_npy(&folder.path().join("missing.npy")).unwrap_err().to_string().contains("missing.npy"));
    fs::write(&path, npy("'<f4'", "False", "(2, 1)", &[0, 0, 0, 0, 0, 0, 0xc0, 0x7f])).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("x.npy") && error.contains("NaN in sample 1 (counted from 0)"), "{error}");
}

#[test]
fn tables_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let values = [0.1, -1.0 / 3.0, 1e-30, f32::MAX, 0.0, 16777217.0];
    write_csv(&path, &["a", "b"], 2, &values).unwrap();
    assert_eq!(read_csv(&path).unwrap(), (2, values.to_vec()));
    write_csv(&path, &[], 3, &values).unwrap();
    assert_eq!(load(&path).unwrap().shape, [3]);
    fs::write(&path, "\u{feff}x;y\r\n1;2\r\n\r\n 3 ; 4.5\r\n").unwrap();
    assert_eq!(read_csv(&path).unwrap(), (2, vec![1.0, 2.0, 3.0, 4.5]));
    for (text, part) in
        [("1,2\n3\n", "line 2"), ("1,2\n3,x\n", "`x` in line 2, column 2"), ("", "no rows"), ("1,inf\n", "`inf`")]
    {
        fs::write(&path, text).unwrap();
        let error = read_csv(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("x.csv") && !error.contains('\n'), "{error}");
    }
    assert!(write_csv(&path, &["a"], 2, &values).is_err() && write_csv(&path, &[], 4, &values).is_err());
    fs::write(&path, b"1,2\n\xff\xfe,3\n").unwrap();
    assert!(read_csv(&path).unwrap_err().to_string().contains("UTF-8"));
    fs::write(&path, "1,2\n3\n").unwrap();
    assert!(read_csv(&path).unwrap_err().to_string().contains("found 1 cell in line 2"));
    let other = folder.path().join("x.txt");
    assert!(load(&other).unwrap_err().to_string().contains("x.txt: No such file"));
    fs::write(&other, "1 2").unwrap();
    assert!(load(&other).unwrap_err().to_string().contains(".npy"));
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.txt");
    fs::write(&path, "before").unwrap();
    let failed = write_whole(&path, |out| {
        use std::io::Write;
        out.write_all(b"half")?;
        Err(std::io::Error::other("the disk is full"))
    });
    assert!(failed.unwrap_err().to_string().contains("kept.txt: the disk is full"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

/// A link is a place to write to: what it leads to is written, be it there or not, and the link stays.
#[cfg(unix)]
#[test]
fn a_symbolic_link_is_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("there")).unwrap();
    for (link, target, file) in [("a", "there/file", "there/file"), ("b", "a", "there/file"), ("c", "new", "new")] {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
        write_csv(&at(link), &[], 1, &[7.0]).unwrap();
        assert!(at(link).is_symlink() && !at(file).is_symlink());
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "7\n");
        fs::write(at(file), "before").unwrap();
    }
    // Two links that lead to each other lead nowhere.
    std::os::unix::fs::symlink("y", at("x")).unwrap();
    std::os::unix::fs::symlink("x", at("y")).unwrap();
    write_csv(&at("x"), &[], 1, &[7.0]).unwrap_or_default();
    assert_eq!(fs::read_dir(at("there")).unwrap().count(), 1);
}

#[test]
fn idx_files_are_read_with_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("train-images-idx3-ubyte.gz");
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
    bytes.extend([0, 51, 255, 255, 0, 0]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &bytes).unwrap();
    fs::write(&images, packed.finish().unwrap()).unwrap();
    let plain = load(&images).unwrap();
    assert_eq!((plain.shape.as_slice(), plain.labels.as_ref(), plain.levels), (&[1, 3, 1][..], None, Some(256)));
    assert_eq!(
        plain.values.to_f32().iter().map(|x| (x * 10.0).round()).collect::<Vec<_>>(),
        [-10., -6., 10., 10., -10., -10.]
    );

    let labels = folder.path().join("train-labels-idx1-ubyte.gz");
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 7, 3]).unwrap();
    assert_eq!(load(&images).unwrap().labels, Some(vec![7, 3]));
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
    assert!(load(&images).unwrap_err().to_string().contains("1 labels"));
    for broken in [&bytes[..21], &bytes[..3], &[1, 2, 3, 4, 5][..], &[]] {
        fs::write(&images, broken).unwrap();
        let error = load_idx(&images).unwrap_err().to_string();
        assert!(error.contains("idx3-ubyte") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn cifar_batches_become_images_with_channels_last() {
    let folder = tempfile::tempdir().unwrap();
    let record = |label: u8, [r, g, b]: [u8; 3]| {
        let mut record = vec![label];
        record.extend([r, g, b].iter().flat_map(|x| [*x; 1024]));
        record
    };
    fs::write(folder.path().join("data_batch_1.bin"), [record(3, [255, 0, 255]), record(9, [0; 3])].concat()).unwrap();
    fs::write(folder.path().join("data_batch_2.bin"), record(1, [0, 255, 0])).unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.labels.clone()), (3, &[32, 32, 3][..], Some(vec![3, 9, 1])));
    let mut image = vec![0.0; 3072];
    set.sample(0, &mut image);
    assert_eq!(image[3069..], [1.0, -1.0, 1.0]);
    let broken = folder.path().join("data_batch_2.bin");
    for bytes in [vec![0; 3072], record(10, [0; 3]), vec![]] {
        fs::write(&broken, bytes).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("data_batch_2.bin"));
    }
}

#[cfg(feature = "cli")]
#[test]
fn folders_of_pictures_are_read_in_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("no pictures"));
    let grey =
        |name: &str, value: u8| image::GrayImage::from_pixel(3, 2, image::Luma([value])).save(folder.path().join(name));
    grey("b.png", 255).unwrap();
    grey("a.png", 0).unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (2, &[2, 3, 1][..], Some(256)));
    assert_eq!(set.values.to_f32(), [[-1.0; 6], [1.0; 6]].concat());
    // One picture with colour, wherever it stands, and all are colour.
    image::RgbaImage::from_pixel(3, 2, image::Rgba([255, 0, 255, 9])).save(folder.path().join("ab.png")).unwrap();
    fs::create_dir(folder.path().join("d.png")).unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (3, &[2, 3, 3][..], Some(256)));
    assert_eq!(set.values.to_f32(), [vec![-1.0; 18], [1.0, -1.0, 1.0].repeat(6), vec![1.0; 18]].concat());
    image::RgbImage::from_pixel(4, 2, image::Rgb([1, 2, 3])).save(folder.path().join("c.png")).unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("2x4 pixels"));
    fs::write(folder.path().join("c.png"), "not a picture").unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("c.png") && !error.contains('\n'), "{error}");
}

/// Langevin dynamics on .8 N((5, 5), I) + .2 N((-5, -5), I) from uniform starts, with the exact score: the share of the
/// greater mode ends at .509, since nothing crosses between the modes, and annealed over ten noise levels at .783.
#[test]
fn annealing_finds_the_weights_that_langevin_dynamics_does_not() {
    use rand::{RngExt, SeedableRng};
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
