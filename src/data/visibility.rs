//! What score matching can see of the weights of a mixture.
//!
//! The score of modes that are far apart says next to nothing of how much is in each: where the score of one would notice,
//! there are no data (Wenliang and Kanagawa 2020). Noise brings the modes together, too much of it hides them. So sigma_max
//! has to reach the noise at which the weights are seen.

use super::Mixture;

/// How two mixtures on a line differ that have the same components.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visibility {
    /// E_p (score_p − score_q)²: what an explicit loss sees, without its ½.
    pub fisher: f64,
    /// KL(p ‖ q) in nats: what there is to see.
    pub kl: f64,
}

/// A mixture of normal laws on a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Positive, of sum 1.
    pub weights: Vec<f64>,
    /// As many.
    pub means: Vec<f64>,
    /// Standard deviations, as many.
    pub widths: Vec<f64>,
}

impl Line {
    /// `mixture` seen along the line through the two of its means that are farthest apart; `None` if it has one mean only.
    pub fn along_longest(mixture: &Mixture) -> Option<Self> {
        let dims = mixture.dim();
        let means: Vec<&[f64]> = mixture.means().chunks(dims).collect();
        let squared = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let pairs = means.iter().enumerate().flat_map(|(i, a)| means[..i].iter().map(move |b| (*a, *b)));
        let (a, b) = pairs.max_by(|x, y| squared(x.0, x.1).total_cmp(&squared(y.0, y.1)))?;
        let length = squared(a, b).sqrt();
        if length == 0.0 {
            return None;
        }
        let axis: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - b) / length).collect();
        let product = |x: &[f64]| x.iter().zip(&axis).map(|(x, axis)| x * axis).sum::<f64>();
        let width = |w: &[f64]| w.iter().zip(&axis).map(|(w, axis)| (w * axis).powi(2)).sum::<f64>().sqrt();
        Some(Self {
            weights: mixture.weights().to_vec(),
            means: means.iter().map(|mean| product(mean)).collect(),
            widths: mixture.widths().chunks(dims).map(width).collect(),
        })
    }

    /// How this law p differs from q, the same components with equal weights, when both have noise of `sigma` (with
    /// alpha = 1). By the trapezoidal rule, which is all but exact for densities.
    pub fn visibility(&self, sigma: f64) -> Visibility {
        let deviations: Vec<f64> = self.widths.iter().map(|width| width.hypot(sigma)).collect();
        let [narrowest, widest] =
            [f64::min, f64::max].map(|pick| deviations.iter().copied().reduce(pick).unwrap_or(1.0));
        let [first, last] = [f64::min, f64::max].map(|pick| self.means.iter().copied().reduce(pick).unwrap_or(0.0));
        let (low, high) = (first - 12.0 * widest, last + 12.0 * widest);
        let points = (((high - low) / narrowest * 40.0) as usize).clamp(1000, 1_000_000);
        let step = (high - low) / points as f64;
        let equal = vec![1.0 / self.weights.len() as f64; self.weights.len()];
        let mut result = Visibility { fisher: 0.0, kl: 0.0 };
        for i in 0..=points {
            let x = low + step * i as f64;
            let (log_p, score_p) = self.at(x, &self.weights, &deviations);
            let (log_q, score_q) = self.at(x, &equal, &deviations);
            let mass = log_p.exp() * step;
            result.fisher += mass * (score_p - score_q).powi(2);
            result.kl += mass * (log_p - log_q);
        }
        result
    }

    /// Log density and score at `x`.
    fn at(&self, x: f64, weights: &[f64], deviations: &[f64]) -> (f64, f64) {
        let logs: Vec<f64> = weights
            .iter()
            .zip(&self.means)
            .zip(deviations)
            .map(|((weight, mean), deviation)| {
                weight.ln() - 0.5 * ((x - mean) / deviation).powi(2) - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
            })
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let pulls = self.means.iter().zip(deviations).map(|(mean, deviation)| (mean - x) / (deviation * deviation));
        (largest + total.ln(), powers.iter().zip(pulls).map(|(power, pull)| power / total * pull).sum())
    }

    /// The noise below which scores see this share (0 to 1) of what there is to see of the weights; `None` where there is
    /// nothing, as of equal weights.
    ///
    /// What noise of sigma leaves to see is KL(sigma), and what scores have seen of it by then is
    /// KL(0) − KL(sigma) = ∫ s fisher(s) ds from 0 to sigma (de Bruijn's identity).
    pub fn noise_that_shows(&self, share: f64) -> Option<f64> {
        let [first, last] = [f64::min, f64::max].map(|pick| self.means.iter().copied().reduce(pick).unwrap_or(0.0));
        let whole = self.visibility(0.0).kl;
        let (mut low, mut high) = (1e-3 * (last - first), 1e4 * (last - first));
        if !(whole > 1e-9 && low > 0.0) {
            return None;
        }
        while high / low > 1.001 {
            let middle = (low * high).sqrt();
            let left = self.visibility(middle).kl;
            if left > (1.0 - share) * whole { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// The noise at which the weights are seen best: the largest of [`Visibility::fisher`] over a geometric grid of
    /// `count` levels from a hundredth of the span of the means to all of it. 0 where the weights are equal.
    pub fn most_visible(&self, count: usize) -> f64 {
        let [first, last] = [f64::min, f64::max].map(|pick| self.means.iter().copied().reduce(pick).unwrap_or(0.0));
        let level = |i: usize| (last - first) * 0.01 * 100f64.powf(i as f64 / (count.max(2) - 1) as f64);
        let best = (0..count).map(|i| (self.visibility(level(i)).fisher, level(i))).max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(fisher, _)| *fisher > 1e-12).map_or(0.0, |(_, sigma)| sigma)
    }
}
