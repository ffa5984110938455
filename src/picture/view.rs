//! Which part of the plane a plot of points shows.

use super::axis::Axis;

/// A square window of the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The middle.
    pub center: [f64; 2],
    /// Half of a side, above 0.
    pub reach: f64,
}

impl View {
    /// The smallest square around the finite points of `points` [N, 2], with a fifth of room; if there are none, or all are
    /// one, a square of side 2.
    pub fn around(points: &[f32]) -> Self {
        let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
        for point in points.chunks_exact(2).filter(|p| p.iter().all(|x| x.is_finite())) {
            for d in 0..2 {
                low[d] = low[d].min(f64::from(point[d]));
                high[d] = high[d].max(f64::from(point[d]));
            }
        }
        if low[0] > high[0] {
            return Self { center: [0.0; 2], reach: 1.0 };
        }
        let half = |d: usize| (high[d] - low[d]) / 2.0;
        let reach = half(0).max(half(1)) * 1.2;
        let center = [(low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0];
        // A window far narrower than its distance from 0 has no room for ticks in double precision.
        let least = center[0].abs().max(center[1].abs()) * 1e-6;
        Self { center, reach: if reach > least { reach } else { 1f64.max(least) } }
    }

    /// The points of a regular lattice of `n` by `n` cells, [n * n, 2], each in the middle of its cell: where a score field
    /// is best taken for [`write_field`](super::write_field).
    pub fn lattice(&self, n: usize) -> Vec<f32> {
        let at = |d: usize, i: usize| (self.center[d] + self.reach * ((2 * i + 1) as f64 / n as f64 - 1.0)) as f32;
        (0..n * n).flat_map(|i| [at(0, i % n), at(1, i / n)]).collect()
    }

    /// Whether a point can be seen.
    pub(super) fn shows(&self, point: &[f32]) -> bool {
        (0..2).all(|d| (f64::from(point[d]) - self.center[d]).abs() <= self.reach)
    }

    /// The window's side along dimension `d`.
    pub(super) fn axis(&self, d: usize) -> Axis {
        Axis::linear(self.center[d] - self.reach, self.center[d] + self.reach)
    }
}
