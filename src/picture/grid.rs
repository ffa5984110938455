//! Grids of images.

use super::PictureError;
use super::canvas::{VERMILION, save_png};
use image::{Rgb, RgbImage};
use std::path::Path;

/// How a grid is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridLayout {
    /// Images in a row; by default the grid is as square as it can be.
    pub columns: Option<usize>,
    /// Pixels of the picture along one pixel of an image; by default an image becomes about 48 pixels high, so that one can
    /// read digits of 8x8.
    pub upscale: Option<usize>,
}

const GAP: usize = 1;
const GAP_COLOR: Rgb<u8> = Rgb([96, 96, 96]);

/// Writes images, `values` of shape [N, H, W, C] in [-1, 1] with C = 1 or 3, as one `.png`, row by row, with gaps of one
/// pixel. Values outside are clipped; a pixel that is not finite is vermilion.
///
/// # Errors
/// If the values do not fill the shape, an axis has length 0, C is neither 1 nor 3, or the file cannot be written.
pub fn write_grid(path: &Path, values: &[f32], shape: [usize; 4], layout: GridLayout) -> Result<(), PictureError> {
    save_png(path, &grid(path, values, shape, layout)?)
}

pub(super) fn grid(
    path: &Path,
    values: &[f32],
    shape: [usize; 4],
    layout: GridLayout,
) -> Result<RgbImage, PictureError> {
    let [n, h, w, c] = shape;
    let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
    if size != Some(values.len()) || values.is_empty() {
        let found = format!("{} values", values.len());
        return Err(PictureError::shape(path, found, format!("at least one image, [N, H, W, C] = {shape:?}")));
    }
    if c != 1 && c != 3 {
        return Err(PictureError::shape(path, format!("{c} channels"), "1 (grey) or 3 (red, green, blue)"));
    }
    let columns = layout.columns.unwrap_or_else(|| (n as f64).sqrt().ceil() as usize).clamp(1, n);
    let rows = n.div_ceil(columns);
    let upscale = layout.upscale.unwrap_or(48 / h.max(w)).max(1);
    let side = |cells: usize, pixels: usize| {
        let side = cells.checked_mul(pixels.checked_mul(upscale)?.checked_add(GAP)?)?.checked_add(GAP)?;
        u32::try_from(side).ok().filter(|&side| side < 1 << 15)
    };
    let (Some(width), Some(height)) = (side(columns, w), side(rows, h)) else {
        let found = format!("{rows} rows of {columns} images of {h}x{w}, enlarged {upscale} times");
        return Err(PictureError::shape(path, found, "a picture of less than 32,768 pixels a side"));
    };
    let mut picture = RgbImage::from_pixel(width, height, GAP_COLOR);
    for (i, image) in values.chunks_exact(h * w * c).enumerate() {
        let (top, left) = ((i / columns) * (h * upscale + GAP) + GAP, (i % columns) * (w * upscale + GAP) + GAP);
        for y in 0..h * upscale {
            for x in 0..w * upscale {
                let at = ((y / upscale) * w + x / upscale) * c;
                picture.put_pixel((left + x) as u32, (top + y) as u32, pixel(&image[at..at + c]));
            }
        }
    }
    Ok(picture)
}

/// The colour of one pixel of 1 or 3 channels in [-1, 1].
fn pixel(channels: &[f32]) -> Rgb<u8> {
    if channels.iter().any(|x| !x.is_finite()) {
        return Rgb([VERMILION.0, VERMILION.1, VERMILION.2]);
    }
    let byte = |x: f32| ((x.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
    match channels {
        [r, g, b] => Rgb([byte(*r), byte(*g), byte(*b)]),
        _ => Rgb([byte(channels[0]); 3]),
    }
}
