//! Toys in the plane: their scale, their shapes, and their blurred densities.

use std::f64::consts::{PI, TAU};

use tweedie::data::*;

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
