//! A Gaussian mixture, its noised scores, and how exactly f32 can know them.

use crate::cases::Source;
use crate::common::forward::Level;

/// Half the distance of neighbouring floats at 1.
pub const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// What a mixture is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sizes {
    /// Widths within a factor of ten of each other, anywhere between 1e-3 and 1e3; means as far apart as a thousand
    /// widths.
    Alike,
    /// Every width by itself between 1e-3 and 1e3.
    Wild,
    /// Widths from 0.1 to 1 and means about 1.
    Tame,
}

/// Σ w_k N(mean_k, diag(width_k²)).
#[derive(Clone, Debug)]
pub struct Mixture {
    pub dims: usize,
    pub weights: Vec<f64>,
    /// `[k][d]`
    pub means: Vec<Vec<f64>>,
    /// `[k][d]`
    pub widths: Vec<Vec<f64>>,
}

impl Mixture {
    /// One of up to `most` components.
    pub fn draw(random: &mut Source, sizes: Sizes, most: usize) -> Self {
        let dims = 1 + random.below(6);
        let components = (random.size(1.0, most as f64 + 1.0) as usize).min(most);
        let (width, reach) = match sizes {
            Sizes::Alike => (random.size(3e-3, 3e2), random.size(0.3, 1e3)),
            Sizes::Wild => (1.0, random.size(1e-2, 1e3)),
            Sizes::Tame => (0.3, 3.0),
        };
        let reach = (reach * width).min(1e3);
        let mut of_width = |random: &mut Source| match sizes {
            Sizes::Wild => random.size(1e-3, 1e3),
            _ => width * random.size(1.0 / 3.0, 3.0),
        };
        let each = |random: &mut Source, number: &mut dyn FnMut(&mut Source) -> f64| -> Vec<Vec<f64>> {
            (0..components).map(|_| (0..dims).map(|_| number(random)).collect()).collect()
        };
        let means = each(random, &mut |random| reach * random.normal());
        let widths = each(random, &mut of_width);
        let raw: Vec<f64> = (0..components).map(|_| random.size(1e-6, 1.0)).collect();
        let total: f64 = raw.iter().sum();
        let weights = raw.iter().map(|weight| weight / total).collect();
        Self { dims, weights, means, widths }
    }

    /// A single Gaussian.
    pub fn gaussian(mean: Vec<f64>, widths: Vec<f64>) -> Self {
        Self { dims: mean.len(), weights: vec![1.0], means: vec![mean], widths: vec![widths] }
    }

    /// `[data]` of a config.
    pub fn toml(&self) -> String {
        let Self { weights, means, widths, .. } = self;
        format!("[data]\nkind = \"mixture\"\nn = 6\nweights = {weights:?}\nmeans = {means:?}\nwidths = {widths:?}")
    }

    /// The root mean square of the data's coordinates.
    pub fn size(&self) -> f64 {
        let of =
            |k: usize| -> f64 { (0..self.dims).map(|d| self.means[k][d].powi(2) + self.widths[k][d].powi(2)).sum() };
        (self.weights.iter().enumerate().map(|(k, weight)| weight * of(k)).sum::<f64>() / self.dims as f64).sqrt()
    }

    /// A noisy point, of a component by its weight or, for `any`, of any, as floats hold it.
    pub fn noisy(&self, random: &mut Source, level: Level, any: bool) -> Vec<f32> {
        let mut left = random.between(0.0, 1.0);
        let by_weight = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let k = if any { random.below(self.weights.len()) } else { by_weight.unwrap_or(0) };
        let of = |d: usize| {
            let clean = self.means[k][d] + self.widths[k][d] * random.normal();
            (level.alpha * clean + level.sigma * random.normal()) as f32
        };
        (0..self.dims).map(of).collect()
    }

    /// ln of each component's share of the density at x, but for what they have in common.
    fn logs(&self, x: &[f64], level: Level) -> Vec<f64> {
        let of = |k: usize| {
            let axis = |d: usize| {
                let variance = (level.alpha * self.widths[k][d]).powi(2) + level.sigma.powi(2);
                (x[d] - level.alpha * self.means[k][d]).powi(2) / variance + variance.ln()
            };
            self.weights[k].ln() - 0.5 * (0..self.dims).map(axis).sum::<f64>()
        };
        (0..self.weights.len()).map(of).collect()
    }

    /// E[x_0 | x].
    pub fn denoised(&self, x: &[f64], level: Level) -> Vec<f64> {
        let shares = shares(&self.logs(x, level));
        let of = |d: usize| shares.iter().enumerate().map(|(k, share)| share * self.given(k, d, x, level)[1]).sum();
        (0..self.dims).map(of).collect()
    }

