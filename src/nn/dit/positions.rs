//! Where a patch lies, as sines and cosines (Vaswani et al. 2017, in two dimensions).

use crate::graph::{Expr, Graph, Shape, Value};

/// A wave of the slowest frequency turns once in 2π times so many patches.
const LONGEST: f64 = 10_000.0;

/// `[rows · columns, width]`: of each patch sines and cosines of its column, then sines and cosines of its row, a
/// quarter of `width` each, at frequencies in geometric progression from 1 down to just above 1 / 10,000 radians a
/// patch. `width` is a multiple of 4. No learned number and no input enters.
pub fn positions(graph: &mut Graph, [rows, columns]: [usize; 2], width: usize) -> Value {
    let body = |graph: &mut Graph, _: &[Value]| {
        let [row, column] = [(rows, [rows, 1, 1]), (columns, [1, columns, 1])].map(|(length, shape)| {
            let index = graph.map_to(&[], &Expr::column(), &Shape::fixed(&[length]));
            graph.reshape(index, Shape::fixed(&shape))
        });
        let (half, quarter) = ((width / 2) as f64, (width / 4) as f64);
        let of_column = Expr::column().less(half);
        let within = Expr::column() - of_column.select(0.0, half);
        let is_sine = within.less(quarter);
        let index = within - is_sine.select(0.0, quarter);
        let frequency = (index * (-LONGEST.ln() / quarter)).exp();
        let angle = of_column.select(Expr::input(1), Expr::input(0)) * frequency;
        let waves = is_sine.select(angle.sin(), angle.cos());
        let waves = graph.map_to(&[row, column], &waves, &Shape::fixed(&[rows, columns, width]));
        vec![graph.reshape(waves, Shape::fixed(&[rows * columns, width]))]
    };
    graph.composite("positions", &[], body)[0]
}
