//! The two classical binary formats of small images: IDX (MNIST and its kin) and CIFAR's batches.

use super::{DataError, Dataset, Values};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes become `2 * byte / 255 - 1`.
pub(super) fn image_values(bytes: Vec<u8>) -> Values {
    Values::U8 { bytes, scale: 2.0 / 255.0, shift: -1.0 }
}

/// Loads images from an IDX file of bytes, plain or gzipped: [N, H, W], which become `[H, W, 1]` in [-1, 1]. Where the name
/// has `images-idx3` and a file with `labels-idx1` in its place lies beside it, that gives the labels.
///
/// # Errors
/// If a file cannot be read, is no IDX file of bytes with as many axes, or images and labels differ in number.
pub fn load_idx(path: &Path) -> Result<Dataset, DataError> {
    let (axes, bytes) = read_idx(path, 3)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut set = Dataset::new(name, vec![axes[1], axes[2], 1], image_values(bytes)).map_err(|e| e.in_file(path))?;
    set.levels = Some(256);
    match labels_beside(path) {
        Some(labels) => {
            let (_, bytes) = read_idx(&labels, 1)?;
            set.with_labels(bytes.into_iter().map(u32::from).collect()).map_err(|e| e.in_file(&labels))
        }
        None => Ok(set),
    }
}

fn labels_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let beside = path.with_file_name(name.replace("images-idx3", "labels-idx1"));
    (beside != path && beside.is_file()).then_some(beside)
}

/// The axes and bytes of an IDX file: two zeros, the type (8 for bytes), the number of axes, their lengths, the data.
fn read_idx(path: &Path, rank: u8) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let bytes = read_unzipped(path)?;
    let expected = format!("an IDX file of bytes with {rank} axes (it opens with 00 00 08 {rank:02x})");
    let head_len = 4 + 4 * usize::from(rank);
    let Some((head, data)) = bytes.split_at_checked(head_len).filter(|(head, _)| head[..4] == [0, 0, 8, rank]) else {
        let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
        return Err(DataError::format(path, format!("a start of `{}`", start.join(" ")), expected));
    };
    let axes: Vec<usize> = head[4..].as_chunks().0.iter().map(|b| u32::from_be_bytes(*b) as usize).collect();
    if axes.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)) != Some(data.len()) {
        let found = format!("{} bytes of data", data.len());
        return Err(DataError::format(path, found, format!("as many as its axes {axes:?} say")));
    }
    Ok((axes, data.to_vec()))
}

fn read_unzipped(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(|e| DataError::io(path, e))?;
    Ok(plain)
}

/// Loads CIFAR-10's binary batches: `path` is one, or a folder, of which `data_batch_*.bin` are taken in order of their
/// names. Each record is a label and 32x32 bytes of red, of green and of blue; samples are `[32, 32, 3]` in [-1, 1].
///
/// # Errors
/// If a file cannot be read or does not hold whole records, or there is none.
pub fn load_cifar10(path: &Path) -> Result<Dataset, DataError> {
    const PLANE: usize = 32 * 32;
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        let is_batch = |name: &str| name.starts_with("data_batch") && name.ends_with(".bin");
        files = files_in(path)?
            .into_iter()
            .filter(|f| f.file_name().and_then(|n| n.to_str()).is_some_and(is_batch))
            .collect();
    }
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for file in &files {
        let batch = std::fs::read(file).map_err(|e| DataError::io(file, e))?;
        let (records, rest) = batch.as_chunks::<{ 1 + 3 * PLANE }>();
        if records.is_empty() || !rest.is_empty() || records.iter().any(|record| record[0] > 9) {
            let found = format!("{} bytes", batch.len());
            return Err(DataError::format(file, found, "records of 3073 bytes: a label of 0..9 and 3 planes of 32x32"));
        }
        for record in records {
            labels.push(u32::from(record[0]));
            let planes = &record[1..];
            bytes.extend((0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]));
        }
    }
    if bytes.is_empty() {
        return Err(DataError::format(path, "no batch", "a folder with data_batch_1.bin and so on"));
    }
    let mut set = Dataset::new("cifar10", vec![32, 32, 3], image_values(bytes))?.with_labels(labels)?;
    set.levels = Some(256);
    Ok(set)
}

/// The files in a folder in order of their names, so that the order of samples does not depend on the file system.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files = paths.collect::<Result<Vec<_>, _>>().map_err(|e| DataError::io(folder, e))?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
