//! Adaptive solution of ordinary differential equations, every sample with its own steps.

use super::states;
use super::step_control::{Attempt, StepControl, either, tolerated};
use crate::graph::{Expr, Graph, Shape, TensorType, Value};

/// Evaluations of the field in one try of a step; the first step takes one more.
pub const EVALUATIONS: usize = 6;

/// Where the stages stand, in steps.
const NODES: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
/// Row i: the weights of the slopes before it in stage i + 1. The last row is the result of order 5, so that the slope
/// there is the first of the next step.
const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Order 5 less order 4.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];

/// The derivatives of values (each `[Batch, d]`) at times `[Batch, 1]`.
pub type VectorField<'a> = dyn Fn(&mut Graph, &[Value], Value) -> Vec<Value> + 'a;

/// An initial value problem dy/dt = field(y, t) for values that are states of the store.
pub struct Problem<'a> {
    /// The values: names of their states and lengths d of their samples.
    pub values: &'a [(&'static str, usize)],
    /// Their derivatives.
    pub field: &'a VectorField<'a>,
    /// The time of the first values.
    pub start: f64,
    /// The time to reach, before or after.
    pub end: f64,
}

impl Problem<'_> {
    fn control(&self) -> StepControl {
        StepControl { start: self.start, end: self.end, error_order: 5.0, most_ticks: None }
    }

    /// The derivatives, of the shapes of the values: one that does not depend on them may come as a single number.
    fn slopes(&self, graph: &mut Graph, y: &[Value], time: Value) -> Vec<Value> {
        let slopes = (self.field)(graph, y, time);
        let shaped = slopes.into_iter().zip(y).map(|(slope, y)| {
            let shape = graph.shape(*y).clone();
            if *graph.shape(slope) == shape { slope } else { graph.map_to(&[slope], &Expr::input(0), &shape) }
        });
        shaped.collect()
    }
}

/// The pair of orders 5 and 4 of Dormand and Prince (1980), a step being taken where the root mean square over all
/// coordinates of error / (absolute + relative |y|) is below 1, and the next one being 0.9 (that)^(−1/5) times as long,
/// at most 10 times and at least 0.2 times.
///
/// [`begin`](Self::begin) runs once, then [`advance`](Self::advance) until the state [`states::LEFT`] is 0, or longer:
/// a sample that has arrived stays as it is, to the bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DormandPrince {
    /// Above 0.
    pub absolute: f64,
    /// Above 0; in f32 not below 1e-6.
    pub relative: f64,
}

impl Default for DormandPrince {
    /// 1e-5 both, as in the published experiments (Song et al. 2021).
    fn default() -> Self {
        Self { absolute: 1e-5, relative: 1e-5 }
    }
}

impl DormandPrince {
    /// Assigns all states of the problem, its values to `y`.
    pub fn begin(&self, graph: &mut Graph, problem: &Problem, y: &[Value]) {
        let time = graph.full(problem.start, Shape::batch(&[1]));
        let slopes = problem.slopes(graph, y, time);
        // A step along which a line of this slope moves by a hundredth of its length.
        let [size, slope] = [y, &slopes].map(|of| tolerated(graph, self.tolerances(), of, y, y));
        let [size_, slope_] = [0, 1].map(Expr::input);
        let span = (problem.end - problem.start).abs();
        let first = (size_.max(1e-2) * 1e-2 / slope_.max(1e-6)).min(span);
        let step = graph.map(&[size, slope], &first);
        for (i, (state, _)) in problem.values.iter().enumerate() {
            graph.assign(*state, y[i]);
            graph.assign(states::slope(state), slopes[i]);
        }
        problem.control().begin(graph, step);
    }

    /// One try of a step for every sample that has not arrived.
    pub fn advance(&self, graph: &mut Graph, problem: &Problem) {
        let state = |graph: &mut Graph, name: &str, length| graph.state(name, TensorType::f32(Shape::batch(&[length])));
        let y: Vec<Value> = problem.values.iter().map(|(name, length)| state(graph, name, *length)).collect();
        let control = problem.control();
        let attempt = control.attempt(graph);
        let Attempt { time, step, reached } = attempt;
        let forward = control.forward();

        // The slopes of all stages: those of value v are slopes[v].
        let mut slopes: Vec<Vec<Value>> =
            problem.values.iter().map(|(name, length)| vec![state(graph, &states::slope(name), *length)]).collect();
        let mut stage = y.clone();
        for (weights, node) in STAGES.iter().zip(&NODES[1..]) {
            stage = (0..y.len()).map(|v| along(graph, y[v], step, &slopes[v], weights, forward)).collect();
            let [time_, step_] = [0, 1].map(Expr::input);
            let at = match node {
                1.0 => reached,
                _ => graph.map(&[time, step], &(time_ + step_ * (forward * node))),
            };
            let next = problem.slopes(graph, &stage, at);
            slopes.iter_mut().zip(next).for_each(|(slopes, next)| slopes.push(next));
        }
        let errors: Vec<Value> = slopes.iter().map(|slopes| weighted_sum(graph, step, slopes, &ERROR)).collect();
        let error = tolerated(graph, self.tolerances(), &errors, &y, &stage);
        let taken = control.judge(graph, attempt, error);
        for (v, (name, _)) in problem.values.iter().enumerate() {
            let value = either(graph, taken, stage[v], y[v]);
            let slope = either(graph, taken, slopes[v][6], slopes[v][0]);
            graph.assign(*name, value);
            graph.assign(states::slope(name), slope);
        }
    }

    fn tolerances(&self) -> [f64; 2] {
        [self.absolute, self.relative]
    }
}

/// y + forward · step · Σ weights · slopes
fn along(graph: &mut Graph, y: Value, step: Value, slopes: &[Value], weights: &[f64], forward: f64) -> Value {
    let sum = weighted_sum(graph, step, slopes, weights);
    graph.map(&[y, sum], &(Expr::input(0) + Expr::input(1) * forward))
}

/// step · Σ weights · slopes
fn weighted_sum(graph: &mut Graph, step: Value, slopes: &[Value], weights: &[f64]) -> Value {
    let terms: Vec<(Value, f64)> =
        slopes.iter().copied().zip(weights.iter().copied()).filter(|(_, weight)| *weight != 0.0).collect();
    let mut inputs = vec![step];
    inputs.extend(terms.iter().map(|(slope, _)| *slope));
    let term = |i: usize| Expr::input(i + 1) * terms[i].1;
    let sum = (1..terms.len()).fold(term(0), |sum, i| sum + term(i));
    graph.map(&inputs, &(Expr::input(0) * sum))
}
