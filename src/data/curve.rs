//! Points spread evenly in the parameter of a curve and blurred: a mixture of infinitely many Gaussians, as one of many.

use super::{DataError, Mixture, Width};

/// Gaussians of width `width` whose centres are `centre(u)` with u even in `range`: the integral over u by the rule of Gauss
/// and Legendre with `nodes` nodes. Where neighbouring centres are no farther apart than the width, score and density are
/// exact to about 1e-8, and more so at higher noise.
///
/// # Errors
/// As [`Mixture::new`].
pub(super) fn along(
    range: [f64; 2],
    nodes: usize,
    width: f64,
    centre: impl Fn(f64) -> [f64; 2],
) -> Result<Mixture, DataError> {
    let rule = gauss_legendre(nodes);
    let middle = 0.5 * (range[0] + range[1]);
    let half = 0.5 * (range[1] - range[0]);
    let means: Vec<Vec<f64>> = rule.iter().map(|(node, _)| centre(middle + half * node).to_vec()).collect();
    let weights: Vec<f64> = rule.iter().map(|(_, weight)| 0.5 * weight).collect();
    Mixture::new(&weights, &means, &vec![Width::Isotropic(width); nodes])
}

/// Nodes in (−1, 1) and weights of sum 2 of the rule of Gauss and Legendre, by Newton's method on the polynomial.
fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let n = count as f64;
    let at = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut value) = (1.0, x);
            for k in 2..=count {
                let k = k as f64;
                (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
            }
            slope = n * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::gauss_legendre;

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        for count in [1, 2, 5, 60] {
            let rule = gauss_legendre(count);
            for power in 0..(2 * count as i32).min(40) {
                let found: f64 = rule.iter().map(|(x, weight)| weight * x.powi(power)).sum();
                let wanted = if power % 2 == 0 { 2.0 / f64::from(power + 1) } else { 0.0 };
                assert!((found - wanted).abs() < 1e-13, "{count} nodes, power {power}: {found}");
            }
        }
    }
}
