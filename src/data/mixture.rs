//! Gaussian mixtures: the distributions whose score is known at every noise level.

use super::draw::Draw;
use super::{DataError, Dataset, Values, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// The standard deviation of one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Width {
    /// The same along every axis.
    Isotropic(f64),
    /// One for each axis.
    PerAxis(Vec<f64>),
}

/// A mixture of Gaussians with diagonal covariances, in any dimension.
///
/// Noised as `x_t = alpha x_0 + sigma epsilon`, it stays a mixture: means become `alpha * mean` and variances
/// `alpha² width² + sigma²`. So [`log_density`](Self::log_density), [`score`](Self::score) and
/// [`denoised`](Self::denoised) are closed forms. In all of them `alpha` and `sigma` are at least 0 and not both 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    dim: usize,
    weights: Vec<f64>,
    means: Vec<f64>,
    widths: Vec<f64>,
}

impl Mixture {
    /// A mixture of components with these weights, means and widths (one of each a component).
    ///
    /// # Errors
    /// If there is no component or no axis, the numbers of weights, means and widths or the dimensions of the means
    /// differ, a weight or width is not positive, the weights do not sum to 1 within 1e-6 (what remains is divided out), a
    /// number is not finite, or the square of a mean or width is one that 32 bits do not hold ([`size`](super::size)).
    pub fn new(weights: &[f64], means: &[Vec<f64>], widths: &[Width]) -> Result<Self, DataError> {
        let err = |key: String, found: String, expected: String| DataError::Mixture { key, found, expected };
        let count = weights.len();
        if count == 0 {
            return Err(err("weights".into(), "none".into(), "one weight for each component".into()));
        }
        for (key, found) in [("means", means.len()), ("widths", widths.len())] {
            if found != count {
                return Err(err(key.into(), found.to_string(), format!("{count}, as many as there are weights")));
            }
        }
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if let Some(k) = weights.iter().position(|&w| !positive(w)) {
            return Err(err(format!("weights[{k}]"), weights[k].to_string(), "a positive number".into()));
        }
        let sum: f64 = weights.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(err("weights".into(), format!("a sum of {sum}"), "a sum of 1 within 1e-6".into()));
        }
        let dim = means[0].len();
        if dim == 0 {
            return Err(err("means[0]".into(), "no coordinates".into(), "at least one".into()));
        }
        let mut all_widths = Vec::with_capacity(count * dim);
        for (k, (mean, width)) in means.iter().zip(widths).enumerate() {
            if mean.len() != dim {
                let expected = format!("{dim}, as many as means[0] has");
                return Err(err(format!("means[{k}]"), format!("{} coordinates", mean.len()), expected));
            }
            if let Some(x) = mean.iter().find(|x| !x.is_finite()) {
                return Err(err(format!("means[{k}]"), x.to_string(), "finite coordinates".into()));
            }
            if let Some(x) = mean.iter().find(|x| x.abs() > size::LARGEST_MEAN) {
                let expected = format!("coordinates of at most {:e} in size{}", size::LARGEST_MEAN, size::WHY);
                return Err(err(format!("means[{k}]"), format!("{x:e}"), expected));
            }
            let axes = match width {
                Width::Isotropic(w) => vec![*w; dim],
                Width::PerAxis(w) => w.clone(),
            };
            if axes.len() != dim {
                let expected = format!("one width, or {dim}, one for each axis");
                return Err(err(format!("widths[{k}]"), format!("{} widths", axes.len()), expected));
            }
            if let Some(&w) = axes.iter().find(|&&w| !positive(w)) {
                return Err(err(format!("widths[{k}]"), w.to_string(), "a positive standard deviation".into()));
            }
            if let Some(w) = axes.iter().find(|w| !size::WIDTHS.contains(w)) {
                let (least, most) = (size::WIDTHS.start(), size::WIDTHS.end());
                let expected = format!("a standard deviation from {least:e} to {most:e}{}", size::WHY);
                return Err(err(format!("widths[{k}]"), format!("{w:e}"), expected));
            }
            all_widths.extend(axes);
        }
        let weights = weights.iter().map(|w| w / sum).collect();
        Ok(Self { dim, weights, means: means.concat(), widths: all_widths })
    }

    /// A share of this mixture and the rest of another in as many dimensions.
    pub(super) fn with(mut self, other: &Self, share: f64) -> Self {
        self.weights.iter_mut().for_each(|weight| *weight *= share);
        self.weights.extend(other.weights.iter().map(|weight| weight * (1.0 - share)));
        self.means.extend(&other.means);
        self.widths.extend(&other.widths);
        self
    }

    /// Number of dimensions D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of components K.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// The K weights, which sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The means, [K, D].
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The standard deviations along the axes, [K, D].
    pub fn widths(&self) -> &[f64] {
        &self.widths
    }

    /// The mean of the whole mixture, D values.
    pub fn mean(&self) -> Vec<f64> {
        let mean = |d| self.weights.iter().enumerate().map(|(k, w)| w * self.means[k * self.dim + d]).sum();
        (0..self.dim).map(mean).collect()
    }

    /// The standard deviation of the whole mixture along each axis, D values.
    pub fn std(&self) -> Vec<f64> {
        let mean = self.mean();
        let std = |d: usize| {
            let variance = |(k, w): (usize, &f64)| {
                let at = k * self.dim + d;
                w * (self.widths[at].powi(2) + (self.means[at] - mean[d]).powi(2))
            };
            self.weights.iter().enumerate().map(variance).sum::<f64>().sqrt()
        };
        (0..self.dim).map(std).collect()
    }

    /// `ln p_t(x)` in nats, for `x` of D values.
    ///
    /// # Panics
    /// If `x` is not D long.
    pub fn log_density(&self, x: &[f64], alpha: f64, sigma: f64) -> f64 {
        let (logs, peak) = self.log_joint(x, alpha, sigma);
        peak + logs.iter().map(|l| (l - peak).exp()).sum::<f64>().ln()
    }

    /// The probability of each component given the noisy `x`, K values that sum to 1.
    ///
    /// # Panics
    /// If `x` is not D long.
    pub fn responsibilities(&self, x: &[f64], alpha: f64, sigma: f64) -> Vec<f64> {
        let (mut logs, peak) = self.log_joint(x, alpha, sigma);
        logs.iter_mut().for_each(|l| *l = (*l - peak).exp());
        let sum: f64 = logs.iter().sum();
        logs.iter_mut().for_each(|l| *l /= sum);
        logs
    }

    /// Writes the score `∇ ln p_t(x)` to `out`, D values.
    ///
    /// # Panics
    /// If `x` or `out` is not D long.
    pub fn score(&self, x: &[f64], alpha: f64, sigma: f64, out: &mut [f64]) {
        self.average(x, alpha, sigma, out, |mean, width, x| {
            (alpha * mean - x) / (alpha * alpha * width * width + sigma * sigma)
        });
    }

    /// Writes the denoised sample `E[x_0 | x_t = x]` to `out`, D values. By Tweedie's formula it is
    /// `(x + sigma² score) / alpha`; it is computed component by component, so that it holds at `alpha = 0` too.
    ///
    /// # Panics
    /// If `x` or `out` is not D long.
    pub fn denoised(&self, x: &[f64], alpha: f64, sigma: f64, out: &mut [f64]) {
        self.average(x, alpha, sigma, out, |mean, width, x| {
            let gain = alpha * width * width / (alpha * alpha * width * width + sigma * sigma);
            mean + gain * (x - alpha * mean)
        });
    }

    /// Draws `n` samples: values [n, D] and the component of each. The same seed gives the same samples, and the first
    /// samples of a longer draw.
    pub fn sample(&self, n: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut draw = Draw::new(seed);
        let (mut values, mut labels) = (Vec::with_capacity(n * self.dim), Vec::with_capacity(n));
        for _ in 0..n {
            let mut rest = draw.uniform();
            let crossed = self.weights.iter().position(|w| {
                rest -= w;
                rest < 0.0
            });
            // Rounding may leave a remainder of an ulp, which is the last component's.
            let k = crossed.unwrap_or(self.weights.len() - 1);
            for at in k * self.dim..(k + 1) * self.dim {
                values.push((self.means[at] + self.widths[at] * draw.normal()) as f32);
            }
            labels.push(k as u32);
        }
        (values, labels)
    }

    /// A data set of `n` samples of shape `[D]`, labelled by component, that carries this mixture as its exact
    /// distribution.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn dataset(&self, name: &str, n: usize, seed: u64) -> Result<Dataset, DataError> {
        let (values, labels) = self.sample(n, seed);
        let mut set = Dataset::new(name, vec![self.dim], Values::F32(values))?.with_labels(labels)?;
        set.exact = Some(self.clone());
        Ok(set)
    }

    /// `ln(weight_k N(x; alpha mean_k, alpha² width_k² + sigma²))` for each k, and the greatest of them.
    fn log_joint(&self, x: &[f64], alpha: f64, sigma: f64) -> (Vec<f64>, f64) {
        assert_eq!(x.len(), self.dim, "a sample of this mixture has {} values", self.dim);
        let log = |(k, w): (usize, &f64)| {
            let axes = k * self.dim..(k + 1) * self.dim;
            let terms = self.means[axes.clone()].iter().zip(&self.widths[axes]).zip(x).map(|((mean, width), x)| {
                let variance = alpha * alpha * width * width + sigma * sigma;
                (TAU * variance).ln() + (x - alpha * mean).powi(2) / variance
            });
            w.ln() - 0.5 * terms.sum::<f64>()
        };
        let logs: Vec<f64> = self.weights.iter().enumerate().map(log).collect();
        let peak = logs.iter().copied().fold(f64::MIN, f64::max);
        (logs, peak)
    }

    /// Averages `value(mean, width, x)` of each axis over the components given `x`.
    fn average(&self, x: &[f64], alpha: f64, sigma: f64, out: &mut [f64], value: impl Fn(f64, f64, f64) -> f64) {
        assert_eq!(out.len(), self.dim, "a sample of this mixture has {} values", self.dim);
        let shares = self.responsibilities(x, alpha, sigma);
        for (d, out) in out.iter_mut().enumerate() {
            let at = |k: usize| k * self.dim + d;
            *out = shares.iter().enumerate().map(|(k, r)| r * value(self.means[at(k)], self.widths[at(k)], x[d])).sum();
        }
    }
}
