//! The variational bound of the reverse SDE.

use super::flow;
use crate::graph::{Expr, Graph, Shape, TensorType, random};
use crate::loss::dequantised;
use crate::sde::model::functions_of_time;
use crate::sde::{Model, OutOfRange, Quantity, Sde};

/// Names of the states, beside `DATA` and `CLOCK` of the flow's.
pub mod names {
    /// `[Batch, 1]`: the time at which each sample is judged.
    pub const TIME: &str = "likelihood.time";
    /// `[Batch, 1]`: ½ ‖epsilon − its prediction‖² there.
    pub const ERROR: &str = "likelihood.error";
}

/// −log p(x) ≤ D/2 ln(2πe sigma²/alpha²) at t_min + KL(x_T given x ‖ prior) + ½ ∫ E‖epsilon − prediction‖² d log_snr
/// (Song, Durkan, Murray and Ermon 2021, theorem 3; Kingma et al. 2021, eq. 17), p being the law of the reverse SDE's last
/// denoised state with the noise of t_min. Times even in log_snr make the integral a plain mean.
pub struct Bound<'a> {
    /// The forward process, which keeps some signal at t_max.
    pub sde: &'a dyn Sde,
    /// Coordinates D.
    pub dims: usize,
    /// As for [`FlowLikelihood`](super::FlowLikelihood).
    pub bin_width: Option<f64>,
}

impl Bound<'_> {
    /// The graph of one evaluation: from the states [`DATA`](flow::names::DATA) and [`names::TIME`] to [`names::ERROR`].
    pub fn error<'m>(&self, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
        let mut graph = Graph::new();
        let model = build(&mut graph);
        let shape = Shape::batch(&[self.dims]);
        let data = graph.state(flow::names::DATA, TensorType::f32(shape.clone()));
        let clock = graph.clock(flow::names::CLOCK);
        let x0 = match self.bin_width {
            Some(width) => dequantised(&mut graph, data, clock, width),
            None => data,
        };
        let t = graph.state(names::TIME, TensorType::f32(Shape::batch(&[1])));
        let epsilon = graph.normal(clock, "likelihood.noise", shape);
        let time = Expr::input(0);
        let [alpha, sigma] = functions_of_time(&mut graph, t, [self.sde.alpha(&time), self.sde.sigma(&time)]);
        let [a, b, of_a, of_b] = [0, 1, 2, 3].map(Expr::input);
        let x = graph.map(&[x0, epsilon, alpha, sigma], &(of_a * &a + of_b * &b));
        let predicted = model.predict(&mut graph, x, t, Quantity::Epsilon);
        let squares = graph.map(&[epsilon, predicted], &((a - b).square() * 0.5));
        let error = graph.sum(squares, &[1]);
        graph.assign(names::ERROR, error);
        graph
    }

    /// The time a share (0 to 1) of the way from t_min to t_max, even in log_snr.
    ///
    /// # Errors
    /// If the process does not reach the noise there: never, but for rounding.
    pub fn time(&self, share: f64) -> Result<f64, OutOfRange> {
        let [most, least] = self.ends();
        self.sde.t_of_noise_to_signal((-0.5 * (most + share * (least - most))).exp())
    }

    /// The bound on −log p(x), nats, for this x and the mean error over times even in log_snr.
    pub fn nats(&self, x: &[f64], mean_error: f64) -> f64 {
        let [most, least] = self.ends();
        let dims = x.len() as f64;
        let reconstruction = 0.5 * dims * ((std::f64::consts::TAU * std::f64::consts::E).ln() - most);
        let (at, prior) = (self.sde.at(self.sde.t_max()), self.sde.prior_sigma());
        let ratio = (at.sigma / prior).powi(2);
        let means: f64 = x.iter().map(|x| (at.alpha * x / prior).powi(2)).sum();
        let divergence = 0.5 * (dims * (ratio - 1.0 - ratio.ln()) + means);
        reconstruction + divergence + (most - least) * mean_error
    }

    /// log_snr at t_min and at t_max.
    fn ends(&self) -> [f64; 2] {
        [self.sde.t_min(), self.sde.t_max()].map(|t| self.sde.at(t).log_snr)
    }
}

/// Where in its part of log_snr a sample's time lies, from 0 to 1.
pub fn share(seed: u64, step: u32, sample: u32) -> f64 {
    let key = [seed as u32, (seed >> 32) as u32];
    let words = random::philox4x32_10([0, sample, step, random::stream("likelihood.time")], key);
    (f64::from(words[0]) + 0.5) / 4_294_967_296.0
}
