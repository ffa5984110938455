//! Random draws: element `i` of sample `b` takes word `i % 4` of Philox at (i / 4, sample_base + b, step, stream).
//!
//! In f64 runs the numbers are those of f32, converted.

use super::Real;
use crate::graph::expr::{Distribution, Draw};
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
pub fn fill<T: Real>(draw: &Draw, clock: [u32; 4], lattice: Lattice, start: usize, out: &mut [T]) {
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
            let count = (4 - element % 4).min(first + length - element);
            queue.push(Request {
                quad: (element / 4) as u32,
                sample: sample as u32,
                word: element % 4,
                count,
                place: done + element - first,
            });
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
pub fn fill_per_sample<T: Real>(draw: &Draw, clock: [u32; 4], sample: impl Fn(usize) -> usize, out: &mut [T]) {
    let mut queue = Queue::default();
    for place in 0..out.len() {
        queue.push(Request { quad: 0, sample: sample(place) as u32, word: 0, count: 1, place });
        if queue.count == LANES {
            queue.flush(draw, clock, out);
        }
    }
    queue.flush(draw, clock, out);
}

/// `count` words from `word` of one quad, wanted at `place`.
#[derive(Clone, Copy, Default)]
struct Request {
    quad: u32,
    sample: u32,
    word: usize,
    count: usize,
    place: usize,
}

#[derive(Default)]
struct Queue {
    requests: [Request; LANES],
    count: usize,
}

impl Queue {
    #[inline(always)]
    fn push(&mut self, request: Request) {
        self.requests[self.count] = request;
        self.count += 1;
    }

    #[inline(always)]
    fn flush<T: Real>(&mut self, draw: &Draw, clock: [u32; 4], out: &mut [T]) {
        let mut numbers = [[0.0f32; 4]; LANES];
        for (numbers, request) in numbers.iter_mut().zip(&self.requests[..self.count]) {
            let words = random::words(clock, request.sample, request.quad, draw.stream);
            *numbers = match draw.distribution {
                Distribution::Uniform => words.map(random::uniform),
                Distribution::Normal => random::normals(words),
            };
        }
        for (numbers, request) in numbers.iter().zip(&self.requests[..self.count]) {
            let wanted = &numbers[request.word..request.word + request.count];
            for (out, number) in out[request.place..request.place + request.count].iter_mut().zip(wanted) {
                *out = T::from_f32(*number);
            }
        }
        self.count = 0;
    }
}
