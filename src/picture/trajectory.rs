//! Trajectories: noise turning into samples, as a `.gif` or as a strip.

use super::canvas::{save_gif, save_png};
use super::grid::{GridLayout, grid};
use super::scatter::{Panel, check_points, scatter};
use super::{PictureError, View};
use std::path::Path;
use std::time::Duration;

/// Writes a `.gif` of image grids: `values` of shape [T, N, H, W, C] in [-1, 1] with C = 1 or 3, a frame for each of T times,
/// each shown for `delay`. It repeats for ever and rests on the last frame.
///
/// # Errors
/// As [`write_grid`](super::write_grid).
pub fn write_grid_gif(
    path: &Path,
    values: &[f32],
    shape: [usize; 5],
    layout: GridLayout,
    delay: Duration,
) -> Result<(), PictureError> {
    let [_, n, h, w, c] = shape;
    let frames = times(path, values, &shape)?.map(|frame| grid(path, frame, [n, h, w, c], layout));
    save_gif(path, frames.collect::<Result<_, _>>()?, delay)
}

/// Writes a strip as a `.png`: a row for each sample and a column for each time, of `values` of shape [T, N, H, W, C] in
/// [-1, 1]. Of more than `columns` times so many are taken, evenly, with the first and the last.
///
/// # Errors
/// As [`write_grid`](super::write_grid).
pub fn write_grid_strip(path: &Path, values: &[f32], shape: [usize; 5], columns: usize) -> Result<(), PictureError> {
    let [t, n, h, w, c] = shape;
    let frames: Vec<&[f32]> = times(path, values, &shape)?.collect();
    let chosen = evenly(t, columns);
    let image = h * w * c;
    let mut turned = Vec::with_capacity(chosen.len() * n * image);
    for sample in 0..n {
        for &time in &chosen {
            turned.extend_from_slice(&frames[time][sample * image..(sample + 1) * image]);
        }
    }
    let layout = GridLayout { columns: Some(chosen.len()), upscale: None };
    save_png(path, &grid(path, &turned, [n * chosen.len(), h, w, c], layout)?)
}

/// Writes a `.gif` of scatters: `points` of shape [T, N, 2], a frame for each of T times. All frames have one view: the
/// given one, or the one around the last frame's points. `titles` has a title for each frame, or is empty.
///
/// # Errors
/// If the points do not fill the shape, or the file cannot be written.
pub fn write_scatter_gif(
    path: &Path,
    points: &[f32],
    shape: [usize; 2],
    titles: &[&str],
    view: Option<View>,
    delay: Duration,
) -> Result<(), PictureError> {
    let panels = panels(path, points, shape, titles)?;
    let view = view.or_else(|| panels.last().map(|last| View::around(last.points)));
    let frames = panels.iter().map(|panel| scatter(path, &[*panel], view, 320));
    save_gif(path, frames.collect::<Result<_, _>>()?, delay)
}

/// Writes a strip of scatters as a `.png`: a panel for each time of `points` [T, N, 2]. Of more than `columns` times so many
/// are taken, evenly, with the first and the last. `titles` and `view` are as for [`write_scatter_gif`].
///
/// # Errors
/// If the points do not fill the shape, or the file cannot be written.
pub fn write_scatter_strip(
    path: &Path,
    points: &[f32],
    shape: [usize; 2],
    titles: &[&str],
    view: Option<View>,
    columns: usize,
) -> Result<(), PictureError> {
    let panels = panels(path, points, shape, titles)?;
    let view = view.or_else(|| panels.last().map(|last| View::around(last.points)));
    let chosen: Vec<Panel> = evenly(panels.len(), columns).into_iter().map(|i| panels[i]).collect();
    save_png(path, &scatter(path, &chosen, view, 260)?)
}

/// The frames of `values`, whose first axis is time.
fn times<'a>(
    path: &Path,
    values: &'a [f32],
    shape: &[usize],
) -> Result<std::slice::ChunksExact<'a, f32>, PictureError> {
    let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
    if size != Some(values.len()) || values.is_empty() {
        let expected = format!("at least one frame, [T, N, ...] = {shape:?}");
        return Err(PictureError::shape(path, format!("{} values", values.len()), expected));
    }
    Ok(values.chunks_exact(values.len() / shape[0]))
}

fn panels<'a>(
    path: &Path,
    points: &'a [f32],
    shape: [usize; 2],
    titles: &[&'a str],
) -> Result<Vec<Panel<'a>>, PictureError> {
    check_points(path, "trajectory", points)?;
    let frames = times(path, points, &[shape[0], shape[1], 2])?;
    if !titles.is_empty() && titles.len() != shape[0] {
        let expected = format!("{}, one a frame, or none", shape[0]);
        return Err(PictureError::shape(path, format!("{} titles", titles.len()), expected));
    }
    let title = |i: usize| titles.get(i).copied().unwrap_or("");
    Ok(frames.enumerate().map(|(i, points)| Panel { title: title(i), points }).collect())
}

/// At most `most` (and at least one) of the numbers below `n`, evenly, with the last, and with the first if there are two.
fn evenly(n: usize, most: usize) -> Vec<usize> {
    let count = most.clamp(1, n);
    if count == 1 {
        return vec![n - 1];
    }
    (0..count).map(|i| (i * (n - 1) + (count - 1) / 2) / (count - 1)).collect()
}
