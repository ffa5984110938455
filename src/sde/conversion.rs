//! Score, epsilon and denoised: three faces of one quantity.
//!
//! With x = alpha x_0 + sigma epsilon: score = ∇ₓ log p_t(x), epsilon = E[epsilon | x] = −sigma · score, and Tweedie's
//! formula denoised = E[x_0 | x] = (x + sigma² score) / alpha.

use crate::graph::Expr;

/// What a value says about the noisy x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// The gradient of the log density of x_t.
    Score,
    /// The mean of the unit noise in x_t.
    Epsilon,
    /// The mean of the data given x_t.
    Denoised,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Score, Self::Epsilon, Self::Denoised];

    /// `score`, `epsilon` or `denoised`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Epsilon => "epsilon",
            Self::Denoised => "denoised",
        }
    }
}

/// `value`, which is the quantity `from` at `x`, as the quantity `to`.
///
/// Epsilon or score out of denoised loses digits where sigma is small, denoised out of the others where alpha is small:
/// a model that can give a quantity directly should.
pub fn convert(from: Quantity, to: Quantity, value: &Expr, x: &Expr, alpha: &Expr, sigma: &Expr) -> Expr {
    match (from, to) {
        (Quantity::Score, Quantity::Score)
        | (Quantity::Epsilon, Quantity::Epsilon)
        | (Quantity::Denoised, Quantity::Denoised) => value.clone(),
        (Quantity::Score, Quantity::Epsilon) => -(sigma * value),
        (Quantity::Score, Quantity::Denoised) => (x + sigma.square() * value) / alpha,
        (Quantity::Epsilon, Quantity::Score) => -(value / sigma),
        (Quantity::Epsilon, Quantity::Denoised) => (x - sigma * value) / alpha,
        (Quantity::Denoised, Quantity::Score) => (alpha * value - x) / sigma.square(),
        (Quantity::Denoised, Quantity::Epsilon) => (x - alpha * value) / sigma,
    }
}
