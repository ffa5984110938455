//! A row of a sampler's table, as values of a graph.

use super::names;
use crate::graph::{Expr, Graph, Shape, TensorType, Value};

/// Where the noise of a sampler's steps is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Drawn, by the clock's seed.
    Drawn,
    /// Put into the states [`names::step_noise`] by the host before each step, so that another program can be followed.
    Given,
}

/// The numbers of the step that the clock points at.
#[derive(Clone, Debug)]
pub struct Row {
    /// The sampler's clock.
    pub clock: Value,
    columns: &'static [&'static str],
    entries: Vec<Value>,
    noise: Noise,
}

impl Row {
    /// The row of `table` (`[rows, columns]`) that `clock` points at.
    pub fn new(graph: &mut Graph, table: Value, clock: Value, columns: &'static [&'static str], noise: Noise) -> Self {
        let entries = (0..columns.len()).map(|column| graph.table_entry(table, clock, column)).collect();
        Self { clock, columns, entries, noise }
    }

    /// The entry of this column, of shape `[1, 1]`, which broadcasts over `[Batch, D]`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn entry(&self, graph: &mut Graph, column: &str) -> Value {
        let index = self.columns.iter().position(|name| *name == column);
        let index = index.unwrap_or_else(|| panic!("column {column} of a table with {:?}", self.columns));
        graph.map_to(&[self.entries[index]], &Expr::input(0), &Shape::fixed(&[1, 1]))
    }

    /// The sum of values (`[Batch, D]`), each times its column's entry.
    ///
    /// # Panics
    /// If there are no terms.
    pub fn combine(&self, graph: &mut Graph, terms: &[(&str, Value)]) -> Value {
        // A node for each term, so that fusion can cut a sum of more values than a device binds.
        let mut sum = None;
        for (column, value) in terms {
            let entry = self.entry(graph, column);
            sum = Some(match sum {
                None => graph.times(entry, *value),
                Some(sum) => graph.map(&[entry, *value, sum], &(Expr::input(2) + Expr::input(0) * Expr::input(1))),
            });
        }
        sum.expect("a sum of something")
    }

    /// Standard normal numbers of the shape of `like` (`[Batch, D]`): draw number `draw` of the step, counted from 0.
    pub fn normal(&self, graph: &mut Graph, draw: usize, like: Value) -> Value {
        let shape = graph.shape(like).clone();
        match self.noise {
            Noise::Given => graph.state(&names::step_noise(draw), TensorType::f32(shape)),
            Noise::Drawn if draw == 0 => graph.normal(self.clock, "sampler.noise", shape),
            Noise::Drawn => graph.normal(self.clock, &format!("sampler.noise.{draw}"), shape),
        }
    }
}

/// The rows one after the other, as f32, padded with zeros to `max_rows`: what the state `sampler.table` holds.
///
/// # Panics
/// If there are more than `max_rows` rows.
pub fn flatten(rows: &[Vec<f64>], max_rows: usize) -> Vec<f32> {
    assert!(rows.len() <= max_rows, "{} rows in a table of {max_rows}", rows.len());
    let columns = rows.first().map_or(0, Vec::len);
    let mut flat: Vec<f32> = rows.iter().flatten().map(|value| *value as f32).collect();
    flat.resize(max_rows * columns, 0.0);
    flat
}
