//! The probability flow in Heun steps.

use super::ode_euler::{Step, steps};
use super::{Grid, Row, Sampler};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Heun's method on the probability flow in y = x / alpha and s = sigma / alpha (Karras et al. 2022, algorithm 1):
///
/// d = (y − denoised(x, t)) / s, y′ = y + (s′ − s) d, then
/// d′ = (y′ − denoised(x′, t′)) / s′, y ← y + (s′ − s) (d + d′) / 2
///
/// The last step of a [`Grid`] that denoises goes to s′ = 0 and is Euler's: d′ is then computed but counts nothing. A first
/// step from alpha = 0, where s is infinite, is Heun's in x / sigma and alpha / sigma, whose slope is denoised:
///
/// x ← (sigma′/sigma) x + (alpha′ − alpha sigma′/sigma) (denoised(x, t) + denoised(x′, t′)) / 2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OdeHeun;

impl Sampler for OdeHeun {
    fn name(&self) -> &'static str {
        "ode-heun"
    }

    fn order(&self) -> usize {
        2
    }

    fn evaluations_per_step(&self) -> usize {
        2
    }

    fn columns(&self) -> &'static [&'static str] {
        &["t", "t_next", "euler_x", "euler_denoised", "x", "denoised", "x_next", "denoised_next"]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let row = |step: &Step| {
            let [euler_x, euler_denoised] = step.euler();
            let mut row = vec![step.t, step.t_next, euler_x, euler_denoised];
            if step.sigma_next == 0.0 {
                row.extend([euler_x, euler_denoised, 0.0, 0.0]);
            } else if step.alpha == 0.0 {
                row.extend([euler_x, 0.5 * euler_denoised, 0.0, 0.5 * euler_denoised]);
            } else {
                // y ← y + ½ (s′ − s) (y − denoised) / s + ½ (s′ − s) (y′ − denoised′) / s′, times alpha′.
                let (s, s_next) = (step.sigma / step.alpha, step.sigma_next / step.alpha_next);
                let (h, h_next) = (0.5 * (s_next / s - 1.0), 0.5 * (1.0 - s / s_next));
                let alpha_next = step.alpha_next;
                row.extend([(1.0 + h) * alpha_next / step.alpha, -h * alpha_next, h_next, -h_next * alpha_next]);
            }
            row
        };
        steps(sde, grid).iter().map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let entry = |graph: &mut Graph, name| row.entry(graph, name);
        let [t, t_next] = ["t", "t_next"].map(|name| entry(graph, name));
        let [euler_x, euler_denoised] = ["euler_x", "euler_denoised"].map(|name| entry(graph, name));
        let [of_x, of_denoised] = ["x", "denoised"].map(|name| entry(graph, name));
        let [of_next, of_denoised_next] = ["x_next", "denoised_next"].map(|name| entry(graph, name));
        let [a, b, of_a, of_b] = [0, 1, 2, 3].map(Expr::input);
        let two_terms = of_a * a + of_b * b;

        let denoised = model.predict(graph, x, t, Quantity::Denoised);
        let x_next = graph.map(&[x, denoised, euler_x, euler_denoised], &two_terms);
        let denoised_next = model.predict(graph, x_next, t_next, Quantity::Denoised);
        let first = graph.map(&[x, denoised, of_x, of_denoised], &two_terms);
        let second = graph.map(&[x_next, denoised_next, of_next, of_denoised_next], &two_terms);
        graph.plus(first, second)
    }
}
