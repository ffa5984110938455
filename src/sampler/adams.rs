//! What linear multistep methods on the probability flow have in common.
//!
//! In y = x / alpha and s = sigma / alpha the flow is dy/ds = epsilon, with epsilon = (x − alpha denoised) / sigma. A
//! method of this kind integrates a polynomial through the last values of epsilon: y ← y + Σ_k w_k epsilon_k, and
//! differs from its like in the weights. The step goes by denoised, which stays well scaled where alpha is small.

use super::Column::{Carried, Number, Time};
use super::history::{recall, remember};
use super::level::usable;
use super::{Column, Level, Row};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity};

/// The most values of epsilon that a step goes by.
pub(super) const MOST: usize = 4;
/// The states that hold the last three.
pub(super) const PAST: [&str; MOST - 1] = ["sampler.epsilon_1", "sampler.epsilon_2", "sampler.epsilon_3"];
/// The columns of the table.
pub(super) const COLUMNS: [Column; 8] = [
    Time("t"),
    Number("epsilon_x"),
    Number("epsilon_denoised"),
    Carried("x"),
    Number("denoised"),
    Number("epsilon_1"),
    Number("epsilon_2"),
    Number("epsilon_3"),
];

/// The table for a method of this order; `weights` gives w_k in units of s at the step's start, newest first, from the
/// levels up to the step's start, newest last, and its end.
pub(super) fn table(levels: &[Level], order: usize, weights: impl Fn(&[Level], &Level) -> Vec<f64>) -> Vec<Vec<f64>> {
    let row = |i: usize| {
        let (from, to) = (&levels[i], &levels[i + 1]);
        let epsilon = [1.0 / from.sigma, -from.alpha / from.sigma];
        let mut row = vec![from.t, epsilon[0], epsilon[1]];
        let known = order.min(usable(levels, i));
        let weights = weights(&levels[i + 1 - known..=i], to);
        if weights.len() == 1 {
            row.extend(from.flow(to));
        } else {
            // alpha′ s w_0 epsilon_0 = (alpha′ / alpha) w_0 (x − alpha denoised)
            row.extend([(1.0 + weights[0]) * to.alpha / from.alpha, -to.alpha * weights[0]]);
        }
        let scale = to.alpha * from.noise_to_signal();
        row.extend((1..MOST).map(|k| weights.get(k).map_or(0.0, |weight| scale * weight)));
        row
    };
    (0..levels.len() - 1).map(row).collect()
}

/// The step of all of them.
pub(super) fn step(graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
    let level = row.level(graph, "t");
    let denoised = model.predict(graph, x, &level, Quantity::Denoised);
    let epsilon = row.combine(graph, &[("epsilon_x", x), ("epsilon_denoised", denoised)]);
    let [epsilon_1, epsilon_2, epsilon_3] = recall(graph, PAST, x);
    remember(graph, PAST, epsilon, [epsilon_1, epsilon_2, epsilon_3]);
    let past = [("epsilon_1", epsilon_1), ("epsilon_2", epsilon_2), ("epsilon_3", epsilon_3)];
    row.combine(graph, &[vec![("x", x), ("denoised", denoised)], past.to_vec()].concat())
}

/// The coefficients, in rising powers, of the polynomial that is 1 at `nodes[k]` and 0 at the others.
pub(super) fn lagrange(nodes: &[f64], k: usize) -> Vec<f64> {
    let mut polynomial = vec![1.0];
    for node in nodes.iter().enumerate().filter(|(other, _)| *other != k).map(|(_, node)| node) {
        // Times (v − node) / (nodes[k] − node).
        let scale = 1.0 / (nodes[k] - node);
        let mut product = vec![0.0; polynomial.len() + 1];
        for (power, coefficient) in polynomial.iter().enumerate() {
            product[power] -= scale * node * coefficient;
            product[power + 1] += scale * coefficient;
        }
        polynomial = product;
    }
    polynomial
}
