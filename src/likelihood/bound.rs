//! The variational bound of the reverse SDE.

use super::flow_states;
use crate::graph::{Expr, Graph, Shape, Tape, TensorType, random};
use crate::loss::dequantised;
use crate::sde::{Model, NoiseLevel, Quantity, Sde, perturbed};

/// Names of the states, beside `DATA` and `CLOCK` of the flow's.
pub mod bound_states {
    /// `[Batch, 1]`: the time at which each sample is judged.
    pub const TIME: &str = "likelihood.time";
    /// `[Batch, 1]`: ½ ‖epsilon − its prediction‖² there.
    pub const ERROR: &str = "likelihood.error";
}

/// −log p(x) ≤ D/2 ln(2πe sigma²/alpha²) at t_min + KL(x_T given x ‖ prior) + ½ ∫ E‖epsilon − prediction‖² d log_snr
/// (Song, Durkan, Murray and Ermon 2021, theorem 3; Kingma et al. 2021, eq. 17). Times even in log_snr make the integral a
/// plain mean.
///
/// p is the law of x_t / alpha + (sigma / alpha) z at t_min, with x_t from the reverse SDE and normal z: not of the mean of the
/// data given x_t, with which samplers end.
pub struct Bound<'a> {
    /// The forward process, which keeps some signal at t_max.
    pub sde: &'a dyn Sde,
    /// Coordinates D.
    pub dims: usize,
    /// As for [`FlowLikelihood`](super::FlowLikelihood).
    pub bin_width: Option<f64>,
}

impl Bound<'_> {
    /// The graph of one evaluation: from the states [`flow_states::DATA`] and [`bound_states::TIME`] to
    /// [`bound_states::ERROR`].
    pub fn error<'m>(&self, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
        let mut graph = Graph::new();
        let model = build(&mut graph);
        let shape = Shape::batch(&[self.dims]);
        let data = graph.state(flow_states::DATA, TensorType::f32(shape.clone()));
        let clock = graph.clock(flow_states::CLOCK);
        let x0 = match self.bin_width {
            Some(width) => dequantised(&mut graph, data, clock, width),
            None => data,
        };
        let t = graph.state(bound_states::TIME, TensorType::f32(Shape::batch(&[1])));
        let epsilon = graph.normal(clock, "likelihood.noise", shape);
        let level = NoiseLevel::at(&mut graph, self.sde, t);
        let x = perturbed(&mut graph, x0, &level, epsilon);
        let predicted = model.predict(&mut graph, x, &level, Quantity::Epsilon);
        let squares = graph.map(&[epsilon, predicted], &((Expr::input(0) - Expr::input(1)).square() * 0.5));
        let error = graph.sum(squares, &[1]);
        graph.assign(bound_states::ERROR, error);
        graph
    }

    /// The times at which samples are judged.
    pub fn times(&self) -> Times {
        let tape = Tape::new(&[self.sde.t_of_log_snr(&Expr::input(0))]);
        Times { tape, log_snr: self.ends(), ends: [self.sde.t_min(), self.sde.t_max()] }
    }

    /// The bound on −log p(x), nats, for this x and the mean error over times even in log_snr. Where values are spread over
    /// intervals, the mean over these.
    pub fn nats(&self, x: &[f64], mean_error: f64) -> f64 {
        let [most, least] = self.ends();
        let dims = x.len() as f64;
        let reconstruction = 0.5 * dims * ((std::f64::consts::TAU * std::f64::consts::E).ln() - most);
        let (at, prior) = (self.sde.at(self.sde.t_max()), self.sde.prior_sigma());
        let ratio = (at.sigma / prior).powi(2);
        // What is spread evenly over an interval has a twelfth of its width squared as its variance.
        let squares: f64 = x.iter().map(|x| x * x + self.bin_width.map_or(0.0, |width| width * width / 12.0)).sum();
        let divergence = 0.5 * (dims * (ratio - 1.0 - ratio.ln()) + (at.alpha / prior).powi(2) * squares);
        reconstruction + divergence + (most - least) * mean_error
    }

    /// log_snr at t_min and at t_max.
    fn ends(&self) -> [f64; 2] {
        [self.sde.t_min(), self.sde.t_max()].map(|t| self.sde.at(t).log_snr)
    }
}

/// Times from t_min to t_max, even in log_snr.
#[derive(Clone, Debug)]
pub struct Times {
    /// From log_snr to time.
    tape: Tape,
    /// At both ends.
    log_snr: [f64; 2],
    ends: [f64; 2],
}

impl Times {
    /// The time a share (0 to 1) of the way from t_min to t_max.
    pub fn at(&self, share: f64) -> f64 {
        let [most, least] = self.log_snr;
        let t = self.tape.evaluate(&[most + share * (least - most)])[0];
        t.clamp(self.ends[0], self.ends[1])
    }

    /// The time of `sample` in one of `parts` equal parts of the way: somewhere in it, by `seed` and `step`.
    pub fn drawn(&self, (part, parts): (usize, usize), seed: u64, step: u32, sample: u32) -> f64 {
        let key = [seed as u32, (seed >> 32) as u32];
        let words = random::philox4x32_10([0, sample, step, random::stream("likelihood.time")], key);
        let place = (f64::from(words[0]) + 0.5) / 4_294_967_296.0;
        self.at((part as f64 + place) / parts as f64)
    }
}
