//! Unfolding: the pixels under a kernel, written out as one row for each place of the kernel.
//!
//! `u[(image, i, j), (a, b, c)] = x[image, s i + rows[a], s j + columns[b], c]`, and 0 outside of the image. A
//! convolution is a product with this matrix, of which only blocks that fit the cache ever exist.

use std::ops::Range;

use crate::cpu::Real;
use crate::cpu::real::{Wide, wide};

/// Where the rows of the unfolded matrix come from.
#[derive(Clone, Debug)]
pub struct Unfolding {
    /// Height and width of the images as stored.
    pub source: [usize; 2],
    /// Channels of the images.
    pub channels: usize,
    /// Height and width of the places of the kernel.
    pub grid: [usize; 2],
    /// Pixels from one place to the next.
    pub stride: usize,
    /// Every stored pixel is seen as a square of so many aside.
    pub upsample: usize,
    /// Vertical offsets of the taps, ascending by 1.
    pub rows: Range<isize>,
    /// Horizontal offsets of the taps, ascending by 1.
    pub columns: Range<isize>,
}

impl Unfolding {
    /// Places of the kernel in one image: rows of the matrix.
    pub fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Length of the part of a row that one row of taps fills.
    pub fn strip(&self) -> usize {
        self.columns.len() * self.channels
    }

    /// Length of a row.
    pub fn width(&self) -> usize {
        self.rows.len() * self.strip()
    }

    /// Writes the rows `places` of the matrix, of each only the strips of these rows of taps (the first is 0), to `out`.
    pub fn write<T: Real>(&self, images: &[T], places: Range<usize>, taps: Range<usize>, out: &mut [T]) {
        wide(Write { unfolding: self, images, places, taps, out });
    }
}

/// Rows of the matrix to be written.
struct Write<'a, T> {
    unfolding: &'a Unfolding,
    images: &'a [T],
    places: Range<usize>,
    taps: Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> Wide for Write<'_, T> {
    type Number = T;
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // Lengths that are known when this is compiled make copies of a few vector moves.
        match self.unfolding.strip() {
            48 => self.run_with::<48>(),
            96 => self.run_with::<96>(),
            _ => self.run_with::<0>(),
        }
    }
}

impl<T: Real> Write<'_, T> {
    /// `STRIP` is the length of a strip, or 0.
    #[inline(always)]
    fn run_with<const STRIP: usize>(self) {
        let Self { unfolding, images, places, taps, out } = self;
        let Unfolding { source, channels, grid, stride, upsample, .. } = *unfolding;
        let strip = unfolding.strip();
        let (width, line) = (taps.len() * strip, source[1] * channels);
        let (mut number, place) = (places.start / unfolding.places(), places.start % unfolding.places());
        let (mut i, mut j) = (place / grid[1], place % grid[1]);
        let mut left = places.len();
        let mut out = &mut out[..left * width];
        // The places in one line of the grid read the same lines of the image.
        while left > 0 {
            let run = left.min(grid[1] - j);
            let (rows, rest) = out.split_at_mut(run * width);
            for (number_of_tap, tap) in taps.clone().enumerate() {
                let at = number_of_tap * strip;
                let y = (i * stride + tap) as isize + unfolding.rows.start;
                if y < 0 || y as usize >= source[0] * upsample {
                    rows.chunks_exact_mut(width).for_each(|row| row[at..at + strip].fill(T::ZERO));
                    continue;
                }
                let y = if upsample == 1 { y as usize } else { y as usize / upsample };
                let line = &images[(number * source[0] + y) * line..][..line];
                for (along, row) in rows.chunks_exact_mut(width).enumerate() {
                    let first = ((j + along) * stride) as isize + unfolding.columns.start;
                    let inside = first >= 0 && first as usize + unfolding.columns.len() <= source[1];
                    let strip = &mut row[at..at + strip];
                    if inside && upsample == 1 {
                        let line = &line[first as usize * channels..];
                        if STRIP == 0 {
                            strip.copy_from_slice(&line[..strip.len()]);
                        } else {
                            strip[..STRIP].copy_from_slice(&line[..STRIP]);
                        }
                    } else {
                        unfolding.write_strip(line, first, strip);
                    }
                }
            }
            out = rest;
            left -= run;
            (i, j) = (i + 1, 0);
            if i == grid[0] {
                (number, i) = (number + 1, 0);
            }
        }
    }
}

impl Unfolding {
    /// The taps from pixel `first` on of one line of an image.
    fn write_strip<T: Real>(&self, line: &[T], first: isize, out: &mut [T]) {
        let channels = self.channels;
        let width = self.source[1] * self.upsample;
        let inside = |pixel: isize| pixel.clamp(0, width as isize) as usize;
        let (from, to) = (inside(first), inside(first + self.columns.len() as isize));
        if from >= to {
            return out.fill(T::ZERO);
        }
        let before = (from as isize - first) as usize * channels;
        let length = (to - from) * channels;
        out[..before].fill(T::ZERO);
        out[before + length..].fill(T::ZERO);
        let out = &mut out[before..before + length];
        if self.upsample == 1 {
            copy(&line[from * channels..to * channels], out);
        } else {
            let (mut pixel, mut left) = (from / self.upsample, self.upsample - from % self.upsample);
            for out in out.chunks_exact_mut(channels) {
                copy(&line[pixel * channels..][..channels], out);
                left -= 1;
                if left == 0 {
                    (pixel, left) = (pixel + 1, self.upsample);
                }
            }
        }
    }
}

/// A copy that does not call out for a handful of elements.
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    if from.len() < 16 {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from;
        }
    } else {
        to.copy_from_slice(from);
    }
}
