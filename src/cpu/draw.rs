//! Random draws: element `i` of sample `b` takes word `i % 4` of Philox at (i / 4, sample_base + b, step, stream).
//!
//! The step is the clock's, or each element's own. In f64 runs the numbers are those of f32, converted.

use super::Real;
use crate::graph::expr::{Distribution, RandomDraw};
use crate::graph::random;

/// Where the batch stands in the shape that is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    /// Samples; `None` for a shape without a batch, which is one sample at base 0.
    pub samples: Option<usize>,
    /// Product of the axes after the batch.
    pub inner: usize,
}

/// Quads that are drawn together.
const LANES: usize = 32;

/// The elements `start..start + out.len()` of the flattened shape.
#[inline(always)]
pub fn fill<T: Real>(draw: &RandomDraw, clock: [u32; 4], lattice: Lattice, start: usize, out: &mut [T]) {
    fill_at(draw, clock, lattice, start, |_| clock[0], out);
}

/// The elements `start..start + out.len()` of the flattened shape, element `start + i` at `step(i)`.
#[inline(always)]
pub fn fill_at<T: Real>(
    draw: &RandomDraw,
    clock: [u32; 4],
    lattice: Lattice,
    start: usize,
    step: impl Fn(usize) -> u32,
    out: &mut [T],
) {
    let clock = if lattice.samples.is_some() { clock } else { [clock[0], 0, clock[2], clock[3]] };
    let samples = lattice.samples.unwrap_or(1);
    let mut queue = Queue::default();
    let mut done = 0;
    while done < out.len() {
        let flat = start + done;
        let (row, i) = (flat / lattice.inner, flat % lattice.inner);
        let (outer, sample) = (row / samples, row % samples);
        let length = (lattice.inner - i).min(out.len() - done);
        let first = outer * lattice.inner + i;
        let mut element = first;
        while element < first + length {
            let most = (4 - element % 4).min(first + length - element);
            let place = done + element - first;
            let at = step(place);
            let count = (1..most).find(|i| step(place + i) != at).unwrap_or(most);
            queue.push(element / 4, sample, at, Wanted { word: element % 4, count, place });
            if queue.count == LANES {
                queue.flush(draw, clock, out);
            }
            element += count;
        }
        done += length;
    }
    queue.flush(draw, clock, out);
}

/// Element 0 of the samples that `sample` lists.
#[inline(always)]
pub fn fill_per_sample<T: Real>(draw: &RandomDraw, clock: [u32; 4], sample: impl Fn(usize) -> usize, out: &mut [T]) {
    let mut queue = Queue::default();
    for place in 0..out.len() {
        queue.push(0, sample(place), clock[0], Wanted { word: 0, count: 1, place });
        if queue.count == LANES {
            queue.flush(draw, clock, out);
        }
    }
    queue.flush(draw, clock, out);
}

/// `count` words from `word` of one quad, which belong at `place`.
#[derive(Clone, Copy, Default)]
struct Wanted {
    word: usize,
    count: usize,
    place: usize,
}

#[derive(Default)]
struct Queue {
    quad: [u32; LANES],
    sample: [u32; LANES],
    step: [u32; LANES],
    wanted: [Wanted; LANES],
    count: usize,
}

impl Queue {
    #[inline(always)]
    fn push(&mut self, quad: usize, sample: usize, step: u32, wanted: Wanted) {
        (self.quad[self.count], self.sample[self.count]) = (quad as u32, sample as u32);
        self.step[self.count] = step;
        self.wanted[self.count] = wanted;
        self.count += 1;
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // A lane is a column of arrays that are stored by rows.
    fn flush<T: Real>(&mut self, draw: &RandomDraw, clock: [u32; 4], out: &mut [T]) {
        // All lanes are computed, also those that are not wanted: each loop is vector code.
        let mut words = [[0; LANES]; 4];
        for lane in 0..LANES {
            let clock = [self.step[lane], clock[1], clock[2], clock[3]];
            let quad = random::words(clock, self.sample[lane], self.quad[lane], draw.stream);
            (0..4).for_each(|i| words[i][lane] = quad[i]);
        }
        let mut numbers = [[0.0f32; LANES]; 4];
        for lane in 0..LANES {
            let quad = [words[0][lane], words[1][lane], words[2][lane], words[3][lane]];
            let quad = match draw.distribution {
                Distribution::Uniform => quad.map(random::uniform),
                Distribution::Normal => random::normals(quad),
            };
            (0..4).for_each(|i| numbers[i][lane] = quad[i]);
        }
        for (lane, wanted) in self.wanted[..self.count].iter().enumerate() {
            for (i, out) in out[wanted.place..wanted.place + wanted.count].iter_mut().enumerate() {
                *out = T::from_f32(numbers[wanted.word + i][lane]);
            }
        }
        self.count = 0;
    }
}
