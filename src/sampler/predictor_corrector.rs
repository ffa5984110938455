//! Steps of the reverse SDE, each after some steps of Langevin's dynamics.

use super::reverse_diffusion::reverse_diffusion_row;
use super::{Grid, Level, Row, Sampler};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// What a norm is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Norms {
    /// Of each sample alone: a sample does not depend on its batch.
    #[default]
    Sample,
    /// The mean over all samples that are taken at a time, as published.
    Batch,
}

/// Predictor-corrector sampling (Song et al. 2021, algorithms 2 to 5) with Langevin's dynamics as corrector and
/// [`ReverseDiffusion`](super::ReverseDiffusion) as predictor. At each level, first the corrector, M times, as in the authors'
/// code (the paper's listing has it last):
///
/// g = score(x, t), ε = 2 a (snr ‖z‖ / ‖g‖)², x ← x + ε g + √(2 ε) z
///
/// then the predictor's step to the next level. a = (alpha / alpha′)², which for VP is the published 1 − β, and 1 for VE; no process
/// is without one. There is no corrector after the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictorCorrector {
    /// The share of noise in a correction, above 0.
    pub snr: f64,
    /// Corrections M at each level.
    pub corrector_steps: usize,
    /// What the norms are of.
    pub norms: Norms,
}

impl PredictorCorrector {
    /// The published numbers for VE.
    pub const DEFAULT: Self = Self { snr: 0.16, corrector_steps: 1, norms: Norms::Sample };

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |pair: &[Level]| {
            let kept = (pair[0].alpha / pair[1].alpha).powi(2);
            let factor = 2.0 * kept * self.snr * self.snr;
            [vec![pair[0].t, factor], reverse_diffusion_row(&pair[0], &pair[1]).to_vec()].concat()
        };
        levels.windows(2).map(row).collect()
    }

    /// ‖value‖ for each sample, `[Batch, 1]`, or the mean of that over the batch, `[1, 1]`.
    fn norm(&self, graph: &mut Graph, value: Value) -> Value {
        let squares = graph.map(&[value], &Expr::input(0).square());
        let sums = graph.sum(squares, &[1]);
        let norms = graph.map(&[sums], &Expr::input(0).sqrt());
        match self.norms {
            Norms::Sample => norms,
            Norms::Batch => {
                let sum = graph.sum(norms, &[0]);
                graph.map(&[sum], &(Expr::input(0) / Expr::batch()))
            }
        }
    }
}

impl Sampler for PredictorCorrector {
    fn name(&self) -> &'static str {
        "predictor-corrector"
    }

    fn order(&self) -> usize {
        1
    }

    fn evaluations_per_step(&self) -> usize {
        1 + self.corrector_steps
    }

    fn draws(&self) -> usize {
        1 + self.corrector_steps
    }

    fn options(&self) -> &'static [&'static str] {
        &["snr", "corrector_steps", "batch_norms"]
    }

    fn columns(&self) -> &'static [&'static str] {
        &["t", "correction", "x", "score", "noise"]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let [t, factor] = ["t", "correction"].map(|name| row.entry(graph, name));
        let mut x = x;
        for correction in 0..self.corrector_steps {
            let score = model.predict(graph, x, t, Quantity::Score);
            let z = row.normal(graph, correction, x);
            let [of_z, of_score] = [z, score].map(|value| self.norm(graph, value));
            let [a, b, c] = [0, 1, 2].map(Expr::input);
            // A score of 0, as between two equal modes, has no direction to go in; the norm of z is then kept finite.
            let ratio = a / b.max(1e-20);
            let step = graph.map(&[of_z, of_score, factor], &(c * ratio.square()));
            let [x_, score_, z_, step_] = [0, 1, 2, 3].map(Expr::input);
            let moved = x_ + &step_ * score_ + (&step_ * 2.0).sqrt() * z_;
            x = graph.map(&[x, score, z, step], &moved);
        }
        let score = model.predict(graph, x, t, Quantity::Score);
        let z = row.normal(graph, self.corrector_steps, x);
        row.combine(graph, &[("x", x), ("score", score), ("noise", z)])
    }
}
