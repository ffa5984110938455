//! The reverse SDE in Euler-Maruyama steps.

use super::ddim::ddim_row;
use super::{Grid, Level, Row, Sampler, Spacing};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Reverse-time SDE (Anderson 1982; Song et al. 2021, eq. 6):
///
/// x_mean = x − (f(x, t) − g² score(x, t)) dt, x ← x_mean + g √dt z
///
/// As in the published experiments, N steps visit N evenly spaced times from t_max to t_min, both included, with
/// dt = t_max / N, and the result is the last x_mean (with [`Grid::denoise`]). On another [`Spacing`] or along a schedule,
/// dt is the distance to the next time, and to 0 at the last.
///
/// Near alpha = 0 drift and g² grow without bound. Where the drift takes all of x away within a step (rate · dt ≤ −1), Euler's
/// step is no approximation of anything; it is then drawn from the forward process's posterior, as in
/// [`Ancestral`](super::Ancestral). From alpha = 0, where x says nothing of the data, that is x ← sigma′ z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EulerMaruyama;

/// A draw from p(x′ | x, x_0 = denoised) in terms of the score: what x loses, and the factors of score and noise.
fn posterior(from: &Level, to: &Level) -> [f64; 3] {
    if from.alpha == 0.0 {
        return [1.0, 0.0, to.sigma];
    }
    // With denoised = (x + sigma² score) / alpha.
    let row = ddim_row(from, to, 1.0);
    let [of_x, of_denoised, noise] = [row[1], row[2], row[3]];
    [1.0 - of_x - of_denoised / from.alpha, of_denoised * from.sigma.powi(2) / from.alpha, noise]
}

impl Sampler for EulerMaruyama {
    fn name(&self) -> &'static str {
        "euler-maruyama"
    }

    fn order(&self) -> Option<usize> {
        Some(1)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn draws(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [&'static str] {
        &["t", "drift_rate_dt", "diffusion_squared_dt", "noise"]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let times = grid.times(sde, grid.steps);
        // Linear along a schedule is not even in time.
        let is_even = |steps: &[f64]| (steps[0] - 2.0 * steps[1] + steps[2]).abs() < 1e-9;
        let is_published = grid.spacing == Spacing::Linear && times.windows(3).all(is_even);
        let row = |i: usize| {
            let t = times[i];
            let dt = if is_published {
                sde.t_max() / grid.steps as f64
            } else {
                t - times.get(i + 1).copied().unwrap_or(0.0)
            };
            let at = sde.at(t);
            let last = grid.denoise && i + 1 == grid.steps;
            let [drift, diffusion, noise] = if at.drift_rate * dt > -1.0 {
                let variance = at.diffusion_squared * dt;
                [at.drift_rate * dt, variance, variance.sqrt()]
            } else {
                let from = Level::at(sde, t);
                posterior(&from, &times.get(i + 1).map_or_else(|| Level::clean(t), |next| Level::at(sde, *next)))
            };
            vec![t, drift, diffusion, if last { 0.0 } else { noise }]
        };
        (0..grid.steps).map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let [t, drift, diffusion, noise] =
            ["t", "drift_rate_dt", "diffusion_squared_dt", "noise"].map(|name| row.entry(graph, name));
        let score = model.predict(graph, x, t, Quantity::Score);
        let z = row.normal(graph, 0, x);
        let [x_, score_, drift_, diffusion_, noise_, z_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let mean = &x_ - (drift_ * &x_ - diffusion_ * score_);
        graph.map(&[x, score, drift, diffusion, noise, z], &(mean + noise_ * z_))
    }
}
