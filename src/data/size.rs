//! How large and how small numbers may be. Networks, losses and exact scores square them, in 32 bits, which hold
//! numbers from 1.2e-38 to 3.4e38: squares that are not held become infinite, or 0, and what is computed from them
//! nonsense.

use std::ops::RangeInclusive;

/// The largest magnitude of a value: room for differences, and for sums of squares over some eighty coordinates. (Sums
/// over more that are not held are found where they arise: a loss that is not finite ends training.)
pub const LARGEST_VALUE: f64 = 1e18;

/// What the largest magnitude among values that are not all 0 is at least.
pub const LEAST_LARGEST_VALUE: f64 = 1e-18;

/// The largest magnitude of a coordinate of a mixture's mean. Drawn values, up to some ten widths away, are data too.
pub const LARGEST_MEAN: f64 = 1e17;

/// The standard deviations of a mixture.
pub const WIDTHS: RangeInclusive<f64> = 1e-18..=1e17;

/// Why that would be right.
pub(super) const WHY: &str = ", whose square 32 bits hold (about 1 is best)";

/// What is wrong with one of these values, if they are not finite or one is too large.
pub fn fault(values: &[f32]) -> Option<String> {
    let fits = |value: &f32| value.is_finite() && f64::from(value.abs()) <= LARGEST_VALUE;
    let place = values.iter().position(|value| !fits(value))?;
    Some(format!(
        "value {place} (counted from 0) is {:e}; should be finite and at most {LARGEST_VALUE:e} in size{WHY}",
        values[place]
    ))
}

/// What is wrong with finite values, if their squares are not held: what was found, and what would be right.
pub(super) fn complaint(values: &[f32], dim: usize) -> Option<(String, String)> {
    let (place, largest) =
        values.iter().enumerate().fold(
            (0, 0.0f32),
            |(place, most), (i, value)| {
                if value.abs() > most { (i, value.abs()) } else { (place, most) }
            },
        );
    if f64::from(largest) > LARGEST_VALUE {
        let found = format!("{:e} in sample {} (counted from 0)", values[place], place / dim);
        return Some((found, format!("values of at most {LARGEST_VALUE:e} in size{WHY}")));
    }
    if largest > 0.0 && f64::from(largest) < LEAST_LARGEST_VALUE {
        let found = format!("values of at most {largest:e} in size");
        return Some((found, format!("a value of at least {LEAST_LARGEST_VALUE:e} in size{WHY}")));
    }
    None
}
