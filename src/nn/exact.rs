//! The exact score of a noised Gaussian mixture, as a graph.
//!
//! If x_0 has density Σ w_k N(mean_k, diag(width_k²)), then x_t has Σ w_k N(alpha mean_k, diag(v_k)) with
//! v_k = alpha² width_k² + sigma². With the responsibilities r_k(x) = softmax(ln w_k + ln N_k(x)):
//! score = Σ r_k (alpha mean_k − x) / v_k and denoised = Σ r_k (mean_k + alpha width_k² / v_k (x − alpha mean_k)).

use crate::graph::{Expr, Graph, Reduction, Shape, TensorType, Value};
use crate::sde::{Exact, Model, Sde};

/// Names of the states that hold the mixture, and their shapes for K components in D dimensions.
pub mod states {
    /// ln of the weights, `[K]`.
    pub const LOG_WEIGHTS: &str = "mixture.log_weights";
    /// `[K, D]`.
    pub const MEANS: &str = "mixture.means";
    /// Squared widths, `[K, D]`.
    pub const VARIANCES: &str = "mixture.variances";
}

/// A Gaussian mixture with diagonal covariances whose numbers are in the store, so that one graph serves every mixture
/// of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactMixture {
    /// Components K.
    pub components: usize,
    /// Dimensions D.
    pub dims: usize,
}

impl ExactMixture {
    /// What the states hold: `weights` `[K]`, positive; `means` and `widths` (standard deviations) `[K, D]`.
    pub fn states(weights: &[f64], means: &[f64], widths: &[f64]) -> [(&'static str, Vec<f64>); 3] {
        let total: f64 = weights.iter().sum();
        [
            (states::LOG_WEIGHTS, weights.iter().map(|weight| (weight / total).ln()).collect()),
            (states::MEANS, means.to_vec()),
            (states::VARIANCES, widths.iter().map(|width| width * width).collect()),
        ]
    }

    /// The exact model of this law under a process, for samplers and objectives.
    pub fn model<'a>(self, sde: &'a dyn Sde) -> impl Model + 'a {
        Exact {
            sde,
            score: move |graph: &mut Graph, x, alpha, sigma| self.score(graph, x, alpha, sigma),
            denoised: move |graph: &mut Graph, x, alpha, sigma| self.denoised(graph, x, alpha, sigma),
        }
    }

    /// The score at x `[Batch, D]`, with alpha and sigma `[Batch, 1]` or `[1, 1]`: shape `[Batch, D]`.
    pub fn score(&self, graph: &mut Graph, x: Value, alpha: Value, sigma: Value) -> Value {
        self.posterior_mean(graph, x, alpha, sigma, |parts| -(&parts.distance / &parts.noisy_variance))
    }

    /// The mean of x_0 given x, arguments and shape as for [`score`](Self::score).
    pub fn denoised(&self, graph: &mut Graph, x: Value, alpha: Value, sigma: Value) -> Value {
        self.posterior_mean(graph, x, alpha, sigma, |parts| {
            &parts.mean + (&parts.alpha * &parts.variance / &parts.noisy_variance) * &parts.distance
        })
    }

    /// Σ r_k (what `of_component` says of component k). The exponentials start from the largest exponent, so that
    /// nothing overflows.
    fn posterior_mean(
        &self,
        graph: &mut Graph,
        x: Value,
        alpha: Value,
        sigma: Value,
        of_component: impl Fn(&Parts) -> Expr,
    ) -> Value {
        let Self { components, dims } = *self;
        let log_weights = graph.state(states::LOG_WEIGHTS, TensorType::f32(Shape::fixed(&[components])));
        let means = graph.state(states::MEANS, TensorType::f32(Shape::fixed(&[components, dims])));
        let variances = graph.state(states::VARIANCES, TensorType::f32(Shape::fixed(&[components, dims])));
        let x = graph.reshape(x, Shape::batch(&[1, dims]));
        let [alpha, sigma] = [alpha, sigma].map(|value| {
            let batch = graph.shape(value).batch_axis().is_some();
            graph.reshape(value, if batch { Shape::batch(&[1, 1]) } else { Shape::fixed(&[1, 1, 1]) })
        });
        let inputs = [x, alpha, sigma, means, variances];
        let parts = Parts::new();

        // ln(w_k N_k(x)) up to a constant, [Batch, K, 1].
        let exponent = (parts.distance.square() / &parts.noisy_variance + parts.noisy_variance.ln()) * -0.5;
        let exponents = graph.map(&inputs, &exponent);
        let sums = graph.sum(exponents, &[2]);
        let sums = graph.reshape(sums, Shape::batch(&[components]));
        let logs = graph.plus(sums, log_weights);
        let largest = graph.reduce(Reduction::Max, logs, &[1]);
        let powers = graph.map(&[logs, largest], &(Expr::input(0) - Expr::input(1)).exp());
        let total = graph.sum(powers, &[1]);
        let responsibilities = graph.map(&[powers, total], &(Expr::input(0) / Expr::input(1)));
        let responsibilities = graph.reshape(responsibilities, Shape::batch(&[components, 1]));

        let inputs = [x, alpha, sigma, means, variances, responsibilities];
        let weighted = graph.map(&inputs, &(of_component(&parts) * Expr::input(5)));
        let mean = graph.sum(weighted, &[1]);
        graph.reshape(mean, Shape::batch(&[dims]))
    }
}

/// Expressions of one component and one coordinate.
struct Parts {
    alpha: Expr,
    mean: Expr,
    variance: Expr,
    /// alpha² variance + sigma²
    noisy_variance: Expr,
    /// x − alpha mean
    distance: Expr,
}

impl Parts {
    /// Over the inputs x, alpha, sigma, mean, variance.
    fn new() -> Self {
        let [x, alpha, sigma, mean, variance] = [0, 1, 2, 3, 4].map(Expr::input);
        let noisy_variance = alpha.square() * &variance + sigma.square();
        let distance = x - &alpha * &mean;
        Self { alpha, mean, variance, noisy_variance, distance }
    }
}
