//! The user's own files as data sets.

use super::binary::image_values;
use super::{DataError, Dataset, Values, load_cifar10, load_idx, read_csv, read_npy};
use std::path::Path;

/// Loads a data set from a file, told by the ending of its name:
///
/// - `.npy`: the first axis counts the samples, the rest is a sample's shape (`[1]` if there is none; a grey image is
///   `[H, W, 1]`). Floats are used as they are; bytes are images and become `2 * byte / 255 - 1`, with 256 levels.
/// - `.csv`: each row is a sample of shape `[columns]`.
/// - a folder: its pictures ([`load_folder`](super::load_folder), with the feature `cli`), or CIFAR-10's batches if it has
///   any; a single batch is a `.bin` file ([`load_cifar10`]).
/// - a name with `idx3-ubyte` in it: IDX images, plain or gzipped ([`load_idx`]).
///
/// The data set is named after the file.
///
/// # Errors
/// If nothing is there, the ending is another one, or the file is not as [`read_npy`], [`read_csv`] or [`Dataset::new`] take it.
pub fn load(path: &Path) -> Result<Dataset, DataError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    // Before the name is looked at: a slip in it should not be told off for its ending.
    if std::fs::metadata(path).map_err(|e| DataError::io(path, e))?.is_dir() {
        return load_dir(path);
    }
    if path.file_name().is_some_and(|name| name.to_string_lossy().contains("idx3-ubyte")) {
        return load_idx(path);
    }
    match ending.as_str() {
        "bin" => load_cifar10(path),
        "npy" => {
            let array = read_npy(path)?;
            let Some((_, shape)) = array.shape.split_first() else {
                return Err(DataError::format(path, "a single number", "an array of shape [N, D] or [N, H, W, C]"));
            };
            let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
            let (values, levels) = match array.values {
                Values::U8 { bytes, .. } => (image_values(bytes), Some(256)),
                values => (values, None),
            };
            let mut set = Dataset::new(name, shape, values).map_err(|e| e.in_file(path))?;
            set.levels = levels;
            Ok(set)
        }
        "csv" => {
            let (columns, values) = read_csv(path)?;
            Dataset::new(name, vec![columns], Values::F32(values)).map_err(|e| e.in_file(path))
        }
        _ => Err(DataError::format(
            path,
            format!("the ending `.{ending}`"),
            "a .npy, .csv, idx3-ubyte or CIFAR-10 .bin file, or a folder of pictures",
        )),
    }
}

fn load_dir(path: &Path) -> Result<Dataset, DataError> {
    if path.join("data_batch_1.bin").is_file() {
        return load_cifar10(path);
    }
    #[cfg(feature = "cli")]
    return super::load_folder(path);
    #[cfg(not(feature = "cli"))]
    return Err(DataError::format(path, "a folder", "a file (folders of pictures need the feature `cli`)"));
}
