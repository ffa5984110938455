//! The user's own files as data sets.

use super::{DataError, Dataset, Values, read_csv, read_npy};
use std::path::Path;

/// Loads a data set from a file, told by the ending of its name:
///
/// - `.npy`: the first axis counts the samples, the rest is a sample's shape (`[1]` if there is none; a grey image is
///   `[H, W, 1]`). Floats are used as they are; bytes are images and become `2 * byte / 255 - 1`, with 256 levels.
/// - `.csv`: each row is a sample of shape `[columns]`.
///
/// The data set is named after the file.
///
/// # Errors
/// If the ending is another one, or the file is not as [`read_npy`], [`read_csv`] or [`Dataset::new`] take it.
pub fn load(path: &Path) -> Result<Dataset, DataError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "npy" => {
            let array = read_npy(path)?;
            let Some((_, shape)) = array.shape.split_first() else {
                return Err(DataError::format(path, "a single number", "an array of shape [N, D] or [N, H, W, C]"));
            };
            let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
            let (values, levels) = match array.values {
                Values::U8 { bytes, .. } => (Values::U8 { bytes, scale: 2.0 / 255.0, shift: -1.0 }, Some(256)),
                values => (values, None),
            };
            let mut set = Dataset::new(name, shape, values).map_err(|e| in_file(path, e))?;
            set.levels = levels;
            Ok(set)
        }
        "csv" => {
            let (columns, values) = read_csv(path)?;
            Dataset::new(name, vec![columns], Values::F32(values)).map_err(|e| in_file(path, e))
        }
        _ => Err(DataError::format(path, format!("the ending `.{ending}`"), "a .npy or .csv file")),
    }
}

/// A data set's error, told of the file that it came from.
fn in_file(path: &Path, error: DataError) -> DataError {
    match error {
        DataError::Dataset { found, expected, .. } => DataError::Format { path: path.to_path_buf(), found, expected },
        other => other,
    }
}
