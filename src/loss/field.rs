//! A model's score as the objectives see it.

use crate::graph::{Expr, Graph, Shape, Value};
use crate::sde::{Marginal, Model, NoiseLevel, Quantity, Sde, perturbed};

/// A score field at the noise levels of a batch, and the points at which it is judged.
///
/// Objectives are computed for y = c · score, in which nothing is large at small noise: c = sigma at noisy data, and 1
/// at data without noise.
pub struct Field<'a> {
    model: &'a dyn Model,
    quantity: Quantity,
    level: NoiseLevel,
    /// The points, `[Batch, D]`.
    pub x: Value,
    /// The factor of the data in them, `[Batch, 1]` or `[1, 1]`.
    pub alpha: Value,
    /// The standard deviation of the noise in them, `[Batch, 1]` or `[1, 1]`; 0 where there is none.
    pub sigma: Value,
    /// c, `[Batch, 1]` or `[1, 1]`.
    pub scale: Value,
}

impl<'a> Field<'a> {
    /// At alpha x_0 + sigma epsilon, for x_0 and epsilon `[Batch, D]` and times `[Batch, 1]`.
    pub fn noisy(graph: &mut Graph, sde: &dyn Sde, model: &'a dyn Model, x0: Value, t: Value, epsilon: Value) -> Self {
        let level = NoiseLevel::at(graph, sde, t);
        let x = perturbed(graph, x0, &level, epsilon);
        let NoiseLevel { alpha, sigma, .. } = level;
        Self { model, quantity: Quantity::Epsilon, level, x, alpha, sigma, scale: sigma }
    }

    /// At the data `x0` (`[Batch, D]`) themselves; the model is given the noise level `marginal`.
    pub fn without_noise(graph: &mut Graph, model: &'a dyn Model, x0: Value, marginal: &Marginal) -> Self {
        let level = NoiseLevel::constant(graph, marginal);
        let [zero, one] = [0.0, 1.0].map(|value| graph.full(value, Shape::fixed(&[1, 1])));
        Self { model, quantity: Quantity::Score, level, x: x0, alpha: one, sigma: zero, scale: one }
    }

    /// Coordinates D of a point.
    pub fn dims(&self, graph: &Graph) -> usize {
        graph.shape(self.x).inner_elements()
    }

    /// y at `x` (`[Batch, D]`), each sample at its noise level: `[Batch, D]`.
    pub fn scaled_score(&self, graph: &mut Graph, x: Value) -> Value {
        let value = self.model.predict(graph, x, &self.level, self.quantity);
        match self.quantity {
            Quantity::Score => value,
            // sigma · score = −epsilon
            _ => graph.scale(value, -1.0),
        }
    }

    /// ½ ‖y‖² for y `[Batch, D]`: `[Batch, 1]`.
    pub fn half_square(graph: &mut Graph, y: Value) -> Value {
        let squares = graph.map(&[y], &(Expr::input(0).square() * 0.5));
        graph.sum(squares, &[1])
    }
}
