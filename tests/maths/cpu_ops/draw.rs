//! Random numbers by their definition, however a batch is split.

use super::x;
use crate::common::graphs::{World, check, run_on};
use tweedie::graph::expr::{RandomDraw, Term};
use tweedie::graph::{Distribution, Expr, Graph, Shape, random};

fn per_sample(stream: &str, distribution: Distribution) -> Expr {
    let draw = RandomDraw { clock: 0, stream: random::stream(stream), distribution, per_sample: true };
    Expr::new(Term::Random(draw))
}

#[test]
fn draws_follow_the_definition() {
    let shapes = [
        Shape::batch(&[]),
        Shape::batch(&[1]),
        Shape::batch(&[2]),
        Shape::batch(&[7, 3]),
        Shape::batch(&[5]).with_leading(3),
        Shape::batch(&[]).with_leading(6),
        Shape::fixed(&[1]),
        Shape::fixed(&[67]),
        Shape::fixed(&[3, 5]),
    ];
    for shape in shapes {
        for batch in [1, 4, 130] {
            let mut graph = Graph::new();
            let clock = graph.clock("clock");
            let normal = graph.normal(clock, "noise", shape.clone());
            let uniform = graph.uniform(clock, "time", shape.clone());
            let exprs =
                [per_sample("time", Distribution::Uniform) + Expr::column(), per_sample("z", Distribution::Normal)];
            let samples = graph.pointwise(&[clock], &exprs, Some(shape.clone()));
            let at = |step: Expr| {
                let stream = random::stream("at");
                let draw = RandomDraw { clock: 0, stream, distribution: Distribution::Normal, per_sample: false };
                Expr::new(Term::RandomAt(draw, step))
            };
            let steps = [at(Expr::column() * 3.0 + 70_000.0), at(Expr::constant(9.0))];
            let at_steps = graph.pointwise(&[clock], &steps, Some(shape.clone()));
            graph.output("at steps of their own", at_steps[0]);
            graph.output("at one step", at_steps[1]);
            graph.output("normal", normal);
            graph.output("uniform", uniform);
            graph.output("per sample", samples[0]);
            graph.output("per sample normal", samples[1]);
            let world = World::new(batch).clock("clock", [7, 1000, 0xdead_beef, 42]);
            check(&format!("draws of {shape} for {batch}"), &graph, &world, 1, 3e-7);
        }
    }
}

#[test]
fn four_batches_of_16_draw_what_64_draw() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let noise = graph.normal(clock, "noise", Shape::batch(&[7]));
    let time = graph.uniform(clock, "time", Shape::batch(&[1]));
    let y = graph.map(&[noise, time], &(x(0) * x(1).sqrt()));
    graph.output("y", y);
    let draw =
        |batch, base| run_on::<f32>(&graph, &World::new(batch).clock("clock", [5, base, 1, 2]), 1).remove("y").unwrap();
    let parts: Vec<f64> = (0..4).flat_map(|part| draw(16, 16 * part)).collect();
    assert_eq!(parts, draw(64, 0));
    assert_ne!(parts, draw(64, 1));
}
