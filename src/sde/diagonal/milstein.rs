//! Milstein's scheme in either calculus.

use super::{Calculus, Diagonal, Increment, Scheme, inputs, terms};
use crate::graph::{Expr, Graph, Value};

/// x ← x + a dt + g dw + ½ g g′ (dw² − dt) (Milstein 1974).
#[derive(Clone, Copy, Debug)]
pub struct ItoMilstein;

/// x ← x + a dt + g dw + ½ g g′ dw²: the same, with the drift of Stratonovich.
#[derive(Clone, Copy, Debug)]
pub struct StratonovichMilstein;

impl Scheme for ItoMilstein {
    fn name(&self) -> &'static str {
        "ito-milstein"
    }

    fn calculus(&self) -> Calculus {
        Calculus::Ito
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value {
        let [_, _, dt, dw] = terms();
        milstein(graph, sde, x, increment, dw.square() - dt)
    }
}

impl Scheme for StratonovichMilstein {
    fn name(&self) -> &'static str {
        "stratonovich-milstein"
    }

    fn calculus(&self) -> Calculus {
        Calculus::Stratonovich
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value {
        let [_, _, _, dw] = terms();
        milstein(graph, sde, x, increment, dw.square())
    }
}

/// x + a dt + g dw + ½ g g′ · `twice_integral`, the last being 2 ∫∫ dw dw in its calculus.
fn milstein(graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment, twice_integral: Expr) -> Value {
    let [x_, _, dt, dw] = terms();
    let next = x_ + &sde.drift * dt + &sde.diffusion * dw + sde.drift_correction() * twice_integral;
    graph.map(&inputs(x, increment), &next)
}
