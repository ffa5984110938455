//! The probability flow in Euler steps.

use super::{Grid, Row, Sampler};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// The probability flow (Song et al. 2021, eq. 13) in the variables y = x / alpha and s = sigma / alpha, in which it reads
/// dy/ds = (y − denoised) / s (Karras et al. 2022, eq. 4) and the linear drift is gone:
///
/// d = (y − denoised(x, t)) / s, y ← y + (s′ − s) d
///
/// For VP this is DDIM (Song, Meng and Ermon 2021). The last step of a [`Grid`] that denoises goes to s′ = 0.
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
        let row = |level: &Step| {
            // y′ = (s′/s) y + (1 − s′/s) denoised, times alpha′.
            let ratio = level.s_next / level.s;
            vec![level.t, ratio * level.alpha_next / level.alpha, (1.0 - ratio) * level.alpha_next]
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

/// One step of a deterministic sampler: from (t, alpha, s) to the next, s being sigma / alpha.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub t: f64,
    pub alpha: f64,
    pub s: f64,
    /// Equal to `t` where the step goes to s′ = 0, for which there may be no time.
    pub t_next: f64,
    pub alpha_next: f64,
    pub s_next: f64,
}

/// The steps of a grid: N + 1 times for N steps, or, if it denoises, N times and then s′ = 0, alpha′ = 1.
pub(super) fn steps(sde: &dyn Sde, grid: &Grid) -> Vec<Step> {
    let times = grid.times(sde, if grid.denoise { grid.steps } else { grid.steps + 1 });
    let step = |i: usize| {
        let (t, at) = (times[i], sde.at(times[i]));
        let (alpha, s) = (at.alpha, at.noise_to_signal());
        match times.get(i + 1) {
            Some(&t_next) => {
                let next = sde.at(t_next);
                Step { t, alpha, s, t_next, alpha_next: next.alpha, s_next: next.noise_to_signal() }
            }
            None => Step { t, alpha, s, t_next: t, alpha_next: 1.0, s_next: 0.0 },
        }
    };
    (0..grid.steps).map(step).collect()
}
