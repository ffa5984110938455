//! Steps drawn from the forward process's own posterior.

use super::Column::{Carried, Number, Time};
use super::ddim::ddim_row;
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Ancestral sampling (Ho et al. 2020, algorithm 2; Song et al. 2021, appendix F): the next x is drawn from
/// p(x′ | x, x_0 = denoised), the posterior of the forward process. With e^{−h} = s′ / s, s = sigma / alpha:
///
/// x ← (sigma′ / sigma) e^{−h} x + alpha′ (1 − e^{−2h}) denoised(x, t) + sigma′ √(1 − e^{−2h}) z
///
/// That variance is the smaller of the two of Ho et al. The same steps are DDIM's with eta = 1, and those of
/// DPM-Solver++'s first-order SDE solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestral;

impl Ancestral {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("ancestral", "Draws from the forward process's posterior, as in DDPM.", |_| stepwise(Self));

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        levels.windows(2).map(|pair| ddim_row(&pair[0], &pair[1], 1.0)).collect()
    }
}

impl Sampler for Ancestral {
    fn name(&self) -> &'static str {
        Self::KIND.name
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

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let z = row.normal(graph, 0, x);
        row.combine(graph, &[("x", x), ("denoised", denoised), ("noise", z)])
    }
}
