//! The reverse SDE in Euler-Maruyama steps.

use super::Column::{Number, Time};
use super::ddim::ddim_row;
use super::{Column, Grid, Level, Row, Sampler, Spacing};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Marginal, Model, Quantity, Sde};

/// Reverse-time SDE (Anderson 1982; Song et al. 2021, eq. 6). From t to the next time t − dt:
///
/// x ← x − (f(x, t) − g² score(x, t)) dt + g √dt z
///
/// Euler's step is an approximation only where it is short. Where the drift takes all of x away within a step (rate ·
/// dt ≤ −1), or the step reaches beyond the clean data (g² dt > sigma²: noise would be amplified, not removed), x is
/// drawn from the forward process's posterior instead, as in [`Ancestral`](super::Ancestral); from alpha = 0, where x
/// says nothing of the data, that is x ← sigma′ z. A step to no noise takes the denoised mean.
///
/// With `published_end`, steps are those of the published experiments: N steps of t_max / N visit N evenly spaced times
/// from t_max to t_min, both included, so that the last step begins at t_min; the result is its mean (with
/// [`Grid::denoise`]) or has its noise too. On another [`Spacing`] or along a schedule, dt is the distance to the next
/// time, and to 0 at the last. That last step multiplies the noise that is left by 1 − g² dt / sigma².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EulerMaruyama {
    /// Whether the path ends as in the published experiments.
    pub published_end: bool,
}

/// What x loses, and the factors of score and noise, in Euler's step; `None` where the drift takes all of x away.
fn euler(at: &Marginal, dt: f64) -> Option<[f64; 3]> {
    let variance = at.diffusion_squared * dt;
    (at.drift_rate * dt > -1.0).then(|| [at.drift_rate * dt, variance, variance.sqrt()])
}

/// The same in a draw from p(x′ | x, x_0 = denoised), with denoised = (x + sigma² score) / alpha.
fn posterior(from: &Level, to: &Level) -> [f64; 3] {
    if from.alpha == 0.0 && !to.is_clean() {
        return [1.0, 0.0, to.sigma];
    }
    let row = ddim_row(from, to, 1.0);
    let [of_x, of_denoised, noise] = [row[1], row[2], row[3]];
    [1.0 - of_x - of_denoised / from.alpha, of_denoised * from.sigma.powi(2) / from.alpha, noise]
}

/// The table of the published experiments.
fn published(sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
    let times = grid.times(sde, grid.steps);
    // Linear along a schedule is not even in time.
    let is_even = |steps: &[f64]| (steps[0] - 2.0 * steps[1] + steps[2]).abs() < 1e-9;
    let even = grid.spacing == Spacing::Linear && times.windows(3).all(is_even);
    let row = |i: usize| {
        let t = times[i];
        let next = times.get(i + 1).copied();
        let dt = if even { sde.t_max() / grid.steps as f64 } else { t - next.unwrap_or(0.0) };
        let to = || next.map_or_else(|| Level::clean(t), |next| Level::at(sde, next));
        let [drift, diffusion, noise] = euler(&sde.at(t), dt).unwrap_or_else(|| posterior(&Level::at(sde, t), &to()));
        let last = grid.denoise && next.is_none();
        vec![t, drift, diffusion, if last { 0.0 } else { noise }]
    };
    (0..grid.steps).map(row).collect()
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

    fn options(&self) -> &'static [&'static str] {
        &["published_end"]
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Number("drift_rate_dt"), Number("diffusion_squared_dt"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        if self.published_end {
            return published(sde, grid);
        }
        let row = |pair: &[Level]| {
            let [from, to] = [&pair[0], &pair[1]];
            let short = |step: &[f64; 3]| !to.is_clean() && step[1] <= from.sigma.powi(2);
            let step = euler(&sde.at(from.t), from.t - to.t).filter(short);
            [vec![from.t], step.unwrap_or_else(|| posterior(from, to)).to_vec()].concat()
        };
        grid.levels(sde).windows(2).map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let [drift, diffusion, noise] =
            ["drift_rate_dt", "diffusion_squared_dt", "noise"].map(|name| row.entry(graph, name));
        let score = model.predict(graph, x, &level, Quantity::Score);
        let z = row.normal(graph, 0, x);
        let [x_, score_, drift_, diffusion_, noise_, z_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let mean = &x_ - (drift_ * &x_ - diffusion_ * score_);
        graph.map(&[x, score, drift, diffusion, noise, z], &(mean + noise_ * z_))
    }
}
