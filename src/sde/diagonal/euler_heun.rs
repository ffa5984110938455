//! Euler's scheme in the drift, Heun's in the noise.

use super::{Calculus, Diagonal, Increment, Scheme, inputs, terms};
use crate::graph::{Expr, Graph, Value};

/// x′ = x + g dw, then x ← x + a dt + ½ (g + g′) dw with g′ at x′ and t + dt: Stratonovich, with one drift a step.
#[derive(Clone, Copy, Debug)]
pub struct EulerHeun;

impl Scheme for EulerHeun {
    fn name(&self) -> &'static str {
        "euler-heun"
    }

    fn calculus(&self) -> Calculus {
        Calculus::Stratonovich
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value {
        let [x_, t, dt, dw] = terms();
        let predicted = graph.map(&inputs(x, increment), &(&x_ + &sde.diffusion * &dw));
        let there = [Expr::input(4), t + &dt];
        let diffusion = (&sde.diffusion + sde.diffusion.substitute(&there)) * 0.5;
        let [x, t, step, way] = inputs(x, increment);
        graph.map(&[x, t, step, way, predicted], &(x_ + &sde.drift * dt + diffusion * dw))
    }
}
