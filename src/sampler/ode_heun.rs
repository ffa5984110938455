//! The probability flow in Heun steps.

use super::Column::{Carried, Number, Time};
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, NoiseLevel, Quantity, Sde};

/// Heun's method on the probability flow in y = x / alpha and s = sigma / alpha (Karras et al. 2022, algorithm 1):
///
/// d = (y − denoised(x, t)) / s, y′ = y + (s′ − s) d, then
/// d′ = (y′ − denoised(x′, t′)) / s′, y ← y + (s′ − s) (d + d′) / 2
///
/// The last step of a [`Grid`] that denoises goes to s′ = 0 and is Euler's: d′ is then computed but counts nothing. A
/// first step from alpha = 0, where s is infinite, is Heun's in x / sigma and alpha / sigma, whose slope is denoised:
///
/// x ← (sigma′/sigma) x + (alpha′ − alpha sigma′/sigma) (denoised(x, t) + denoised(x′, t′)) / 2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OdeHeun;

impl OdeHeun {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("ode-heun", "The probability flow in Heun steps.", |_| stepwise(Self));

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |pair: &[Level]| [vec![pair[0].t], heun_row(&pair[0], &pair[1])].concat();
        levels.windows(2).map(row).collect()
    }
}

impl Sampler for OdeHeun {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        2
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Time("t"),
            Time("t_next"),
            Number("euler_x"),
            Number("euler_denoised"),
            Carried("x"),
            Number("denoised"),
            Number("x_next"),
            Number("denoised_next"),
        ]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        heun_step(graph, model, x, &level, row)
    }
}

/// The entries from `t_next` on of Heun's step from one level to the next.
pub(super) fn heun_row(from: &Level, to: &Level) -> Vec<f64> {
    let euler = from.flow(to);
    // There is no time without noise.
    let mut row = vec![if to.is_clean() { from.t } else { to.t }, euler[0], euler[1]];
    if to.is_clean() {
        row.extend([euler[0], euler[1], 0.0, 0.0]);
    } else if from.alpha == 0.0 {
        row.extend([euler[0], 0.5 * euler[1], 0.0, 0.5 * euler[1]]);
    } else {
        // y ← y + ½ (s′ − s) (y − denoised) / s + ½ (s′ − s) (y′ − denoised′) / s′, times alpha′.
        let h = from.growth(to);
        let (half, half_next) = (0.5 * (-h).exp_m1(), -0.5 * h.exp_m1());
        row.extend([(1.0 + half) * to.alpha / from.alpha, -half * to.alpha, half_next, -half_next * to.alpha]);
    }
    row
}

/// Heun's step from `x` at this noise level.
pub(super) fn heun_step(graph: &mut Graph, model: &dyn Model, x: Value, level: &NoiseLevel, row: &Row) -> Value {
    let next = row.level(graph, "t_next");
    let denoised = model.predict(graph, x, level, Quantity::Denoised);
    let x_next = row.combine(graph, &[("euler_x", x), ("euler_denoised", denoised)]);
    let denoised_next = model.predict(graph, x_next, &next, Quantity::Denoised);
    let first = row.combine(graph, &[("x", x), ("denoised", denoised)]);
    let second = row.combine(graph, &[("x_next", x_next), ("denoised_next", denoised_next)]);
    graph.plus(first, second)
}