    /// What component k says of score and denoised along axis d.
    fn given(&self, k: usize, d: usize, x: &[f64], level: Level) -> [f64; 2] {
        let (mean, width) = (self.means[k][d], self.widths[k][d]);
        let variance = (level.alpha * width).powi(2) + level.sigma.powi(2);
        let distance = x[d] - level.alpha * mean;
        [-distance / variance, mean + level.alpha * width * width / variance * distance]
    }

    /// Score and denoised at x, and the largest errors that roundings can cause.
    ///
    /// Every number that goes in is taken to be off by what it has been rounded by (alpha and sigma by `off` besides),
    /// and every operation by what it rounds, all of them as unluckily as can be. To first order.
    pub fn exactly(&self, x: &[f64], level: Level, off: f64) -> Exact {
        let u = ROUNDING;
        let off = off + u;
        let count = self.weights.len();
        let logs = self.logs(x, level);
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares = shares(&logs);
        // Of each component: by how much its share's logarithm is off.
        let mut log_errors = Vec::with_capacity(count);
        // Of each component and axis: score and denoised, and by how much they are off.
        let mut values = Vec::with_capacity(count);
        let mut value_errors = Vec::with_capacity(count);
        for (k, log) in logs.iter().enumerate() {
            let mut log_error = (1.0 + self.dims as f64) * u * (log.abs() + self.weights[k].ln().abs());
            let mut of_axes = Vec::with_capacity(self.dims);
            let mut errors_of_axes = Vec::with_capacity(self.dims);
            for d in 0..self.dims {
                let (mean, width) = (self.means[k][d], self.widths[k][d]);
                let variance = (level.alpha * width).powi(2) + level.sigma.powi(2);
                let of_variance = 2.0 * off + 4.0 * u;
                let distance = x[d] - level.alpha * mean;
                let of_distance = (level.alpha * mean).abs() * (off + 2.0 * u) + u * distance.abs();
                // A quotient of WGSL may be off by two and a half floats, a logarithm by three or 2^-21.
                let square = distance * distance / variance;
                let of_square = 2.0 * distance.abs() * of_distance / variance + square * (of_variance + 7.0 * u);
                let of_log = of_variance + 8.0 * u + 7.0 * u * variance.ln().abs();
                let sum = self.dims as f64 * u * (square + variance.ln().abs());
                log_error += 0.5 * (of_square + of_log + sum);
                let gain = level.alpha * width * width / variance;
                let [score, denoised] = self.given(k, d, x, level);
                of_axes.push([score, denoised]);
                errors_of_axes.push([
                    of_distance / variance + score.abs() * (of_variance + 6.0 * u),
                    u * mean.abs()
                        + gain * of_distance
                        + (gain * distance).abs() * (off + of_variance + 9.0 * u)
                        + u * denoised.abs(),
                ]);
            }
            // The exponential of what is left after the largest was taken away.
            log_errors.push(log_error + u * (5.0 + 4.0 * (log - most).abs()));
            values.push(of_axes);
            value_errors.push(errors_of_axes);
        }
        let mean = |q: usize, d: usize| (0..count).map(|k| shares[k] * values[k][d][q]).sum::<f64>();
        let bound = |q: usize, d: usize| {
            let mean = mean(q, d);
            let of = |k: usize| {
                let size = values[k][d][q].abs();
                let of_share = log_errors[k] * (values[k][d][q] - mean).abs();
                shares[k] * (of_share + value_errors[k][d][q] + (count as f64 + 6.0) * u * size)
            };
            (0..count).map(of).sum::<f64>()
        };
        // The components that may have a share at all.
        let could: Vec<usize> = (0..count).filter(|k| shares[*k].ln() + 2.0 * log_errors[*k] > -40.0).collect();
        let slack = could.iter().map(|k| log_errors[*k]).fold(0.0, f64::max);
        let hull = |q: usize, d: usize| {
            let ends = could.iter().map(|k| (values[*k][d][q], value_errors[*k][d][q]));
            ends.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], (value, error)| {
                [low.min(value - 2.0 * error), high.max(value + 2.0 * error)]
            })
        };
        let axes = 0..self.dims;
        Exact {
            values: axes.clone().map(|d| [mean(0, d), mean(1, d)]).collect(),
            bounds: axes.clone().map(|d| [bound(0, d), bound(1, d)]).collect(),
            hulls: axes.map(|d| [hull(0, d), hull(1, d)]).collect(),
            slack,
        }
    }
}

/// Score (0) and denoised (1) along every axis.
pub struct Exact {
    pub values: Vec<[f64; 2]>,
    /// How far off f32 may be, to first order in `slack`.
    pub bounds: Vec<[f64; 2]>,
    /// Between what the components say, which holds whatever their shares are.
    pub hulls: Vec<[[f64; 2]; 2]>,
    /// By how much the logarithms of the shares may be off. Where that is not small, f32 does not know which component
    /// a point is of.
    pub slack: f64,
}

/// What is in proportion to the exponentials, as shares of a whole.
fn shares(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}
