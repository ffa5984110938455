//! Numbers in messages, as a person would write them.

/// `value` with at most `digits` significant digits and without zeros at its end; very small and very large ones with
/// an exponent: `50`, `0.0125`, `1e-9`.
pub(crate) fn short(value: f64, digits: usize) -> String {
    let rounded = format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value);
    match rounded.abs() {
        size if size > 0.0 && size.is_finite() && !(1e-4..1e15).contains(&size) => format!("{rounded:e}"),
        _ => rounded.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short_and_true() {
        for (value, digits, text) in [
            (50.000_000_000_000_036, 13, "50"),
            (0.999_978_316_12, 6, "0.999978"),
            (1e-9, 6, "1e-9"),
            (1_000_000_000_000_006_916_021_554_249_728.0, 6, "1e30"),
            (0.0, 4, "0"),
            (-12.5, 4, "-12.5"),
            (f64::INFINITY, 4, "inf"),
        ] {
            assert_eq!(short(value, digits), text);
        }
    }
}
