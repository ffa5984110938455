//! DPM-Solver++, third order.

use super::Column::{Carried, Number, Time};
use super::dpm_2m::Dpm2m;
use super::history::{recall, remember};
use super::level::usable;
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// DPM-Solver++(3M) (Lu et al. 2022b, with the differences of its authors' code but for a factor): as [`Dpm2m`], with
/// slope and curvature of the denoised value from its last three. With h = lambda′ − lambda, r_0 = h_1 / h and r_1 =
/// h_2 / h for the steps h_1, h_2 before:
///
/// d_0 = (denoised − denoised_1) / r_0, d_1 = (denoised_1 − denoised_2) / r_1,
/// D′ = d_0 + r_0 / (r_0 + r_1) (d_0 − d_1), D″ = (d_0 − d_1) / (r_0 + r_1),
/// φ_1 = 1 − e^{−h}, φ_2 = 1 − φ_1 / h, φ_3 = 1 − 2 φ_2 / h:
///
/// x ← (sigma′ / sigma) x + alpha′ (φ_1 denoised + φ_2 D′ + φ_3 D″)
///
/// φ_3 is ∫_0^h e^{τ − h} (τ / h)² dτ, which belongs to D″, half the second derivative. The usual code has half of it,
/// and so order 2. The first two steps, and those to or from infinite lambda, are of lower order. Where paths start in
/// much noise, denoised hardly changes there, and the order on the whole way is 3 until steps are very many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dpm3m;

const PAST: [&str; 2] = ["sampler.denoised_1", "sampler.denoised_2"];

impl Dpm3m {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new("dpm++3m", "DPM-Solver++(3M).", |_| stepwise(Self));

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let second_order = Dpm2m.table(levels);
        let row = |i: usize| {
            let h = levels[i].growth(&levels[i + 1]);
            if usable(levels, i) < 3 || h.is_infinite() {
                return [second_order[i].clone(), vec![0.0]].concat();
            }
            let r_0 = levels[i - 1].growth(&levels[i]) / h;
            let r_1 = levels[i - 2].growth(&levels[i - 1]) / h;
            let phi_1 = -(-h).exp_m1();
            let phi_2 = 1.0 - phi_1 / h;
            let phi_3 = 1.0 - 2.0 * phi_2 / h;
            // The factors of d_0 and d_1.
            let of_d_0 = phi_2 * (1.0 + r_0 / (r_0 + r_1)) + phi_3 / (r_0 + r_1);
            let of_d_1 = phi_2 - of_d_0;
            let alpha = levels[i + 1].alpha;
            vec![
                levels[i].t,
                levels[i + 1].sigma / levels[i].sigma,
                alpha * (phi_1 + of_d_0 / r_0),
                alpha * (of_d_1 / r_1 - of_d_0 / r_0),
                -alpha * of_d_1 / r_1,
            ]
        };
        (0..levels.len() - 1).map(row).collect()
    }
}

impl Sampler for Dpm3m {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(3)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn least_steps(&self) -> usize {
        3
    }

    fn states(&self) -> &'static [&'static str] {
        &PAST
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised"), Number("denoised_1"), Number("denoised_2")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let [denoised_1, denoised_2] = recall(graph, PAST, x);
        remember(graph, PAST, denoised, [denoised_1, denoised_2]);
        row.combine(graph, &[("x", x), ("denoised", denoised), ("denoised_1", denoised_1), ("denoised_2", denoised_2)])
    }
}
