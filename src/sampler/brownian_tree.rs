//! A Brownian path that can be asked for at any time, in any order.

use crate::graph::expr::{Distribution, RandomDraw, Term};
use crate::graph::{Expr, Graph, Shape, Value, random};

/// Levels of the tree below its root.
const LEVELS: u32 = 16;

/// The path is known at so many times after its beginning, evenly spaced.
pub const TICKS: f64 = (1u32 << LEVELS) as f64;

/// One path of Brownian motion B for each coordinate of each sample, over a time u from 0 to 1 with B(0) = 0 and the
/// variance (e^(growth u) − 1) / growth at u; with growth 0 it is u.
///
/// The path is a binary tree (Gaines and Lyons 1997; Li et al. 2020): the normal number of the root gives B(1), and
/// that of each node below it the value in the middle of an interval, given both its ends. A node's number is addressed
/// by seed, sample, coordinate and the node's place, so that the path is a function of these and of time alone: whoever
/// refuses a step and tries another sees the same path, and so does a solver with another tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrownianTree {
    /// How much variance grows along u: ln of its rate at 1 over that at 0.
    pub growth: f64,
}

impl BrownianTree {
    /// B at `tick` (`[Batch, 1]`: whole numbers from 0 to [`TICKS`], of which it is u times; between them a straight
    /// line), of this shape (`[Batch, D]`). `clock` says seed and first sample; its step has no say.
    pub fn at(&self, graph: &mut Graph, clock: Value, tick: Value, shape: &Shape) -> Value {
        let stream = random::stream("sampler.brownian");
        let draw = RandomDraw { clock: 1, stream, distribution: Distribution::Normal, per_sample: false };
        let normal = |node: &Expr| Expr::new(Term::RandomAt(draw, node.clone()));
        let tick_ = Expr::input(0);
        let wanted = tick_.min(TICKS - 1.0);

        // The interval [start, start + length] of ticks that holds the wanted one; B at both ends; the node in its
        // middle.
        let mut start = Expr::constant(0.0);
        let mut left = Expr::constant(0.0);
        let mut right = normal(&start) * self.variance(1.0).sqrt();
        let mut node = Expr::constant(1.0);
        // √ of the rate at which variance grows at `start`.
        let mut rate = Expr::constant(1.0);
        for level in 0..LEVELS as i32 {
            let length = 2f64.powi(-level);
            let middle = &start + 0.5 * length * TICKS;
            // Variances of both halves in units of the rate at `start`.
            let (first, both) = (self.variance(0.5 * length), self.variance(length));
            let share = first / both;
            let deviation = (share * (both - first)).sqrt();
            let value = &left + (&right - &left) * share + normal(&node) * &rate * deviation;
            let before = wanted.less(&middle);
            node = before.select(&node * 2.0, &node * 2.0 + 1.0);
            left = before.select(&left, &value);
            right = before.select(value, right);
            start = before.select(&start, middle);
            rate = before.select(&rate, &rate * (0.25 * self.growth * length).exp());
        }
        let value = &left + (tick_ - start) * (right - &left);
        graph.map_to(&[tick, clock], &value, shape)
    }

    /// The variance at u.
    pub fn variance(&self, u: f64) -> f64 {
        if self.growth == 0.0 { u } else { (self.growth * u).exp_m1() / self.growth }
    }
}
