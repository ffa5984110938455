//! Unfolding: the pixels under a kernel, written out as one row for each place of the kernel.
//!
//! `u[(image, i, j), (a, b, c)] = x[image, s i + rows[a], s j + columns[b], c]`, and 0 outside of the image. A
//! convolution is a product with this matrix, of which only blocks that fit the cache ever exist.

use std::ops::Range;

use crate::cpu::Real;

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
        let strip = self.strip();
        let image = self.source[0] * self.source[1] * self.channels;
        let line = self.source[1] * self.channels;
        let (mut i, mut j) = (places.start % self.places() / self.grid[1], places.start % self.grid[1]);
        let mut number = places.start / self.places();
        for row in out[..places.len() * taps.len() * strip].chunks_exact_mut(taps.len() * strip) {
            let first = (j * self.stride) as isize + self.columns.start;
            for (tap, part) in taps.clone().zip(row.chunks_exact_mut(strip)) {
                let y = (i * self.stride + tap) as isize + self.rows.start;
                if y < 0 || y as usize >= self.source[0] * self.upsample {
                    part.fill(T::ZERO);
                } else {
                    let start = number * image + y as usize / self.upsample * line;
                    self.write_strip(&images[start..start + line], first, part);
                }
            }
            j += 1;
            if j == self.grid[1] {
                (i, j) = (i + 1, 0);
            }
            if i == self.grid[0] {
                (number, i) = (number + 1, 0);
            }
        }
    }

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
            for (pixel, out) in (from..to).zip(out.chunks_exact_mut(channels)) {
                copy(&line[pixel / self.upsample * channels..][..channels], out);
            }
        }
    }
}

/// A copy that does not call out for a handful of elements.
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    if from.len() < 16 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    } else {
        to.copy_from_slice(from);
    }
}
