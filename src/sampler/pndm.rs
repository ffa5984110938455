//! Pseudo numerical methods.

use super::Column::{Carried, Number, Time};
use super::history::recall;
use super::{Column, Grid, Level, PublishedEnd, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, TensorType, Value};
use crate::sde::{Model, Quantity, Sde};

/// PNDM (Liu et al. 2022, algorithm 2): classical methods of order 4 with DDIM's step φ in the place of a straight
/// line,
///
/// φ(x, e, t → t′) = (alpha′ / alpha) x + (sigma′ − alpha′ sigma / alpha) e
///
/// The first three steps are Runge-Kutta's, e = (e_1 + 2 e_2 + 2 e_3 + e_4) / 6 with e_2 and e_3 at the middle of the
/// time between; all others are Adams-Bashforth's, e = (55 e_0 − 59 e_1 + 37 e_2 − 9 e_3) / 24. A row of the table is
/// one evaluation: four rows for each of the first three steps, one for every other. A step to no noise goes by e_0
/// alone, which is the denoised mean; with `published_end` it keeps its order, as in diffusers.
///
/// The weights are those of even steps in sigma / alpha, which times seldom are: as the paper says, the order is 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pndm {
    /// Whether a step to no noise keeps its order.
    pub published_end: bool,
}

/// Steps that are Runge-Kutta's.
const STARTING: usize = 3;
const PAST: [&str; 3] = ["sampler.epsilon_1", "sampler.epsilon_2", "sampler.epsilon_3"];
const BASE: &str = "sampler.base";
const GATHERED: &str = "sampler.gathered";
const STATES: [&str; 5] = [PAST[0], PAST[1], PAST[2], BASE, GATHERED];

/// φ: the factors of x and of e.
fn transfer(from: &Level, to: &Level) -> [f64; 2] {
    [to.alpha / from.alpha, to.sigma - to.alpha * from.noise_to_signal()]
}

impl Pndm {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("pndm", "PNDM: Runge-Kutta for three steps, then linear multistep.", |options| {
            stepwise(Self { published_end: options.end.published() })
        })
        .taking(&[PublishedEnd::NAMES]);

    /// The table of a path through these levels, with one more level in the middle of each of the first three steps.
    pub fn table(&self, levels: &[Level], middles: &[Level; STARTING]) -> Vec<Vec<f64>> {
        let mut rows = Vec::new();
        for (i, pair) in levels.windows(2).enumerate() {
            let [from, to] = [&pair[0], &pair[1]];
            match middles.get(i) {
                Some(middle) => {
                    // Where epsilon is taken; where x goes; weights of e itself in the direction, of e in what is
                    // gathered, and of what is gathered in the direction.
                    let stages = [
                        (from, middle, 1.0, 1.0 / 6.0, 0.0),
                        (middle, middle, 1.0, 1.0 / 3.0, 0.0),
                        (middle, to, 1.0, 1.0 / 3.0, 0.0),
                        (if to.is_clean() { middle } else { to }, to, 1.0 / 6.0, 0.0, 1.0),
                    ];
                    for (stage, (at, next, own, gain, gathered)) in stages.into_iter().enumerate() {
                        let first = f64::from(u8::from(stage == 0));
                        let [of_base, slope] = transfer(from, next);
                        let of_epsilon = [own, gathered, 0.0, 0.0, 0.0].map(|weight| weight * slope);
                        rows.push(row(at, first, gain, of_base, of_epsilon));
                    }
                }
                None => {
                    let [of_base, slope] = transfer(from, to);
                    let weights = match to.is_clean() && !self.published_end {
                        true => [1.0, 0.0, 0.0, 0.0, 0.0],
                        false => [55.0, 0.0, -59.0, 37.0, -9.0].map(|weight| weight / 24.0),
                    };
                    let of_epsilon = weights.map(|weight| weight * slope);
                    rows.push(row(from, 1.0, 0.0, of_base, of_epsilon));
                }
            }
        }
        rows
    }
}

/// `first`: 1 where a step begins, so that x becomes its base and epsilon is remembered, else 0.
fn row(at: &Level, first: f64, gain: f64, of_base: f64, of_epsilon: [f64; 5]) -> Vec<f64> {
    let epsilon = [1.0 / at.sigma, -at.alpha / at.sigma];
    let kept = [first, 1.0 - first, gain, 1.0 - first];
    [vec![at.t], epsilon.to_vec(), kept.to_vec(), vec![of_base], of_epsilon.to_vec()].concat()
}

impl Sampler for Pndm {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn evaluations(&self, grid: &Grid) -> usize {
        self.rows(grid)
    }

    fn rows(&self, grid: &Grid) -> usize {
        grid.steps + 3 * STARTING
    }

    fn least_steps(&self) -> usize {
        STARTING + 1
    }

    fn states(&self) -> &'static [&'static str] {
        &STATES
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Time("t"),
            Number("epsilon_x"),
            Number("epsilon_denoised"),
            Number("begin"),
            Number("go_on"),
            Number("gain"),
            Number("keep"),
            Carried("base"),
            Number("epsilon"),
            Number("gathered"),
            Number("epsilon_1"),
            Number("epsilon_2"),
            Number("epsilon_3"),
        ]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let levels = grid.levels(sde);
        let middle = |i: usize| Level::at(sde, 0.5 * (levels[i].t + levels[(i + 1).min(levels.len() - 1)].t));
        self.table(&levels, &[0, 1, 2].map(|i| middle(i.min(levels.len() - 1))))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let epsilon = row.combine(graph, &[("epsilon_x", x), ("epsilon_denoised", denoised)]);
        let [e_1, e_2, e_3] = recall(graph, PAST, x);
        let tensor_type = TensorType::f32(graph.shape(x).clone());
        let [base, gathered] = [BASE, GATHERED].map(|name| graph.state(name, tensor_type.clone()));

        let base = row.combine(graph, &[("begin", x), ("go_on", base)]);
        let next = row.combine(
            graph,
            &[
                ("base", base),
                ("epsilon", epsilon),
                ("gathered", gathered),
                ("epsilon_1", e_1),
                ("epsilon_2", e_2),
                ("epsilon_3", e_3),
            ],
        );
        let gathered = row.combine(graph, &[("gain", epsilon), ("keep", gathered)]);
        graph.assign(BASE, base);
        graph.assign(GATHERED, gathered);
        for (name, newer, older) in [(PAST[0], epsilon, e_1), (PAST[1], e_1, e_2), (PAST[2], e_2, e_3)] {
            let remembered = row.combine(graph, &[("begin", newer), ("go_on", older)]);
            graph.assign(name, remembered);
        }
        next
    }
}
