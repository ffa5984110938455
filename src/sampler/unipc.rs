//! A unified predictor and corrector.

use super::Column::{Carried, Number, Time};
use super::history::{recall, remember};
use super::level::usable;
use super::{Column, Grid, Level, MultistepOrder, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};
use crate::violation::Violation;

/// UniPC (Zhao et al. 2023, algorithms 1 and 2, predicting denoised, with B(h) = e^{−h} − 1, their "bh2"). A step first
/// corrects the x that the last one predicted, with the denoised value found there, and then predicts from that:
///
/// x_c ← (sigma / sigma_1) x_1 + alpha (1 − e^{−h}) m_1 − alpha B(h) (Σ_k ρ_k (m_k − m_1) / r_k + ρ_0 (m_0 − m_1)),
/// x ← (sigma′ / sigma) x_c + alpha′ (1 − e^{−h′}) m_0 − alpha′ B(h′) Σ_k ρ_k (m_k − m_0) / r_k
///
/// where m_0 is denoised, m_k that of k steps ago, r_k how far back it lies in units of the step (negative), and ρ
/// solves the order conditions. So the order is one more than that of the predictor, and a step costs one evaluation.
/// The first steps, and those to or from infinite lambda, are of lower order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniPc {
    /// Denoised values that the predictor goes by: 1, 2 or 3.
    pub order: usize,
}

const PAST: [&str; 3] = ["sampler.denoised_1", "sampler.denoised_2", "sampler.denoised_3"];
const STATES: [&str; 4] = [PAST[0], PAST[1], PAST[2], CORRECTED];
const CORRECTED: &str = "sampler.corrected";

impl UniPc {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("unipc", "UniPC, predictor and corrector at one evaluation a step.", |options| {
            stepwise(Self { order: options.multistep.order.unwrap_or(2) })
        })
        .taking(&[MultistepOrder::NAMES])
        .checked(|options| match options.multistep.order {
            Some(4..) => Err(Violation::new("order", "must be 1, 2 or 3 for unipc")),
            _ => Ok(()),
        });

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |i: usize| {
            let corrector = match i {
                0 => [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                _ => self.corrector(levels, i - 1),
            };
            [vec![levels[i].t], corrector.to_vec(), self.predictor(levels, i).to_vec()].concat()
        };
        (0..levels.len() - 1).map(row).collect()
    }

    /// The order of step `i`.
    fn order_at(&self, levels: &[Level], i: usize) -> usize {
        if levels[i].growth(&levels[i + 1]).is_finite() { self.order.min(usable(levels, i)) } else { 1 }
    }

    /// The factors of x and of m_0, m_1, m_2 in the prediction of step `i`.
    fn predictor(&self, levels: &[Level], i: usize) -> [f64; 4] {
        let Conditions { flow, scale, ratios, matrix, right } = Conditions::of(levels, i, self.order_at(levels, i));
        let known = ratios.len() - 1;
        // Of order 2 the condition is dropped for its limit, as published.
        let shares = if known == 1 { vec![0.5] } else { solve(&matrix, &right, known) };
        let mut factors = [flow[0], flow[1], 0.0, 0.0];
        for (k, share) in shares.iter().enumerate() {
            factors[2 + k] = scale * share / ratios[k];
            factors[1] -= factors[2 + k];
        }
        factors
    }

    /// The factors of x itself, of x_1 and of m_0, m_1, m_2, m_3 in the correction of what step `i` predicted.
    fn corrector(&self, levels: &[Level], i: usize) -> [f64; 6] {
        let Conditions { flow, scale, ratios, matrix, right } = Conditions::of(levels, i, self.order_at(levels, i));
        let last = ratios.len() - 1;
        let shares = if last == 0 { vec![0.5] } else { solve(&matrix, &right, ratios.len()) };
        let mut factors = [0.0, flow[0], scale * shares[last], flow[1] - scale * shares[last], 0.0, 0.0];
        for k in 0..last {
            factors[4 + k] = scale * shares[k] / ratios[k];
            factors[3] -= factors[4 + k];
        }
        factors
    }
}

/// What the order conditions of a step consist of.
struct Conditions {
    /// Factors of x and of the denoised value at the step's start.
    flow: [f64; 2],
    /// −alpha′ B(h).
    scale: f64,
    /// r_k of the earlier values, and 1 for the value at the step's end.
    ratios: Vec<f64>,
    /// Powers of the ratios, a row for each condition.
    matrix: Vec<Vec<f64>>,
    right: Vec<f64>,
}

impl Conditions {
    fn of(levels: &[Level], i: usize, order: usize) -> Self {
        let (from, to) = (&levels[i], &levels[i + 1]);
        let h = from.growth(to);
        let b = (-h).exp_m1();
        let mut ratios: Vec<f64> = (1..order).map(|k| from.growth(&levels[i - k]) / h).collect();
        ratios.push(1.0);
        let (mut phi, mut factorial) = (-b / h - 1.0, 1.0);
        let mut right = Vec::new();
        for k in 1..=order {
            right.push(phi * factorial / b);
            factorial *= (k + 1) as f64;
            phi = -phi / h - 1.0 / factorial;
        }
        let matrix = (0..order).map(|power| ratios.iter().map(|r| r.powi(power as i32)).collect()).collect();
        Self { flow: from.flow(to), scale: -to.alpha * b, ratios, matrix, right }
    }
}

/// The first `n` unknowns of the first `n` equations, by elimination with pivots.
fn solve(matrix: &[Vec<f64>], right: &[f64], n: usize) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = (0..n).map(|i| [&matrix[i][..n], &right[i..=i]].concat()).collect();
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        rows.swap(column, pivot.unwrap_or(column));
        let pivot = rows[column].clone();
        for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            debug_assert_ne!(i, column);
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(&pivot).for_each(|(entry, above)| *entry -= factor * above);
        }
    }
    (0..n).map(|i| rows[i][n] / rows[i][i]).collect()
}

impl Sampler for UniPc {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(self.order + 1)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn least_steps(&self) -> usize {
        self.order
    }

    fn states(&self) -> &'static [&'static str] {
        &STATES
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Time("t"),
            Number("keep"),
            Carried("c_x_1"),
            Number("c_m_0"),
            Number("c_m_1"),
            Number("c_m_2"),
            Number("c_m_3"),
            Carried("x"),
            Number("m_0"),
            Number("m_1"),
            Number("m_2"),
        ]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let m_0 = model.predict(graph, x, &level, Quantity::Denoised);
        let [m_1, m_2, m_3] = recall(graph, PAST, x);
        let [x_1] = recall(graph, [CORRECTED], x);
        let past = [("keep", x), ("c_x_1", x_1), ("c_m_0", m_0), ("c_m_1", m_1), ("c_m_2", m_2), ("c_m_3", m_3)];
        let corrected = row.combine(graph, &past);
        remember(graph, PAST, m_0, [m_1, m_2, m_3]);
        graph.assign(CORRECTED, corrected);
        row.combine(graph, &[("x", corrected), ("m_0", m_0), ("m_1", m_1), ("m_2", m_2)])
    }
}
