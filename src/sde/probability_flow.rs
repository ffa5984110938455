//! The ordinary differential equation with the marginals of a process.

use super::{Coefficients, Model, NoiseLevel, Quantity, Sde, functions_of_time};
use crate::graph::{Expr, Graph, Tape, Value};

/// The probability flow dx/dt = v(x, t) (Song et al. 2021, eq. 13), written in velocity V = p x_0 + q epsilon, which
/// also has a meaning where alpha = 0: with x = alpha x_0 + sigma epsilon and d = alpha q − sigma p, v = ((alpha̍ q −
/// sigma̍ p) x + (alpha sigma̍ − sigma alpha̍) V) / d, where alpha̍ and sigma̍ are derivatives in time.
/// [`flow_is_finite`] says whether these are.
///
/// Gives the model's V (`[Batch, D]`) at `x` (`[Batch, D]`) and `t` (`[Batch, 1]`), and the factors (`[Batch, 1]`) of x
/// and of V.
pub fn probability_flow(
    graph: &mut Graph,
    sde: &dyn Sde,
    model: &dyn Model,
    x: Value,
    t: Value,
) -> (Value, [Value; 2]) {
    let factors = functions_of_time(graph, t, factors(sde));
    let level = NoiseLevel::at(graph, sde, t);
    (model.predict(graph, x, &level, Quantity::Velocity), factors)
}

/// Whether the probability flow of a process has a slope at both ends of its time, t_min and t_max. Where alpha goes to
/// 0 as √(t_max − t) it has none, and no solver with a tolerance arrives.
pub fn flow_is_finite(sde: &dyn Sde) -> bool {
    let tape = Tape::new(&factors(sde));
    [sde.t_min(), sde.t_max()].iter().all(|t| tape.evaluate(&[*t]).iter().all(|factor| factor.is_finite()))
}

/// The factors of x and of V in v, as functions of time (input 0).
fn factors(sde: &dyn Sde) -> [Expr; 2] {
    let time = Expr::input(0);
    let coefficients = Coefficients::of(sde, &time);
    let determinant = coefficients.determinant();
    let Coefficients { alpha, sigma, velocity: [p, q] } = coefficients;
    let (alpha_slope, sigma_slope) = (alpha.derivative(0), sigma.derivative(0));
    let of_x = (&alpha_slope * q - &sigma_slope * p) / &determinant;
    let of_velocity = (alpha * sigma_slope - sigma * alpha_slope) / determinant;
    [of_x, of_velocity]
}
