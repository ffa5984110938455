//! Tables of numbers as `.csv`, in and out.

use super::{DataError, write_whole};
use std::io::Write;
use std::path::Path;

/// Reads a table of numbers, one row a line, separated by commas, semicolons or tabs: the number of columns, and the values
/// row by row. A first line in which no cell is a number is a header and is passed over; so are empty lines.
///
/// # Errors
/// If the file cannot be read, a cell is not a finite number, the rows differ in length, or there are none.
pub fn read_csv(path: &Path) -> Result<(usize, Vec<f32>), DataError> {
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => DataError::format(path, "bytes that are not UTF-8", "a table as UTF-8 text"),
        _ => DataError::io(path, e),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let separator = |c| matches!(c, ',' | ';' | '\t');
    let (mut columns, mut values) = (0, Vec::new());
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (at, (i, line)) in rows.enumerate() {
        let cells: Vec<&str> = line.split(separator).map(str::trim).collect();
        let numbers: Vec<Option<f32>> = cells.iter().map(|c| c.parse().ok()).collect();
        if at == 0 && numbers.iter().all(Option::is_none) {
            continue;
        }
        if columns == 0 {
            columns = cells.len();
        }
        if cells.len() != columns {
            let noun = if cells.len() == 1 { "cell" } else { "cells" };
            let found = format!("{} {noun} in line {}", cells.len(), i + 1);
            return Err(DataError::format(path, found, format!("{columns}, as in the rows before")));
        }
        for (k, number) in numbers.into_iter().enumerate() {
            match number {
                Some(x) if x.is_finite() => values.push(x),
                _ => {
                    let found = format!("`{}` in line {}, column {}", cells[k], i + 1, k + 1);
                    return Err(DataError::format(path, found, "a finite number"));
                }
            }
        }
    }
    if values.is_empty() {
        return Err(DataError::format(path, "no rows", "rows of numbers separated by commas"));
    }
    Ok((columns, values))
}

/// Writes a table of numbers, one row a line, separated by commas, whole or not at all; numbers are the shortest that
/// read back as the same f32. `header` may be empty.
///
/// # Errors
/// If the values do not fill whole rows, the header does not have a name for each column, or the file cannot be written.
pub fn write_csv(path: &Path, header: &[&str], columns: usize, values: &[f32]) -> Result<(), DataError> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        let expected = format!("whole rows of {columns} columns");
        return Err(DataError::format(path, format!("{} values", values.len()), expected));
    }
    if !header.is_empty() && header.len() != columns {
        let expected = format!("{columns}, one a column, or none");
        return Err(DataError::format(path, format!("{} column names", header.len()), expected));
    }
    write_whole(path, |out| {
        if !header.is_empty() {
            writeln!(out, "{}", header.join(","))?;
        }
        for row in values.chunks_exact(columns) {
            for (k, x) in row.iter().enumerate() {
                let comma = if k == 0 { "" } else { "," };
                write!(out, "{comma}{x}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    })
}
