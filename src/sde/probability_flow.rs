//! The ordinary differential equation with the marginals of a process.

use super::model::functions_of_time;
use super::{Coefficients, Model, Quantity, Sde};
use crate::graph::{Expr, Graph, Value};

/// The probability flow dx/dt = v(x, t) (Song et al. 2021, eq. 13), written in velocity V = p x_0 + q epsilon, which is finite
/// at both ends of every process: with x = alpha x_0 + sigma epsilon and d = alpha q − sigma p,
/// v = ((alpha̍ q − sigma̍ p) x + (alpha sigma̍ − sigma alpha̍) V) / d, where alpha̍ and sigma̍ are derivatives in time.
///
/// Gives the model's V (`[Batch, D]`) at `x` (`[Batch, D]`) and `t` (`[Batch, 1]`), and the factors (`[Batch, 1]`) of x and of V.
pub fn probability_flow(
    graph: &mut Graph,
    sde: &dyn Sde,
    model: &dyn Model,
    x: Value,
    t: Value,
) -> (Value, [Value; 2]) {
    let time = Expr::input(0);
    let (alpha, sigma, [p, q]) = (sde.alpha(&time), sde.sigma(&time), sde.velocity(&time));
    let (alpha_slope, sigma_slope) = (alpha.derivative(0), sigma.derivative(0));
    let coefficients = Coefficients { alpha: alpha.clone(), sigma: sigma.clone(), velocity: [p.clone(), q.clone()] };
    let determinant = coefficients.determinant();
    let of_x = (&alpha_slope * q - &sigma_slope * p) / &determinant;
    let of_velocity = (alpha * sigma_slope - sigma * alpha_slope) / determinant;
    let factors = functions_of_time(graph, t, [of_x, of_velocity]);
    (model.predict(graph, x, t, Quantity::Velocity), factors)
}
