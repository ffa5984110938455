//! The probability flow by an adaptive Runge-Kutta method.

use super::dormand_prince::{DormandPrince, EVALUATIONS, Problem};
use super::{AdaptiveSampler, SamplerKind, Tolerances, adaptive, states};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Sde, probability_flow};

/// The probability flow (Song et al. 2021, eq. 13) from t_max to t_min by the pair of [`DormandPrince`], as in their
/// experiments: in x and t, every sample with its own steps. It is the likelihood's path in the other direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rk45 {
    /// Tolerances.
    pub solver: DormandPrince,
}

impl Rk45 {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new(
        "rk45",
        "The probability flow by the adaptive pair of Dormand and Prince, every sample with its own steps.",
        |options| {
            let DormandPrince { absolute, relative } = DormandPrince::default();
            let Tolerances { rtol, atol } = options.tolerances;
            let solver = DormandPrince { absolute: atol.unwrap_or(absolute), relative: rtol.unwrap_or(relative) };
            adaptive(Self { solver })
        },
    )
    .taking(&[Tolerances::NAMES]);

    fn with_problem(sde: &dyn Sde, model: &dyn Model, dims: usize, use_it: impl FnOnce(&Problem)) {
        let field = |graph: &mut Graph, y: &[Value], t: Value| {
            let (velocity, [of_x, of_velocity]) = probability_flow(graph, sde, model, y[0], t);
            let [x, velocity_, of_x_, of_velocity_] = [0, 1, 2, 3].map(Expr::input);
            let slope = of_x_ * x + of_velocity_ * velocity_;
            vec![graph.map(&[y[0], velocity, of_x, of_velocity], &slope)]
        };
        use_it(&Problem { values: &[(states::X, dims)], field: &field, start: sde.t_max(), end: sde.t_min() });
    }
}

impl AdaptiveSampler for Rk45 {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn path(&self) -> &'static str {
        "probability flow"
    }

    fn order(&self) -> usize {
        5
    }

    fn evaluations_to_begin(&self) -> usize {
        1
    }

    fn evaluations_per_try(&self) -> usize {
        EVALUATIONS
    }

    fn begin(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, x: Value, _clock: Value) {
        let dims = graph.shape(x).inner_elements();
        Self::with_problem(sde, model, dims, |problem| self.solver.begin(graph, problem, &[x]));
    }

    fn advance(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, dims: usize, _clock: Value) {
        Self::with_problem(sde, model, dims, |problem| self.solver.advance(graph, problem));
    }

    fn time(&self, _sde: &dyn Sde, reached: f64) -> f64 {
        reached
    }
}
