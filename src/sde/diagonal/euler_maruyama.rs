//! Euler and Maruyama's scheme.

use super::{Calculus, Diagonal, Increment, Scheme, inputs, terms};
use crate::graph::{Graph, Value};

/// x ← x + a dt + g dw (Maruyama 1955): Itô, as g is taken where the step begins.
#[derive(Clone, Copy, Debug)]
pub struct EulerMaruyama;

impl Scheme for EulerMaruyama {
    fn name(&self) -> &'static str {
        "euler-maruyama"
    }

    fn calculus(&self) -> Calculus {
        Calculus::Ito
    }

    fn strong_order(&self) -> f64 {
        0.5
    }

    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value {
        let [x_, _, dt, dw] = terms();
        graph.map(&inputs(x, increment), &(x_ + &sde.drift * dt + &sde.diffusion * dw))
    }
}
