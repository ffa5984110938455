//! How much a model changes its mind between two noise levels.

use super::{Model, NoiseLevel, Quantity, Sde, perturbed};
use crate::graph::{Expr, Graph, Shape, Value};

/// The graph of the squared change of the denoised from one noise level to another, with the same data and noise: from
/// the inputs `x0` and `noise` (`[Batch, dims]`), `t` and `t_next` (`[1]`) the output `work`, `[Batch, 1]`. The root of
/// its mean is a distance for [`equal_work`](super::equal_work).
pub fn work_graph<'m>(sde: &dyn Sde, dims: usize, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let [x0, noise] = ["x0", "noise"].map(|name| graph.input(name, Shape::batch(&[dims])));
    let mut denoised_at = |name: &str| -> Value {
        let t = graph.input(name, Shape::fixed(&[1]));
        let level = NoiseLevel::at(&mut graph, sde, t);
        let x = perturbed(&mut graph, x0, &level, noise);
        model.predict(&mut graph, x, &level, Quantity::Denoised)
    };
    let [here, there] = ["t", "t_next"].map(&mut denoised_at);
    let change = graph.map(&[here, there], &(Expr::input(0) - Expr::input(1)).square());
    let work = graph.sum(change, &[1]);
    graph.output("work", work);
    graph
}
