//! A process at another pace.

use std::cmp::Ordering;

use super::Sde;
use crate::graph::Expr;

/// Another process at the time φ(t), where φ is piecewise linear, rises, and keeps the ends: what was learned of the
/// pace of noise ([`TimeWarp`](crate::loss::TimeWarp)), or a grid of times ([`equal_work`]), as a process of its own.
///
/// The law of the path and of the prior stay the same; so does the bound on the likelihood (Kingma et al. 2021).
#[derive(Debug)]
pub struct Warped {
    process: Box<dyn Sde>,
    /// φ at evenly spaced times from t_min to t_max.
    knots: Vec<f64>,
}

impl Warped {
    /// `process` at φ(t), which has the values `knots` at evenly spaced times from t_min to t_max, and before t_min is
    /// t.
    ///
    /// # Errors
    /// If the knots are fewer than two, do not rise, or do not begin at t_min and end at t_max.
    pub fn new(process: Box<dyn Sde>, knots: Vec<f64>) -> Result<Self, BadKnots> {
        let ends = [process.t_min(), process.t_max()];
        let rises = |pair: &[f64]| pair[0].partial_cmp(&pair[1]) == Some(Ordering::Less);
        if knots.len() < 2 || !knots.windows(2).all(rises) {
            return Err(BadKnots::DoNotRise);
        }
        let given = [knots[0], knots[knots.len() - 1]];
        if given.iter().zip(ends).any(|(knot, end)| (knot - end).abs() > 1e-9) {
            return Err(BadKnots::OtherEnds { given, ends });
        }
        Ok(Self { process, knots })
    }

    /// Pieces for each unit of time.
    fn rate(&self) -> f64 {
        (self.knots.len() - 1) as f64 / (self.process.t_max() - self.process.t_min())
    }

    /// Where `t` is, in pieces.
    fn place(&self, t: &Expr) -> Expr {
        (t - self.process.t_min()) * self.rate()
    }

    /// φ. Its derivative is [`slope`](Self::slope): that of the sum would count both sides of a knot, or none, as t is
    /// rounded.
    fn warp(&self, t: &Expr) -> Expr {
        let (low, place) = (self.process.t_min(), self.place(t));
        let piece = |(k, pair): (usize, &[f64])| (&place - k as f64).max(0.0).min(1.0) * (pair[1] - pair[0]);
        let sum = self.knots.windows(2).enumerate().map(piece).fold(t.min(low), |sum, part| sum + part);
        sum.detached() + self.slope(t) * (t - t.detached())
    }

    /// dφ/dt, at a knot that of the piece which begins there.
    fn slope(&self, t: &Expr) -> Expr {
        let place = self.place(t);
        let slopes = self.knots.windows(2).map(|pair| (pair[1] - pair[0]) * self.rate());
        // From the last piece, which has no end, down to the times before t_min.
        let until = |later: Expr, (k, slope): (usize, f64)| place.less(k as f64 + 1.0).select(slope, later);
        let mut pieces: Vec<(usize, f64)> = slopes.enumerate().collect();
        let last = pieces.pop().map_or(1.0, |(_, slope)| slope);
        let inside = pieces.into_iter().rev().fold(Expr::constant(last), until);
        place.less(0.0).select(1.0, inside)
    }
}

impl Sde for Warped {
    fn name(&self) -> &'static str {
        self.process.name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.process.alpha(&self.warp(t))
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.process.sigma(&self.warp(t))
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.process.log_snr(&self.warp(t))
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        self.process.noise_to_signal(&self.warp(t))
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.process.drift_rate(&self.warp(t)) * self.slope(t)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.process.diffusion_squared(&self.warp(t)) * self.slope(t)
    }

    fn velocity(&self, alpha: &Expr, sigma: &Expr) -> [Expr; 2] {
        self.process.velocity(alpha, sigma)
    }

    fn t_min(&self) -> f64 {
        self.process.t_min()
    }

    fn t_max(&self) -> f64 {
        self.process.t_max()
    }

    fn prior_sigma(&self) -> f64 {
        self.process.prior_sigma()
    }
}

/// Knots that no map of time has.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadKnots {
    /// Time has to go on.
    #[error("the knots of a warp must be two or more numbers, each above the one before")]
    DoNotRise,
    /// The ends are fixed.
    #[error("the knots of a warp go from {} to {}; they must go from t_min = {} to t_max = {}", given[0], given[1], ends[0], ends[1])]
    OtherEnds {
        /// The first and the last knot.
        given: [f64; 2],
        /// What they have to be.
        ends: [f64; 2],
    },
}

/// `count` + 1 times such that the way between neighbours is equally long (Williams et al. 2024): `times` rise, and
/// `distances[i]`, not negative, is the way from `times[i]` to `times[i + 1]`, say the root of the mean square by which
/// the denoised changes ([`work_graph`](super::work_graph)). Between the given times, the way is as even as time; where
/// nothing moves at all, times are even.
///
/// # Panics
/// If there are not as many distances as pairs of neighbouring times.
pub fn equal_work(times: &[f64], distances: &[f64], count: usize) -> Vec<f64> {
    assert_eq!(times.len(), distances.len() + 1, "one distance for each pair of neighbouring times");
    let whole: f64 = distances.iter().sum();
    if whole == 0.0 {
        let [first, last] = [times[0], times[times.len() - 1]];
        let even = |step: usize| first + (last - first) * step as f64 / count as f64;
        return (0..count).map(even).chain([last]).collect();
    }
    let mut result = vec![times[0]];
    let (mut gone, mut at) = (0.0, 0);
    for step in 1..count {
        let target = whole * step as f64 / count as f64;
        while at + 1 < distances.len() && gone + distances[at] < target {
            gone += distances[at];
            at += 1;
        }
        let share = ((target - gone) / distances[at]).clamp(0.0, 1.0);
        result.push(times[at] + share * (times[at + 1] - times[at]));
    }
    result.push(times[times.len() - 1]);
    result
}
