//! The bundled handwritten digits.

use super::{DataError, Dataset, Values};
use std::io::Read;
use std::path::Path;

const FILE: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const PIXELS: usize = 64;

/// The 1,797 handwritten digits of UCI's *Optical Recognition of Handwritten Digits* (E. Alpaydin and C. Kaynak, CC BY
/// 4.0, see `assets/README.md`): shape `[8, 8, 1]`, grey levels 0..16 (17 of them) as `level / 8 - 1`, so -1 is paper and 1
/// is ink, and labels 0..9. [`Dataset::split`] leaves 1,498 for training and holds out 299, 29 to 31 of each digit.
///
/// # Errors
/// None, unless the file in the binary was damaged.
pub fn digits() -> Result<Dataset, DataError> {
    let path = Path::new("assets/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE).read_to_string(&mut text).map_err(|e| DataError::io(path, e))?;
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        let row: Option<Vec<u8>> = line.split(',').map(|v| v.trim().parse().ok()).collect();
        match row.as_deref() {
            Some([pixels @ .., label]) if pixels.len() == PIXELS && pixels.iter().all(|&p| p <= 16) => {
                bytes.extend_from_slice(pixels);
                labels.push(u32::from(*label));
            }
            _ => {
                return Err(DataError::format(
                    path,
                    format!("row {} `{line}`", i + 1),
                    "64 values of 0..16 and a label",
                ));
            }
        }
    }
    let values = Values::U8 { bytes, scale: 0.125, shift: -1.0 };
    let mut set = Dataset::new("digits", vec![8, 8, 1], values)?.with_labels(labels)?;
    set.levels = Some(17);
    Ok(set)
}
