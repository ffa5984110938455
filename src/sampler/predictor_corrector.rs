//! Steps of the reverse SDE, each after some steps of Langevin's dynamics.

use super::Column::{Carried, Number, Time};
use super::option_groups::options;
use super::reverse_diffusion::reverse_diffusion_row;
use super::{Column, Grid, Level, PublishedEnd, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// The norm below which a score counts as 0.
const NO_NORM: f64 = 1e-12;

/// What a norm is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Norms {
    /// Of each sample alone: a sample does not depend on its batch. Where dimensions D are few the law suffers: steps
    /// in proportion to 1 / ‖g‖² keep the density p ‖g‖², whose mean square for normal data is (D + 2) / D times that
    /// of p; the bound on ‖g‖ makes it a little less.
    #[default]
    Sample,
    /// The mean over all samples that are taken at a time, as published.
    Batch,
}

/// Predictor-corrector sampling (Song et al. 2021, algorithms 2 to 5) with Langevin's dynamics as corrector and
/// [`ReverseDiffusion`](super::ReverseDiffusion) as predictor. At each level, first the corrector, M times, as in the
/// authors' code (the paper's listing has it last):
///
/// g = score(x, t), ε = 2 a (snr ‖z‖ / ‖g‖)², x ← x + ε g + √(2 ε) z
///
/// then the predictor's step to the next level. a = (alpha / alpha′)², which for VP is the published 1 − β, and 1 for
/// VE; no process is without one. There is no corrector after the last step.
///
/// Where norms are of each sample alone, ‖g‖² counts as no less than D / (alpha² + sigma²), which is the least mean
/// that it can have for data of unit variance (Cramér and Rao). In a few dimensions D it often is near 0 where the
/// density is not (in one or two the mean of 1 / ‖g‖² is infinite), and the step would throw the sample out. Norms over
/// a batch have no such bound, as published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictorCorrector {
    /// The share of noise in a correction, above 0.
    pub snr: f64,
    /// Corrections M at each level.
    pub corrector_steps: usize,
    /// What the norms are of.
    pub norms: Norms,
    /// The end, as for [`ReverseDiffusion`](super::ReverseDiffusion).
    pub published_end: bool,
}

options! {
    /// How corrections are made.
    Correction {
        /// The share of noise in a correction of `predictor-corrector`. Without it, 0.16.
        #[schemars(range(min = 1e-6, max = 10.0))]
        snr: f64,
        /// Corrections of `predictor-corrector` at each level. Without it, 1.
        #[schemars(range(min = 1, max = 100))]
        corrector_steps: usize,
        /// Whether the norms of a correction are means over all samples that are taken at a time, as in the
        /// publication. A sample then depends on the others. Without it samples of D coordinates spread too far, up to
        /// (D + 2) / D times the mean square where they are normal: much in the plane, nothing in pictures.
        batch_norms: bool,
    }
}

impl PredictorCorrector {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new(
        "predictor-corrector",
        "Langevin corrections before each reverse diffusion step.",
        |options| {
            let Correction { snr, corrector_steps, batch_norms } = options.correction;
            stepwise(Self {
                snr: snr.unwrap_or(Self::DEFAULT.snr),
                corrector_steps: corrector_steps.unwrap_or(Self::DEFAULT.corrector_steps),
                norms: batch_norms
                    .map_or(Self::DEFAULT.norms, |batch| if batch { Norms::Batch } else { Norms::Sample }),
                published_end: options.end.published(),
            })
        },
    )
    .taking(&[Correction::NAMES, PublishedEnd::NAMES]);

    /// The published numbers for VE.
    pub const DEFAULT: Self = Self { snr: 0.16, corrector_steps: 1, norms: Norms::Sample, published_end: false };

    /// The table of a path through these levels. `correction` is √(2 a) snr, `least_norm` the least norm of a score
    /// in one dimension.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |pair: &[Level]| {
            let kept = (pair[0].alpha / pair[1].alpha).powi(2);
            let correction = (2.0 * kept).sqrt() * self.snr;
            [
                vec![pair[0].t, correction, 1.0 / pair[0].alpha.hypot(pair[0].sigma)],
                reverse_diffusion_row(&pair[0], &pair[1], self.published_end).to_vec(),
            ]
            .concat()
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
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn evaluations_per_step(&self) -> usize {
        1 + self.corrector_steps
    }

    fn draws(&self) -> usize {
        1 + self.corrector_steps
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Number("correction"), Number("least_norm"), Carried("x"), Number("score"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let [factor, least] = ["correction", "least_norm"].map(|name| row.entry(graph, name));
        let root_of_dims = (graph.shape(x).inner_elements() as f64).sqrt();
        let mut x = x;
        for correction in 0..self.corrector_steps {
            let score = model.predict(graph, x, &level, Quantity::Score);
            let z = row.normal(graph, correction, x);
            let [of_z, of_score] = [z, score].map(|value| self.norm(graph, value));
            let [of_z_, of_score_, factor_, least_] = [0, 1, 2, 3].map(Expr::input);
            // The root of the step, which f32 holds where the step itself would overflow.
            let root = match self.norms {
                Norms::Sample => factor_ * of_z_ / of_score_.max(least_ * root_of_dims),
                // Scores that are all 0, as between two equal modes, do not say how far to go.
                Norms::Batch => of_score_.less(NO_NORM).select(0.0, factor_ * of_z_ / of_score_.max(NO_NORM)),
            };
            let root = graph.map(&[of_z, of_score, factor, least], &root);
            let [x_, score_, z_, root_] = [0, 1, 2, 3].map(Expr::input);
            let moved = x_ + root_.square() * score_ + &root_ * std::f64::consts::SQRT_2 * z_;
            x = graph.map(&[x, score, z, root], &moved);
        }
        let score = model.predict(graph, x, &level, Quantity::Score);
        let z = row.normal(graph, self.corrector_steps, x);
        row.combine(graph, &[("x", x), ("score", score), ("noise", z)])
    }
}
