//! DPM-Solver++, second order.

use super::Column::{Carried, Number, Time};
use super::history::{recall, remember};
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): the linear part of the probability flow is solved exactly in lambda
/// = ln(alpha / sigma), and the denoised value goes on as it did over the last step. With h = lambda′ − lambda and r =
/// h_last / h:
///
/// D = denoised + (denoised − denoised_1) / (2 r), x ← (sigma′ / sigma) x − alpha′ (e^{−h} − 1) D
///
/// The first step has no past, and a step to no noise no extrapolation: there D is denoised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dpm2m;

const PAST: [&str; 1] = ["sampler.denoised_1"];

impl Dpm2m {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new("dpm++2m", "DPM-Solver++(2M).", |_| stepwise(Self));

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |i: usize| {
            let [of_x, of_denoised] = levels[i].flow(&levels[i + 1]);
            let trend = trend(levels, i);
            vec![levels[i].t, of_x, of_denoised * (1.0 + trend), -of_denoised * trend]
        };
        (0..levels.len() - 1).map(row).collect()
    }
}

/// 1 / (2 r): how far the middle of step `i` lies from its start, in units of the last step. 0 where there is nothing
/// to go by.
pub(super) fn trend(levels: &[Level], i: usize) -> f64 {
    let h = levels[i].growth(&levels[i + 1]);
    if i == 0 || h.is_infinite() {
        return 0.0;
    }
    0.5 * h / levels[i - 1].growth(&levels[i])
}

impl Sampler for Dpm2m {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn least_steps(&self) -> usize {
        2
    }

    fn states(&self) -> &'static [&'static str] {
        &PAST
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised"), Number("denoised_1")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let [denoised_1] = recall(graph, PAST, x);
        remember(graph, PAST, denoised, [denoised_1]);
        row.combine(graph, &[("x", x), ("denoised", denoised), ("denoised_1", denoised_1)])
    }
}
