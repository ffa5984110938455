//! The ends of a learned schedule.

use super::loss_value::mean_over_batch;
use crate::graph::{Expr, Graph, Initial, Shape, Value};

/// Levels to either side of a value that it may be taken for. At the most noise that is of use they are a quarter of
/// the noise apart.
const NEIGHBOURS: u32 = 8;

/// The times between which a schedule runs, learned by the variational bound on −log p(x) of data of discrete levels
/// between −1 and 1 (Kingma, Salimans, Poole and Ho 2021, section 4 and appendix I): less noise at the first end costs
/// the loss and spares reconstruction, more noise at the last end costs the loss and spares the prior.
///
/// For a variance preserving process with ln SNR that falls evenly in time.
#[derive(Clone, Copy, Debug)]
pub struct LearnedEnds {
    /// `[1, 1]` each.
    parameters: [Value; 2],
    spec: EndsSpec,
}

/// What the ends are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndsSpec {
    /// ln SNR at times 0 and 1.
    pub log_snr: [f64; 2],
    /// The first times, which leave as much room below as above: `[room, 1 − room]`.
    pub first: [f64; 2],
    /// Levels of a value, at least 2.
    pub levels: u32,
}

impl LearnedEnds {
    /// The names of the parameters: the ends are the first times plus room times their hyperbolic tangents.
    pub const NAMES: [&str; 2] = ["warp.first", "warp.last"];

    /// Adds the parameters.
    pub fn new(graph: &mut Graph, spec: EndsSpec) -> Self {
        let names = ["first", "last"];
        let parameters = names.map(|name| graph.scoped("warp", |graph| graph.parameter(name, &[1, 1], Initial::Zeros)));
        Self { parameters, spec }
    }

    /// The times that the parameters' values mean.
    pub fn times(spec: &EndsSpec, values: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|end| spec.first[end] + spec.first[0] * values[end].tanh())
    }

    /// The parameters.
    pub(super) fn parameters(&self) -> [Value; 2] {
        self.parameters
    }

    /// The time of an end as an expression of its parameter.
    fn time(&self, end: usize, parameter: &Expr) -> Expr {
        parameter.tanh() * self.spec.first[0] + self.spec.first[end]
    }

    /// ln SNR at an end as an expression of its parameter.
    fn log_snr(&self, end: usize, parameter: &Expr) -> Expr {
        let [most, least] = self.spec.log_snr;
        self.time(end, parameter) * (least - most) + most
    }

    /// Times and slopes of a schedule from 0 to 1 (`[Batch, 1]`) as those of one between the ends.
    pub(super) fn forward(&self, graph: &mut Graph, [t, slope]: [Value; 2]) -> [Value; 2] {
        let [first, last] = self.parameters;
        let [value, first_, last_] = [0, 1, 2].map(Expr::input);
        let (first_, last_) = (self.time(0, &first_), self.time(1, &last_));
        let length = last_ - &first_;
        let slope = graph.map(&[slope, first, last], &(&value * &length));
        [graph.map(&[t, first, last], &(first_ + value * length)), slope]
    }

    /// The mean over the batch of KL(x at the last end given x ‖ prior) − ln p(x | x at the first end), nats, `[1]`.
    /// Noise at the first end is drawn as `reconstruction`.
    pub(super) fn rest(&self, graph: &mut Graph, x0: Value, clock: Value) -> Value {
        let [first, last] = self.parameters;
        let [x, parameter, epsilon] = [0, 1, 2].map(Expr::input);
        // ½ (alpha² x² + sigma² − 1 − ln sigma²) with alpha² = S(ln SNR), sigma² = 1 − alpha².
        let log_snr = self.log_snr(1, &parameter);
        let prior = (log_snr.sigmoid() * (x.square() - 1.0) + log_snr.softplus()) * 0.5;
        let prior = graph.map(&[x0, last], &prior);
        // p(v | z) is in proportion to the density of z given v: with levels `width` apart and s = sigma / alpha, at
        // offset j width it is e^{−δ² / 2 − δ epsilon} times that of x itself, δ = j width / s.
        let width = 2.0 / f64::from(self.spec.levels - 1);
        let unit = (self.log_snr(0, &parameter) * 0.5).exp() * width;
        let other = |j: f64| {
            let offset = &unit * j;
            let power = (-(offset.square() * 0.5 + &offset * &epsilon)).exp();
            // The level x − j width has to be one.
            let inside = (&x - j * width).abs().less(1.0 + 0.5 * width);
            inside * power
        };
        let reach = NEIGHBOURS.min(self.spec.levels - 1);
        let others = (1..=reach).flat_map(|j| [f64::from(j), -f64::from(j)]).map(other);
        let sum = others.fold(Expr::constant(0.0), |sum, power| sum + power);
        let noise = graph.normal(clock, "reconstruction", graph.shape(x0).clone());
        let reconstruction = graph.map(&[x0, first, noise], &sum.log1p());
        let both = graph.plus(prior, reconstruction);
        let per_sample = graph.sum(both, &[1]);
        let per_sample = graph.reshape(per_sample, Shape::batch(&[1]));
        mean_over_batch(graph, per_sample)
    }
}
