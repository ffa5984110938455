//! Dropout (Srivastava et al., 2014), from counters.

use crate::graph::expr::{RandomDraw, Term};
use crate::graph::{Distribution, Expr, Graph, Value, random};

/// Elements of `x` that are 0 with `probability`, and else divided by 1 − `probability`, so that the mean stays.
///
/// The mask is drawn under `name` at every step of `clock` and stored nowhere: a backward pass draws the same one
/// again. Without a clock (evaluation, sampling), or where the probability is 0, it is `x` itself.
///
/// # Panics
/// If `probability` is not in [0, 1).
pub fn dropout(graph: &mut Graph, x: Value, clock: Option<Value>, name: &str, probability: f64) -> Value {
    assert!((0.0..1.0).contains(&probability), "a probability of {probability} leaves nothing");
    let Some(clock) = clock.filter(|_| probability > 0.0) else { return x };
    let keep = 1.0 - probability;
    let stream = random::stream(name);
    let draw = RandomDraw { clock: 1, stream, distribution: Distribution::Uniform, per_sample: false };
    let kept = Expr::new(Term::Random(draw)).less(keep);
    graph.map(&[x, clock], &kept.select(Expr::input(0) * (1.0 / keep), 0.0))
}
