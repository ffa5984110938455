//! The Gaussian error linear unit (Hendrycks and Gimpel, 2016).

use std::f64::consts::FRAC_2_PI;

use crate::graph::Expr;

/// Its tanh form, ½ x (1 + tanh u) with u = √(2/π) (x + 0.044715 x³), written as x · sigmoid(2u), which is the same
/// number and does not cancel where x is far below 0.
pub fn gelu(x: &Expr) -> Expr {
    let inner = x * &(x.square() * 0.044_715 + 1.0);
    x * &(inner * (2.0 * FRAC_2_PI.sqrt())).sigmoid()
}
