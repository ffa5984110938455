//! Heun's scheme.

use super::{Calculus, Diagonal, Increment, Scheme, inputs, terms};
use crate::graph::{Expr, Graph, Value};

/// x′ = x + a dt + g dw, then x ← x + ½ (a + a′) dt + ½ (g + g′) dw with a′, g′ at x′ and t + dt: Stratonovich, as the
/// mean of both ends stands for the middle (Rümelin 1982).
#[derive(Clone, Copy, Debug)]
pub struct Heun;

impl Scheme for Heun {
    fn name(&self) -> &'static str {
        "heun"
    }

    fn calculus(&self) -> Calculus {
        Calculus::Stratonovich
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value {
        let [x_, t, dt, dw] = terms();
        let predicted = graph.map(&inputs(x, increment), &(&x_ + &sde.drift * &dt + &sde.diffusion * &dw));
        let there = [Expr::input(4), t + &dt];
        let drift = (&sde.drift + sde.drift.substitute(&there)) * 0.5;
        let diffusion = (&sde.diffusion + sde.diffusion.substitute(&there)) * 0.5;
        let [x, t, step, way] = inputs(x, increment);
        graph.map(&[x, t, step, way, predicted], &(x_ + drift * dt + diffusion * dw))
    }
}
