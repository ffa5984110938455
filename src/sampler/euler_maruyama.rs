//! The reverse SDE in Euler-Maruyama steps.

use super::{Grid, Row, Sampler, Spacing};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Reverse-time SDE (Anderson 1982; Song et al. 2021, eq. 6):
///
/// x_mean = x − (f(x, t) − g² score(x, t)) dt, x ← x_mean + g √dt z
///
/// As in the published experiments, N steps visit N evenly spaced times from t_max to t_min, both included, with
/// dt = t_max / N, and the result is the last x_mean (with [`Grid::denoise`]). On another [`Spacing`], dt is the distance
/// to the next time, and to 0 at the last. From alpha = 0, where drift and g are infinite and x says nothing of the
/// data, the step is x ← sigma′ z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EulerMaruyama;

impl Sampler for EulerMaruyama {
    fn name(&self) -> &'static str {
        "euler-maruyama"
    }

    fn order(&self) -> usize {
        1
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [&'static str] {
        &["t", "drift_rate_dt", "diffusion_squared_dt", "noise"]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let times = grid.times(sde, grid.steps);
        let row = |i: usize| {
            let next = times.get(i + 1).copied().unwrap_or(0.0);
            let dt = match grid.spacing {
                Spacing::Linear => sde.t_max() / grid.steps as f64,
                Spacing::Karras { .. } => times[i] - next,
            };
            let at = sde.at(times[i]);
            let last = grid.denoise && i + 1 == grid.steps;
            if at.alpha == 0.0 {
                return vec![times[i], 1.0, 0.0, if last { 0.0 } else { sde.at(next).sigma }];
            }
            let variance = at.diffusion_squared * dt;
            let noise = if last { 0.0 } else { variance.sqrt() };
            vec![times[i], at.drift_rate * dt, variance, noise]
        };
        (0..grid.steps).map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let [t, drift, diffusion, noise] =
            ["t", "drift_rate_dt", "diffusion_squared_dt", "noise"].map(|name| row.entry(graph, name));
        let score = model.predict(graph, x, t, Quantity::Score);
        let shape = graph.shape(x).clone();
        let z = graph.normal(row.clock, "sampler.noise", shape);
        let [x_, score_, drift_, diffusion_, noise_, z_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let mean = &x_ - (drift_ * &x_ - diffusion_ * score_);
        graph.map(&[x, score, drift, diffusion, noise, z], &(mean + noise_ * z_))
    }
}
