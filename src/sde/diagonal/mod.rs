//! Stochastic differential equations whose noise depends on the state, coordinate by coordinate, and the two meanings
//! that such an equation can have.
//!
//! With g(t) alone, as in every [forward process](super::Sde), the two agree; docs/ito-stratonovich.md says why, and
//! what decides between them elsewhere. A solver is a function from a state to the next, in its own file, and says
//! which [`Calculus`] it converges to.

mod euler_heun;
mod euler_maruyama;
mod heun;
mod milstein;

pub use euler_heun::EulerHeun;
pub use euler_maruyama::EulerMaruyama;
pub use heun::Heun;
pub use milstein::{ItoMilstein, StratonovichMilstein};

use crate::graph::{Expr, Graph, Value};

/// What ∫ g dw means where g depends on x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calculus {
    /// g is taken at the beginning of each short step: dw is independent of it, and the integral has mean 0.
    Ito,
    /// g is taken in the middle: the rules of ordinary calculus hold, and it is the limit of noise that is smooth.
    Stratonovich,
}

/// dx = drift(x, t) dt + diffusion(x, t) dw, every coordinate with a Brownian motion of its own.
///
/// Both are expressions in x (input 0) and t (input 1).
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// The drift a.
    pub drift: Expr,
    /// The diffusion coefficient g.
    pub diffusion: Expr,
    /// What the equation means.
    pub calculus: Calculus,
}

impl Diagonal {
    /// ½ g ∂g/∂x: the Itô drift less the Stratonovich drift of one and the same process.
    pub fn drift_correction(&self) -> Expr {
        &self.diffusion * self.diffusion.derivative(0) * 0.5
    }

    /// The same process, written for another calculus.
    pub fn in_calculus(&self, calculus: Calculus) -> Self {
        let drift = match (self.calculus, calculus) {
            (Calculus::Ito, Calculus::Stratonovich) => &self.drift - self.drift_correction(),
            (Calculus::Stratonovich, Calculus::Ito) => &self.drift + self.drift_correction(),
            _ => self.drift.clone(),
        };
        Self { drift, diffusion: self.diffusion.clone(), calculus }
    }
}

/// A step of time and the Brownian motion's way in it.
#[derive(Clone, Copy, Debug)]
pub struct Increment {
    /// `[1, 1]` or `[Batch, 1]`: when it begins.
    pub t: Value,
    /// `[1, 1]` or `[Batch, 1]`: how long it is.
    pub dt: Value,
    /// `[Batch, D]`: normal with variance dt.
    pub dw: Value,
}

/// A solver of equations with diagonal noise.
pub trait Scheme {
    /// Field name.
    fn name(&self) -> &'static str;

    /// To which solution it converges, for the drift as it is given. An equation that means the other has to be
    /// rewritten first: [`Diagonal::in_calculus`].
    fn calculus(&self) -> Calculus;

    /// Order of convergence of paths.
    fn strong_order(&self) -> f64;

    /// The next state after `x` (`[Batch, D]`).
    fn step(&self, graph: &mut Graph, sde: &Diagonal, x: Value, increment: Increment) -> Value;
}

/// Every scheme.
pub const SCHEMES: [&dyn Scheme; 5] = [&EulerMaruyama, &ItoMilstein, &Heun, &EulerHeun, &StratonovichMilstein];

/// The inputs of a step's expressions: x, t, dt, dw.
fn inputs(x: Value, increment: Increment) -> [Value; 4] {
    [x, increment.t, increment.dt, increment.dw]
}

/// The expressions x, t, dt, dw over [`inputs`].
fn terms() -> [Expr; 4] {
    [0, 1, 2, 3].map(Expr::input)
}
