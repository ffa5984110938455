//! Expressions, element by element.

use super::x;
use crate::common::graphs::{World, check, near, run_on};
use tweedie::graph::{Expr, Graph, Shape, Tape};

/// A dozen expressions that among them hold every function, over two inputs between −1 and 1.
fn expressions() -> Vec<Expr> {
    let (a, b) = (x(0), x(1));
    vec![
        -&a,
        &a + 2.0,
        (&a - &b).abs(),
        (&a * 3.0).exp() / (&b + 1.5),
        (&a * &b).expm1(),
        (&a + 1.25).ln(),
        (&a * 0.9).log1p() * 2.0,
        (&b + 1.0).sqrt(),
        (&a * 50.0).sin() + (&b * 7.0).cos(),
        (&a * 4.0).tanh() * (&b * 5.0).sigmoid(),
        (&a * 20.0).softplus(),
        a.max(&b) - a.min(0.25),
        a.less(&b).select(&a * 3.0, 0.5),
        a.less(0.0).select(2.0, &b),
        b.is_finite() * 3.0,
        Expr::constant(1.5),
    ]
}

#[test]
fn pointwise_is_the_tape_element_by_element() {
    let exprs = expressions();
    for count in [1, 2, 3, 67, 511, 512, 513, 5000] {
        let mut graph = Graph::new();
        let a = graph.input("a", Shape::batch(&[]));
        let b = graph.input("b", Shape::batch(&[]));
        for (i, value) in graph.pointwise(&[a, b], &exprs, Some(Shape::batch(&[]))).into_iter().enumerate() {
            graph.output(format!("{i}"), value);
        }
        let world = World::new(count).filled(&graph, count as u64);
        let (exact, single) = (run_on::<f64>(&graph, &world, 1), run_on::<f32>(&graph, &world, 1));
        let tape = Tape::new(&exprs);
        let elements = world.inputs["a"].iter().zip(&world.inputs["b"]);
        let truth: Vec<Vec<f64>> = elements.map(|(a, b)| tape.evaluate(&[*a, *b])).collect();
        for i in 0..exprs.len() {
            let column: Vec<f64> = truth.iter().map(|row| row[i]).collect();
            near(&format!("expression {i}, f64"), &exact[&i.to_string()], &column, 0.0);
            near(&format!("expression {i}, f32"), &single[&i.to_string()], &column, 4e-6);
        }
    }
}

#[test]
fn pointwise_broadcasts() {
    // Shapes that broadcast to [2, batch, 3, 5] in every way, alone and with scalars and columns.
    let wide = Shape::batch(&[3, 5]).with_leading(2);
    let parts = [
        wide.clone(),
        Shape::batch(&[3, 5]),
        Shape::batch(&[1, 1]),
        Shape::batch(&[3, 1]),
        Shape::fixed(&[5]),
        Shape::fixed(&[3, 1]),
        Shape::fixed(&[3, 5]),
        Shape::fixed(&[1]),
        Shape::fixed(&[2, 1, 1, 1]),
        Shape::fixed(&[2, 1, 3, 5]),
        Shape::batch(&[1, 5]).with_leading(2),
    ];
    for first in &parts {
        for second in &parts {
            for batch in [1, 2, 67] {
                let mut graph = Graph::new();
                let a = graph.input("a", first.clone());
                let b = graph.input("b", second.clone());
                let c = graph.input("c", Shape::fixed(&[1]));
                let expr = (x(0).exp() * x(2) + Expr::column().sin()) * (x(1) + Expr::batch()) - x(1).tanh();
                let y = graph.map_to(&[a, b, c], &expr, &wide);
                // Another output that varies less.
                let z = graph.map_to(&[b], &(x(0).sigmoid() * Expr::column()), &wide);
                graph.output("y", y);
                graph.output("z", z);
                check(&format!("{first} and {second}"), &graph, &World::new(batch).filled(&graph, 9), 1, 3e-6);
            }
        }
    }
}

#[test]
fn wide_rows_and_per_sample_numbers() {
    for (batch, width) in [(3, 1200), (67, 33), (512, 2), (5, 512), (700, 1)] {
        let mut graph = Graph::new();
        let a = graph.input("a", Shape::batch(&[width]));
        let t = graph.input("t", Shape::batch(&[1]));
        let bias = graph.input("bias", Shape::fixed(&[width]));
        let expr = x(0) * (x(1) * -2.0).exp() + x(2).cos() * Expr::column() / Expr::batch();
        let y = graph.map(&[a, t, bias], &expr);
        graph.output("y", y);
        check(&format!("{batch} x {width}"), &graph, &World::new(batch).filled(&graph, 1), 1, 3e-6);
    }
}
