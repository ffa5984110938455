//! NumPy's `.npy` arrays, in and out.
//!
//! The format is a magic string, a version, the header's length and the header, a Python dictionary literal with the keys
//! `descr`, `fortran_order` and `shape`, padded so that the data starts at a multiple of 64 bytes.

use super::{DataError, Values, write_whole};
use std::io::Write;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
const DTYPES: &str = "'<f4', '<f8', '<f2' or '|u1' (convert with x.astype(numpy.float32))";

/// An array as it stands in a file: C order, any number of axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values; bytes keep a scale of 1 and a shift of 0.
    pub values: Values,
}

/// Reads an array of f32, f64, f16 (both become f32) or u8 in C order and little-endian.
///
/// # Errors
/// If the file cannot be read, is no `.npy` file, is in Fortran order, has another element type, or does not hold as many
/// values as its shape says.
pub fn read_npy(path: &Path) -> Result<Array, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    let bad = |found: String, expected: String| DataError::format(path, found, expected);
    let Some((header, data)) = open(&bytes) else {
        return Err(bad("no NumPy header".into(), "a .npy file as numpy.save writes it".into()));
    };
    let Some((descr, fortran, shape)) = parse(header) else {
        return Err(bad(format!("the header `{}`", header.trim()), format!("a plain array of {DTYPES}")));
    };
    let size = match descr {
        "|u1" | "<u1" | ">u1" => 1,
        "<f2" => 2,
        "<f4" => 4,
        "<f8" => 8,
        _ => return Err(bad(format!("dtype '{descr}'"), DTYPES.into())),
    };
    let count = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let wanted = count.and_then(|n| n.checked_mul(size));
    if wanted != Some(data.len()) {
        let expected =
            wanted.map_or("a smaller shape".into(), |n| format!("{n} bytes for shape {shape:?} of '{descr}'"));
        return Err(bad(format!("{} bytes of data", data.len()), expected));
    }
    if fortran && shape.iter().filter(|&&axis| axis > 1).count() > 1 {
        return Err(bad("Fortran order".into(), "C order (save numpy.ascontiguousarray(x))".into()));
    }
    let values = match size {
        1 => Values::U8 { bytes: data.to_vec(), scale: 1.0, shift: 0.0 },
        2 => Values::F32(data.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()),
        4 => Values::F32(data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        _ => Values::F32(data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()),
    };
    Ok(Array { shape, values })
}

/// Writes an f32 array in C order, whole or not at all.
///
/// # Errors
/// If the values do not fill the shape, or the file cannot be written.
pub fn write_npy(path: &Path, shape: &[usize], values: &[f32]) -> Result<(), DataError> {
    if shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)) != Some(values.len()) {
        return Err(DataError::format(path, format!("{} values", values.len()), format!("values of shape {shape:?}")));
    }
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({axes}), }}");
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len());
    let length = length.map_err(|_| DataError::format(path, format!("{} axes", shape.len()), "fewer axes"))?;
    write_whole(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&[1, 0])?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        values.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))
    })
}

/// The header's text and the data behind it, if the file opens as a `.npy` file of version 1, 2 or 3.
fn open(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// `descr`, `fortran_order` and `shape`, if the header is that of a plain array.
fn parse(header: &str) -> Option<(&str, bool, Vec<usize>)> {
    let after = |key: &str| {
        let at = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|k| Some(header.find(k)? + k.len()))?;
        header[at..].trim_start().strip_prefix(':').map(str::trim_start)
    };
    let descr = after("descr")?;
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let descr = descr[1..].split(quote).next()?;
    let fortran = after("fortran_order")?.starts_with("True");
    let axes = after("shape")?.strip_prefix('(')?.split(')').next()?;
    let axes = axes.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    Some((descr, fortran, axes.map(|axis| axis.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?))
}
