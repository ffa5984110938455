//! The probability flow in Euler steps.

use super::{Grid, Row, Sampler};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// The probability flow (Song et al. 2021, eq. 13) in the variables y = x / alpha and s = sigma / alpha, in which it reads
/// dy/ds = (y − denoised) / s (Karras et al. 2022, eq. 4) and the linear drift is gone:
///
/// d = (y − denoised(x, t)) / s, y ← y + (s′ − s) d
///
/// For VP this is DDIM (Song, Meng and Ermon 2021). The last step of a [`Grid`] that denoises goes to s′ = 0. In x itself
/// the step is x ← (sigma′/sigma) x + (alpha′ − alpha sigma′/sigma) denoised, which also holds where alpha is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OdeEuler;

impl Sampler for OdeEuler {
    fn name(&self) -> &'static str {
        "ode-euler"
    }

    fn order(&self) -> usize {
        1
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [&'static str] {
        &["t", "x", "denoised"]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let row = |step: &Step| {
            let [of_x, of_denoised] = step.euler();
            vec![step.t, of_x, of_denoised]
        };
        steps(sde, grid).iter().map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let [t, of_x, of_denoised] = ["t", "x", "denoised"].map(|name| row.entry(graph, name));
        let denoised = model.predict(graph, x, t, Quantity::Denoised);
        let [x_, denoised_, of_x_, of_denoised_] = [0, 1, 2, 3].map(Expr::input);
        graph.map(&[x, denoised, of_x, of_denoised], &(of_x_ * x_ + of_denoised_ * denoised_))
    }
}

/// One step of a deterministic sampler: from (t, alpha, sigma) to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub t: f64,
    pub alpha: f64,
    pub sigma: f64,
    /// Equal to `t` where the step goes to sigma′ = 0, for which there may be no time.
    pub t_next: f64,
    pub alpha_next: f64,
    pub sigma_next: f64,
}

impl Step {
    /// The factors of x and denoised in Euler's step.
    pub fn euler(&self) -> [f64; 2] {
        let ratio = self.sigma_next / self.sigma;
        [ratio, self.alpha_next - self.alpha * ratio]
    }
}

/// The steps of a grid: N + 1 times for N steps, or, if it denoises, N times and then sigma′ = 0, alpha′ = 1.
pub(super) fn steps(sde: &dyn Sde, grid: &Grid) -> Vec<Step> {
    let times = grid.times(sde, if grid.denoise { grid.steps } else { grid.steps + 1 });
    let step = |i: usize| {
        let (t, at) = (times[i], sde.at(times[i]));
        let next = times.get(i + 1).map(|t_next| (*t_next, sde.at(*t_next)));
        let (t_next, alpha_next, sigma_next) = next.map_or((t, 1.0, 0.0), |(t, at)| (t, at.alpha, at.sigma));
        Step { t, alpha: at.alpha, sigma: at.sigma, t_next, alpha_next, sigma_next }
    };
    (0..grid.steps).map(step).collect()
}
