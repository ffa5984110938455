//! The surface that plots are drawn on, its colours and letters, and files in the end.

use super::PictureError;
use crate::data::write_whole;
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::png::PngEncoder;
use image::{Delay, ExtendedColorType, Frame, ImageEncoder, ImageError, RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// Plots are drawn this many times larger and averaged down, because the bitmap backend does not smooth thick strokes.
pub const OVERSAMPLING: u32 = 3;

// Colours of Okabe and Ito, which readers of every kind of colour vision tell apart.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub const INK: RGBColor = RGBColor(40, 40, 40);
pub const FAINT: RGBColor = RGBColor(150, 150, 150);
pub const GRID: RGBColor = RGBColor(228, 228, 228);

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// `n` pixels of the finished picture in the pixels of the surface.
pub fn px(n: f64) -> u32 {
    (n * f64::from(OVERSAMPLING)).round() as u32
}

/// Letters of `size` finished pixels.
pub fn letters(size: f64, color: RGBColor) -> TextStyle<'static> {
    static FONT: OnceLock<()> = OnceLock::new();
    FONT.get_or_init(|| {
        let bytes = include_bytes!("../../assets/fonts/DejaVuSans-subset.ttf");
        // Were the font damaged, the first plot would say that no font is available.
        let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, bytes);
    });
    FontDesc::new(FontFamily::SansSerif, f64::from(px(size)), FontStyle::Normal).color(&color)
}

/// Draws a picture of `width` by `height` pixels on white.
pub fn draw(
    path: &Path,
    width: u32,
    height: u32,
    paint: impl FnOnce(&Area) -> Drawn,
) -> Result<RgbImage, PictureError> {
    let (w, h) = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![255; w as usize * h as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (w, h)).into_drawing_area();
        paint(&area).map_err(|e| PictureError::draw(path, e))?;
        area.present().map_err(|e| PictureError::draw(path, e))?;
    }
    let image = RgbImage::from_raw(w, h, pixels).ok_or_else(|| PictureError::draw(path, "no surface"))?;
    Ok(imageops::thumbnail(&image, width, height))
}

/// Writes a line of text in the middle of an area that has nothing else to show.
pub fn say_empty(area: &Area, text: &str) -> Drawn {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let (w, h) = area.dim_in_pixel();
    let style = letters(13.0, FAINT).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(text.to_owned(), (w as i32 / 2, h as i32 / 2), style))?;
    Ok(())
}

/// Writes a `.png`, whole or not at all.
pub fn save_png(path: &Path, image: &RgbImage) -> Result<(), PictureError> {
    write_whole(path, |out| {
        let encoder = PngEncoder::new(out);
        let written = encoder.write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::Rgb8);
        written.map_err(to_io)
    })?;
    Ok(())
}

/// Writes frames as a `.gif` that repeats for ever and rests on its last frame.
pub fn save_gif(path: &Path, frames: Vec<RgbImage>, delay: Duration) -> Result<(), PictureError> {
    const REST: Duration = Duration::from_millis(1500);
    let last = frames.len().saturating_sub(1);
    write_whole(path, |out| {
        let mut encoder = GifEncoder::new_with_speed(out, 10);
        encoder.set_repeat(Repeat::Infinite).map_err(to_io)?;
        for (i, frame) in frames.into_iter().enumerate() {
            let shown = Delay::from_saturating_duration(if i == last { REST } else { delay });
            let rgba = image::DynamicImage::ImageRgb8(frame).into_rgba8();
            encoder.encode_frame(Frame::from_parts(rgba, 0, 0, shown)).map_err(to_io)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn to_io(error: ImageError) -> std::io::Error {
    match error {
        ImageError::IoError(e) => e,
        other => std::io::Error::other(other),
    }
}
