//! A row of a sampler's table, as values of a graph.

use crate::graph::{Expr, Graph, Shape, Value};

/// The numbers of the step that the clock points at.
#[derive(Clone, Debug)]
pub struct Row {
    /// The sampler's clock.
    pub clock: Value,
    columns: &'static [&'static str],
    entries: Vec<Value>,
}

impl Row {
    /// The row of `table` (`[rows, columns]`) that `clock` points at.
    pub fn new(graph: &mut Graph, table: Value, clock: Value, columns: &'static [&'static str]) -> Self {
        let entries = (0..columns.len()).map(|column| graph.table_entry(table, clock, column)).collect();
        Self { clock, columns, entries }
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
}

/// The rows one after the other, as f32, padded with zeros to `max_rows`: what the state `sampler.table` holds.
///
/// # Panics
/// If there are more than `max_rows` rows.
pub fn flatten(rows: &[Vec<f64>], max_rows: usize) -> Vec<f32> {
    assert!(rows.len() <= max_rows, "{} steps in a table of {max_rows}", rows.len());
    let columns = rows.first().map_or(0, Vec::len);
    let mut flat: Vec<f32> = rows.iter().flatten().map(|value| *value as f32).collect();
    flat.resize(max_rows * columns, 0.0);
    flat
}
