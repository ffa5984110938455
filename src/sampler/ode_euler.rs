//! The probability flow in Euler steps.

use super::Column::{Carried, Number, Time};
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// The probability flow (Song et al. 2021, eq. 13) in the variables y = x / alpha and s = sigma / alpha, in which it
/// reads dy/ds = (y − denoised) / s (Karras et al. 2022, eq. 4) and the linear drift is gone:
///
/// d = (y − denoised(x, t)) / s, y ← y + (s′ − s) d
///
/// For VP this is DDIM (Song, Meng and Ermon 2021). The last step of a [`Grid`] that denoises goes to s′ = 0. In x
/// itself the step is x ← (sigma′/sigma) x + (alpha′ − alpha sigma′/sigma) denoised, which also holds where alpha is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OdeEuler;

impl OdeEuler {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("ode-euler", "The probability flow in Euler steps.", |_| stepwise(Self));

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        // y′ = (s′/s) y + (1 − s′/s) denoised, times alpha′.
        let row = |pair: &[Level]| {
            let [of_x, of_denoised] = pair[0].flow(&pair[1]);
            vec![pair[0].t, of_x, of_denoised]
        };
        levels.windows(2).map(row).collect()
    }
}

impl Sampler for OdeEuler {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(1)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        row.combine(graph, &[("x", x), ("denoised", denoised)])
    }
}
