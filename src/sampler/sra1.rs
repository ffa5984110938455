//! A stochastic Runge-Kutta method of strong order 1.5.

use super::Column::{Carried, Number, Time};
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// SRA1 (Rößler 2010, table 6.3), for noise that does not depend on the state, on the reverse SDE in y = x / alpha and
/// lambda = ln(alpha / sigma), in which it reads dy = f dλ + g dw with f = 2 (denoised − y), g = √2 sigma / alpha. With
/// h = λ′ − λ, I_1 = √h z_1 and I_10 = h (I_1 + √h z_2 / √3) / 2:
///
/// H = y + ¾ h f(λ, y) + (3/2) g(λ′) I_10 / h
/// y ← y + h (⅓ f(λ, y) + ⅔ f(λ + ¾ h, H)) + g(λ′) I_1 + (g(λ) − g(λ′)) I_10 / h
///
/// Strong order 1.5, weak order 2. A step to no noise goes to denoised. Steps should not be longer than about 1 in
/// lambda; evenly spaced ones in the log-SNR are the best use of a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sra1;

impl Sra1 {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("sra1", "The reverse SDE by a Runge-Kutta method of strong order 1.5.", |_| stepwise(Self));

    /// The table of a path through these levels, with the level at λ + ¾ h of each step (of one to no noise, any).
    pub fn table(&self, levels: &[Level], between: &[Level]) -> Vec<Vec<f64>> {
        let row = |(pair, between): (&[Level], &Level)| {
            let [from, to] = [&pair[0], &pair[1]];
            if to.is_clean() {
                return vec![from.t, from.t, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
            }
            let h = from.growth(to);
            let [g, g_next] = [from, to].map(|level| std::f64::consts::SQRT_2 * level.noise_to_signal());
            // I_10 / h = half (z_1 + z_2 / √3)
            let (half, root_3) = (0.5 * h.sqrt(), 3f64.sqrt());
            let inner = between.alpha * 1.5 * g_next * half;
            let change = to.alpha * (g - g_next) * half;
            vec![
                from.t,
                between.t,
                (1.0 - 1.5 * h) * between.alpha / from.alpha,
                1.5 * h * between.alpha,
                inner,
                inner / root_3,
                (1.0 - 2.0 / 3.0 * h) * to.alpha / from.alpha,
                2.0 / 3.0 * h * to.alpha,
                -4.0 / 3.0 * h * to.alpha / between.alpha,
                4.0 / 3.0 * h * to.alpha,
                to.alpha * g_next * h.sqrt() + change,
                change / root_3,
            ]
        };
        levels.windows(2).zip(between).map(row).collect()
    }
}

impl Sampler for Sra1 {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        2
    }

    fn draws(&self) -> usize {
        2
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Time("t"),
            Time("t_between"),
            Number("inner_x"),
            Number("inner_denoised"),
            Number("inner_z_1"),
            Number("inner_z_2"),
            Carried("x"),
            Number("denoised"),
            Number("x_between"),
            Number("denoised_between"),
            Number("z_1"),
            Number("z_2"),
        ]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let levels = grid.levels(sde);
        let between = |pair: &[Level]| {
            let ratio = pair[0].noise_to_signal() * (-0.75 * pair[0].growth(&pair[1])).exp();
            // Without noise there is no level, and none is needed.
            sde.t_of_noise_to_signal(ratio).map_or(pair[0], |t| Level::at(sde, t))
        };
        self.table(&levels, &levels.windows(2).map(between).collect::<Vec<_>>())
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let [level, level_between] = ["t", "t_between"].map(|name| row.level(graph, name));
        let [z_1, z_2] = [0, 1].map(|draw| row.normal(graph, draw, x));
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let inner = [("inner_x", x), ("inner_denoised", denoised), ("inner_z_1", z_1), ("inner_z_2", z_2)];
        let x_between = row.combine(graph, &inner);
        let denoised_between = model.predict(graph, x_between, &level_between, Quantity::Denoised);
        let known = row.combine(graph, &[("x", x), ("denoised", denoised), ("z_1", z_1), ("z_2", z_2)]);
        let found = row.combine(graph, &[("x_between", x_between), ("denoised_between", denoised_between)]);
        graph.plus(known, found)
    }
}
