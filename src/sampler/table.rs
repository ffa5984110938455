//! A row of a sampler's table, as values of a graph.

use super::states;
use crate::graph::{Expr, Graph, Shape, Tape, TensorType, Value};
use crate::sde::{NoiseLevel, Sde};

/// A column of a sampler's table, by what its numbers are. In f64 each is one number; a device gets them in a form that
/// f32 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A time at which the model is asked. A device gets its noise level.
    Time(&'static str),
    /// The factor of a value that short steps change little. A device gets the nearest whole number and the rest, so
    /// that over many steps no rounding of a factor near 1 adds up.
    Carried(&'static str),
    /// Any other number.
    Number(&'static str),
}

impl Column {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time(name) | Self::Carried(name) | Self::Number(name) => name,
        }
    }

    /// How many numbers a device gets.
    const fn width(self) -> usize {
        match self {
            Self::Time(_) => 3,
            Self::Carried(_) => 2,
            Self::Number(_) => 1,
        }
    }
}

/// How many numbers a device gets for a row of these columns.
pub fn row_width(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width()).sum()
}

/// Where the noise of a sampler's steps is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Drawn, by the clock's seed.
    Drawn,
    /// Put into the states [`states::step_noise`] by the host before each step, so that another program can be
    /// followed.
    Given,
}

/// The numbers of the step that the clock points at.
#[derive(Clone, Debug)]
pub struct Row {
    /// The sampler's clock.
    pub clock: Value,
    columns: &'static [Column],
    entries: Vec<Value>,
    noise: Noise,
}

impl Row {
    /// The row of `table` (`[rows, row_width(columns)]`) that `clock` points at.
    pub fn new(graph: &mut Graph, table: Value, clock: Value, columns: &'static [Column], noise: Noise) -> Self {
        let entries = (0..row_width(columns)).map(|place| graph.table_entry(table, clock, place)).collect();
        Self { clock, columns, entries, noise }
    }

    /// The column of this name, and where its numbers begin.
    fn find(&self, name: &str) -> (Column, usize) {
        let index = self.columns.iter().position(|column| column.name() == name);
        let index = index.unwrap_or_else(|| panic!("column {name} of a table with {:?}", self.columns));
        (self.columns[index], row_width(&self.columns[..index]))
    }

    /// A number of the row, of shape `[1, 1]`, which broadcasts over `[Batch, D]`.
    fn at(&self, graph: &mut Graph, place: usize) -> Value {
        graph.map_to(&[self.entries[place]], &Expr::input(0), &Shape::fixed(&[1, 1]))
    }

    /// The entry of a [`Number`](Column::Number) column, of shape `[1, 1]`, which broadcasts over `[Batch, D]`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn entry(&self, graph: &mut Graph, column: &str) -> Value {
        let (kind, place) = self.find(column);
        assert!(matches!(kind, Column::Number(_)), "{kind:?} is not a single number");
        self.at(graph, place)
    }

    /// The noise level of a [`Time`](Column::Time) column.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn level(&self, graph: &mut Graph, column: &str) -> NoiseLevel {
        let (kind, place) = self.find(column);
        assert!(matches!(kind, Column::Time(_)), "{kind:?} is no time");
        let [alpha, sigma, log_snr] = [0, 1, 2].map(|i| self.at(graph, place + i));
        NoiseLevel { alpha, sigma, log_snr }
    }

    /// The sum of values (`[Batch, D]`), each times its column's entry. What is carried on whole comes last, so that
    /// the sum is rounded once to its size.
    ///
    /// # Panics
    /// If there are no terms.
    pub fn combine(&self, graph: &mut Graph, terms: &[(&str, Value)]) -> Value {
        let mut products = Vec::with_capacity(terms.len());
        let mut whole = Vec::new();
        for (name, value) in terms {
            let (column, place) = self.find(name);
            products.push((self.at(graph, place), *value));
            if let Column::Carried(_) = column {
                whole.push((self.at(graph, place + 1), *value));
            }
        }
        // A node for each term, so that fusion can cut a sum of more values than a device binds.
        let mut sum = None;
        for (entry, value) in products.into_iter().chain(whole) {
            sum = Some(match sum {
                None => graph.times(entry, value),
                Some(sum) => graph.map(&[entry, value, sum], &(Expr::input(2) + Expr::input(0) * Expr::input(1))),
            });
        }
        sum.expect("a sum of something")
    }

    /// Standard normal numbers of the shape of `like` (`[Batch, D]`): draw number `draw` of the step, counted from 0.
    pub fn normal(&self, graph: &mut Graph, draw: usize, like: Value) -> Value {
        let shape = graph.shape(like).clone();
        match self.noise {
            Noise::Given => graph.state(&states::step_noise(draw), TensorType::f32(shape)),
            Noise::Drawn if draw == 0 => graph.normal(self.clock, "sampler.noise", shape),
            Noise::Drawn => graph.normal(self.clock, &format!("sampler.noise.{draw}"), shape),
        }
    }
}

/// The rows of a sampler's table one after the other, in the form that a device gets. The process gives the noise
/// levels of times.
pub fn expand(columns: &[Column], rows: &[Vec<f64>], sde: &dyn Sde) -> Vec<f64> {
    let levels = Tape::new(&NoiseLevel::of_time(sde));
    let mut flat = Vec::with_capacity(rows.len() * row_width(columns));
    for (column, number) in rows.iter().flat_map(|row| columns.iter().zip(row)) {
        match column {
            Column::Time(_) => flat.extend(levels.evaluate(&[*number])),
            Column::Carried(_) => flat.extend([number - number.round(), number.round()]),
            Column::Number(_) => flat.push(*number),
        }
    }
    flat
}

/// What the state `sampler.table` holds: [`expand`] in f32, padded with zeros to `max_rows`.
///
/// # Panics
/// If there are more than `max_rows` rows.
pub fn flatten(columns: &[Column], rows: &[Vec<f64>], sde: &dyn Sde, max_rows: usize) -> Vec<f32> {
    assert!(rows.len() <= max_rows, "{} rows in a table of {max_rows}", rows.len());
    let mut flat: Vec<f32> = expand(columns, rows, sde).into_iter().map(|number| number as f32).collect();
    flat.resize(max_rows * row_width(columns), 0.0);
    flat
}
