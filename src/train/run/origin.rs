//! What a checkpoint knows of the data that it was trained with.
//!
//! The network's output is scaled by a property of the training data, and the order of the data depends on its length.
//! Both are in the checkpoint, so that a data set which has changed since neither spoils samples nor is trained on
//! unnoticed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::train::run::checkpoint::Checkpoint;

/// Root mean square of the training data's coordinates.
const SIGMA_DATA: &str = "sigma_data";
/// Number of samples that are trained on.
const ROWS: &str = "rows";
/// JSON may lose the last bits of a number, no more.
const ROUNDING: f64 = 1e-12;

/// What a checkpoint keeps, for [`Checkpoint::extra`]: the root mean square of the training data's coordinates, and
/// the number of samples.
pub fn record(sigma_data: f64, rows: usize) -> BTreeMap<String, Value> {
    [(SIGMA_DATA, Value::from(sigma_data)), (ROWS, Value::from(rows))]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

/// The number of samples that the checkpoint was trained on, if it is another than `rows`.
pub fn other_rows(checkpoint: &Checkpoint, rows: usize) -> Option<u64> {
    checkpoint.extra.get(ROWS).and_then(Value::as_u64).filter(|was| *was != rows as u64)
}

/// The root mean square of the data that the checkpoint was trained on, if it is another than `sigma_data`.
pub fn other_sigma_data(checkpoint: &Checkpoint, sigma_data: f64) -> Option<f64> {
    let was = checkpoint.extra.get(SIGMA_DATA).and_then(Value::as_f64)?;
    ((was - sigma_data).abs() > ROUNDING * was.abs()).then_some(was)
}
