//! The probability flow of a mixture, solved tightly in f64.

use crate::common::forward::{Forward, Level};
use crate::mixture::Mixture;

/// Of a step, relative to the size of x.
const TOLERANCE: f64 = 1e-11;

/// Where the flow takes x from t_max to t_min.
///
/// In the angle φ with tan φ = sigma / alpha and y = x / √(alpha² + sigma²) the flow is dy/dφ = cos φ epsilon − sin φ
/// denoised (Salimans and Ho 2022), finite at both ends of every process.
pub fn carried(law: &Mixture, process: &Forward, x: &[f64]) -> Vec<f64> {
    let [from, to] = [process.t_max, process.t_min].map(|t| process.at(t));
    let angle = |level: Level| level.sigma.atan2(level.alpha);
    let start: Vec<f64> = x.iter().map(|x| x / from.alpha.hypot(from.sigma)).collect();
    let slope = |phi: f64, y: &[f64]| -> Vec<f64> {
        let level = Level { alpha: phi.cos(), sigma: phi.sin() };
        let denoised = law.denoised(y, level);
        let along = |(y, denoised): (&f64, &f64)| {
            let epsilon = (y - level.alpha * denoised) / level.sigma;
            level.alpha * epsilon - level.sigma * denoised
        };
        y.iter().zip(&denoised).map(along).collect()
    };
    let end = solved(&slope, [angle(from), angle(to)], start);
    end.iter().map(|y| y * to.alpha.hypot(to.sigma)).collect()
}

/// dy/ds = slope(s, y) between these by the pair of orders 5 and 4 of Cash and Karp (1990).
fn solved(slope: &dyn Fn(f64, &[f64]) -> Vec<f64>, [start, end]: [f64; 2], mut y: Vec<f64>) -> Vec<f64> {
    const NODES: [f64; 6] = [0.0, 0.2, 0.3, 0.6, 1.0, 0.875];
    const STAGES: [&[f64]; 6] = [
        &[],
        &[0.2],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[0.3, -0.9, 1.2],
        &[-11.0 / 54.0, 2.5, -70.0 / 27.0, 35.0 / 27.0],
        &[1631.0 / 55296.0, 175.0 / 512.0, 575.0 / 13824.0, 44275.0 / 110592.0, 253.0 / 4096.0],
    ];
    const FIFTH: [f64; 6] = [37.0 / 378.0, 0.0, 250.0 / 621.0, 125.0 / 594.0, 0.0, 512.0 / 1771.0];
    const FOURTH: [f64; 6] = [2825.0 / 27648.0, 0.0, 18575.0 / 48384.0, 13525.0 / 55296.0, 277.0 / 14336.0, 0.25];
    let (mut s, mut step) = (start, (end - start) * 1e-4);
    while s != end {
        if (end - s).abs() <= step.abs() {
            step = end - s;
        }
        let mut slopes: Vec<Vec<f64>> = Vec::with_capacity(6);
        for (node, weights) in NODES.iter().zip(STAGES) {
            let at = |d: usize| y[d] + step * weights.iter().zip(&slopes).map(|(w, slope)| w * slope[d]).sum::<f64>();
            let stage: Vec<f64> = (0..y.len()).map(at).collect();
            slopes.push(slope(s + node * step, &stage));
        }
        let sum = |weights: &[f64; 6], d: usize| step * (0..6).map(|i| weights[i] * slopes[i][d]).sum::<f64>();
        let size = y.iter().map(|y| y.abs()).fold(1e-6, f64::max);
        let error = (0..y.len()).map(|d| (sum(&FIFTH, d) - sum(&FOURTH, d)).abs()).fold(0.0, f64::max);
        let ratio = error / (TOLERANCE * size);
        if ratio <= 1.0 {
            let next: Vec<f64> = (0..y.len()).map(|d| y[d] + sum(&FIFTH, d)).collect();
            y = next;
            s = if step == end - s { end } else { s + step };
        }
        step *= (0.9 * ratio.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
    }
    y
}

#[test]
fn the_solver_knows_gaussians() {
    // x − alpha mean keeps its place in units of the standard deviation.
    let (mean, widths) = ([0.7, -2.0], [0.3, 5.0]);
    let law = Mixture::gaussian(mean.to_vec(), widths.to_vec());
    for process in crate::common::forward::all() {
        let [from, to] = [process.t_max, process.t_min].map(|t| process.at(t));
        let spread = |level: Level, d: usize| (level.alpha * widths[d]).hypot(level.sigma);
        let x = [1.3, -0.4].map(|z| z * process.prior());
        let found = carried(&law, &process, &x);
        for d in 0..2 {
            let exact = to.alpha * mean[d] + (x[d] - from.alpha * mean[d]) * spread(to, d) / spread(from, d);
            assert!((found[d] - exact).abs() < 1e-8 * (1.0 + exact.abs()), "{process:?}: {} for {exact}", found[d]);
        }
    }
}
