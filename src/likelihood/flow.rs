//! The exact likelihood of the probability flow.

use super::Divergence;
use crate::graph::{Expr, Graph, Shape, TensorType, Value};
use crate::loss::dequantised;
use crate::sampler::dormand_prince::{DormandPrince, Problem};
use crate::sde::{Model, Sde, probability_flow};

/// Names of the states.
pub mod flow_states {
    /// `[Batch, D]`: the data.
    pub const DATA: &str = "likelihood.data";
    /// `[Batch, D]`: where the flow has taken them.
    pub const X: &str = "likelihood.x";
    /// `[Batch, 1]`: the integral of the divergence on the way.
    pub const LOG_VOLUME: &str = "likelihood.log_volume";
    /// u32 `[4]`: repetition, first sample, seed. It stands still while a flow is followed.
    pub const CLOCK: &str = "likelihood.clock";
}

/// log p(x) = log prior(x_T) + ∫ div v dt along the [`probability_flow`] dx/dt = v(x, t) from t_min to T (Chen et al. 2018;
/// Song et al. 2021, eq. 39).
///
/// p is the law that the flow brings the prior to at t_min, with the scale alpha and the noise sigma of that time. Of x / alpha,
/// data with noise of standard deviation sigma / alpha, the log density at x is D ln alpha + log p(alpha x).
pub struct FlowLikelihood<'a> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// How the divergence is had.
    pub divergence: Divergence,
    /// The solver.
    pub solver: DormandPrince,
    /// Coordinates D.
    pub dims: usize,
    /// The width of the intervals that data of discrete levels stand for; `None` for continuous data.
    pub bin_width: Option<f64>,
}

impl FlowLikelihood<'_> {
    /// The graph that begins at the state [`flow_states::DATA`]; `build` gives the model.
    pub fn begin<'m>(&self, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
        let mut graph = Graph::new();
        let model = build(&mut graph);
        let data = graph.state(flow_states::DATA, TensorType::f32(Shape::batch(&[self.dims])));
        let clock = graph.clock(flow_states::CLOCK);
        let x = match self.bin_width {
            Some(width) => dequantised(&mut graph, data, clock, width),
            None => graph.map(&[data], &Expr::input(0)),
        };
        let nothing = graph.full(0.0, Shape::batch(&[1]));
        let begin = |graph: &mut Graph, problem: &Problem| self.solver.begin(graph, problem, &[x, nothing]);
        self.with_problem(&mut graph, model.as_ref(), clock, begin);
        graph
    }

    /// The graph of a step.
    pub fn advance<'m>(&self, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
        let mut graph = Graph::new();
        let model = build(&mut graph);
        let clock = graph.clock(flow_states::CLOCK);
        let advance = |graph: &mut Graph, problem: &Problem| self.solver.advance(graph, problem);
        self.with_problem(&mut graph, model.as_ref(), clock, advance);
        graph
    }

    fn with_problem(
        &self,
        graph: &mut Graph,
        model: &dyn Model,
        clock: Value,
        use_it: impl FnOnce(&mut Graph, &Problem),
    ) {
        let directions = self.divergence.directions(graph, clock, self.dims);
        let field = |graph: &mut Graph, y: &[Value], t: Value| {
            let (velocity, [of_x, of_velocity]) = probability_flow(graph, self.sde, model, y[0], t);
            let divergence = directions.trace(graph, velocity, y[0]);
            let [a, b, of_a, of_b] = [0, 1, 2, 3].map(Expr::input);
            let moved = graph.map(&[y[0], velocity, of_x, of_velocity], &(&of_a * a + &of_b * &b));
            let volume = graph.map(
                &[of_x, divergence, of_velocity],
                &(Expr::input(0) * self.dims as f64 + Expr::input(2) * Expr::input(1)),
            );
            vec![moved, volume]
        };
        let values = &[(flow_states::X, self.dims), (flow_states::LOG_VOLUME, 1)];
        use_it(graph, &Problem { values, field: &field, start: self.sde.t_min(), end: self.sde.t_max() });
    }
}
