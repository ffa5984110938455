//! A learned weight for each noise level.

use super::auxiliary::Auxiliary;
use crate::graph::{Expr, Graph, Value};
use crate::nn::{Linear, sinusoidal_features};
use crate::sde::preconditioning::noise_input;
use crate::sde::{Sde, functions_of_time};

/// Waves that tell noise levels apart.
const FEATURES: usize = 32;

/// u(sigma), the logarithm of the loss that is to be expected at a noise level (Karras et al. 2024, eq. 14 and 15): a
/// loss L becomes L / e^u + u, which is least at u = ln E(L). Then every level's gradient counts the same.
///
/// u is a linear function of sines and cosines of ¼ ln(sigma / alpha), and 0 at first. Its parameters are learned with
/// the network's, which it has no part in.
#[derive(Clone, Copy, Debug)]
pub struct Uncertainty {
    layer: Linear,
}

impl Uncertainty {
    /// Adds the parameters.
    pub fn new(graph: &mut Graph) -> Self {
        Self { layer: Linear::zero(graph, "uncertainty", FEATURES, 1) }
    }

    /// u at times `t` (`[Batch, 1]`): `[Batch, 1]`.
    pub fn forward(&self, graph: &mut Graph, sde: &dyn Sde, t: Value) -> Value {
        let [level] = functions_of_time(graph, t, [noise_input(&sde.log_snr(&Expr::input(0)))]);
        let features = sinusoidal_features(graph, level, FEATURES);
        self.layer.forward(graph, features)
    }
}

/// The loss that is to be expected, learned with a model.
pub struct Uncertain<'a> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// What is expected.
    pub uncertainty: Uncertainty,
}

impl Auxiliary for Uncertain<'_> {
    fn uncertainty(&self, graph: &mut Graph, t: Value) -> Option<Value> {
        Some(self.uncertainty.forward(graph, self.sde, t))
    }
}
