//! Stochastic samplers by the formulas of docs/sampling.md, in f64.

use crate::common::forward::{Forward, Level};
use crate::mixture::Mixture;

/// A sampler with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chain {
    EulerMaruyama,
    ReverseDiffusion,
    Ancestral,
    Ddim { eta: f64 },
    Dpm2mSde { eta: f64 },
    Sra1,
    EdmStochastic { churn: f64, churn_min: f64, churn_max: f64, churn_noise: f64 },
    PredictorCorrector { snr: f64, corrector_steps: usize },
    AnnealedLangevin { step_size: f64, steps_per_level: usize },
}

/// The times of a chain.
#[derive(Clone, Debug)]
pub struct Way {
    /// From t_max to t_min.
    pub times: Vec<f64>,
    /// Steps of the grid.
    pub steps: usize,
    /// Whether the end is the denoised mean at t_min.
    pub denoise: bool,
}

/// Where a chain stands.
#[derive(Clone, Debug)]
pub struct State {
    pub x: Vec<f64>,
    /// The denoised value of the last step.
    pub past: Vec<f64>,
}

impl Chain {
    /// The keys of `[sample]`.
    pub fn toml(self) -> String {
        match self {
            Self::EulerMaruyama => "kind = \"euler-maruyama\"".to_owned(),
            Self::ReverseDiffusion => "kind = \"reverse-diffusion\"".to_owned(),
            Self::Ancestral => "kind = \"ancestral\"".to_owned(),
            Self::Ddim { eta } => format!("kind = \"ddim\"\neta = {eta:?}"),
            Self::Dpm2mSde { eta } => format!("kind = \"dpm++2m-sde\"\neta = {eta:?}"),
            Self::Sra1 => "kind = \"sra1\"".to_owned(),
            Self::EdmStochastic { churn, churn_min, churn_max, churn_noise } => format!(
                "kind = \"edm-stochastic\"\nchurn = {churn:?}\nchurn_min = {churn_min:?}\nchurn_max = {churn_max:?}\n\
                 churn_noise = {churn_noise:?}"
            ),
            Self::PredictorCorrector { snr, corrector_steps } => {
                format!("kind = \"predictor-corrector\"\nsnr = {snr:?}\ncorrector_steps = {corrector_steps}")
            }
            Self::AnnealedLangevin { step_size, steps_per_level } => {
                format!("kind = \"annealed-langevin\"\nstep_size = {step_size:?}\nsteps_per_level = {steps_per_level}")
            }
        }
    }

    /// Draws of normal numbers in a row of its table.
    pub fn draws(self) -> usize {
        match self {
            Self::Sra1 => 2,
            Self::PredictorCorrector { corrector_steps, .. } => 1 + corrector_steps,
            _ => 1,
        }
    }

    /// The way in so many steps.
    pub fn way(self, process: &Forward, spacing: &str, steps: usize, denoise: bool) -> Way {
        let count = match self {
            // A level for each step.
            Self::AnnealedLangevin { .. } => steps,
            // A step to the denoised mean is one of them.
            _ => steps + usize::from(!denoise),
        };
        Way { times: times(process, spacing, count), steps, denoise }
    }

    /// Rows of its table that move x.
    pub fn rows(self, way: &Way) -> usize {
        match self {
            Self::AnnealedLangevin { steps_per_level, .. } => steps_per_level * way.times.len(),
            _ => way.times.len() - 1,
        }
    }

    /// Row number `row` of the way, with its noise.
    pub fn step(self, law: &Mixture, process: &Forward, way: &Way, row: usize, state: &State, z: &[&[f64]]) -> State {
        let times = &way.times;
        let at = |i: usize| process.at(times[i]);
        let number = match self {
            Self::AnnealedLangevin { steps_per_level, .. } => row / steps_per_level,
            _ => row,
        };
        let (from, x) = (at(number), &state.x);
        let denoised = law.denoised(x, from);
        let score = score_of(&denoised, x, from);
        let each = |of: &dyn Fn(usize) -> f64| (0..x.len()).map(of).collect::<Vec<f64>>();
        let moved = |x: Vec<f64>| State { x, past: denoised.clone() };
        if let Self::AnnealedLangevin { step_size, .. } = self {
            let step = step_size * from.sigma.powi(2);
            return moved(each(&|d| x[d] + step * score[d] + (2.0 * step).sqrt() * z[0][d]));
        }
        let to = at(number + 1);
        let h = to.lambda() - from.lambda();
        match self {
            Self::EulerMaruyama => {
                let dt = times[number] - times[number + 1];
                let [rate, g2] = process.rates(times[number]);
                // Endless where alpha is 0, or no number.
                if g2 * dt > from.sigma.powi(2) || !g2.is_finite() {
                    return moved(implicit(1.0, from, to, x, &denoised, z[0]));
                }
                moved(each(&|d| x[d] - (rate * x[d] - g2 * score[d]) * dt + (g2 * dt).sqrt() * z[0][d]))
            }
            Self::ReverseDiffusion => moved(reversed(from, to, x, &score, z[0])),
            Self::Ancestral => moved(implicit(1.0, from, to, x, &denoised, z[0])),
            Self::Ddim { eta } => moved(implicit(eta, from, to, x, &denoised, z[0])),
            Self::Dpm2mSde { eta } => {
                let trend = if number == 0 || !h.is_finite() {
                    0.0
                } else {
                    0.5 * h / (from.lambda() - at(number - 1).lambda())
                };
                // From no signal at all, the step before was endless.
                let trend = if trend.is_finite() { trend } else { 0.0 };
                let damped = if eta == 0.0 { 0.0 } else { eta * h };
                let goes_on = |d: usize| denoised[d] + trend * (denoised[d] - state.past[d]);
                moved(each(&|d| {
                    to.sigma / from.sigma * (-damped).exp() * x[d] - to.alpha * (-h - damped).exp_m1() * goes_on(d)
                        + to.sigma * (-(-2.0 * damped).exp_m1()).sqrt() * z[0][d]
                }))
            }
            Self::Sra1 => {
                // In y = x / alpha and λ: dy = 2 (denoised − y) dλ + √2 sigma / alpha dw.
                let between = process.at(process.time_of(from.noise_to_signal() * (-0.75 * h).exp()));
                let [g, g_next] = [from, to].map(|level| std::f64::consts::SQRT_2 * level.noise_to_signal());
                let first = |d: usize| h.sqrt() * z[0][d];
                let second = |d: usize| 0.5 * h * (first(d) + h.sqrt() * z[1][d] / 3f64.sqrt());
                let y = |d: usize| x[d] / from.alpha;
                let slope = |d: usize| 2.0 * (denoised[d] - y(d));
                let inner = each(&|d| between.alpha * (y(d) + 0.75 * h * slope(d) + 1.5 * g_next * second(d) / h));
                let inner_denoised = law.denoised(&inner, between);
                let inner_slope = |d: usize| 2.0 * (inner_denoised[d] - inner[d] / between.alpha);
                moved(each(&|d| {
                    let drift = h * (slope(d) + 2.0 * inner_slope(d)) / 3.0;
                    to.alpha * (y(d) + drift + g_next * first(d) + (g - g_next) * second(d) / h)
                }))
            }
            Self::EdmStochastic { churn, churn_min, churn_max, churn_noise } => {
                let s = from.noise_to_signal();
                let within = s >= churn_min && s <= churn_max;
                let gamma = if within { (churn / way.steps as f64).min(2f64.sqrt() - 1.0) } else { 0.0 };
                let most = process.at(process.t_max).noise_to_signal();
                let s_hat = (s * (1.0 + gamma)).min(most);
                let hat = if s_hat == s { from } else { process.at(process.time_of(s_hat)) };
                let added = churn_noise * (s_hat * s_hat - s * s).max(0.0).sqrt();
                let y_hat = each(&|d| x[d] / from.alpha + added * z[0][d]);
                // Heun's step.
                let s_next = to.noise_to_signal();
                let direction = |y: &[f64], level: Level| {
                    let scaled: Vec<f64> = y.iter().map(|y| level.alpha * y).collect();
                    let denoised = law.denoised(&scaled, level);
                    (0..y.len()).map(|d| (y[d] - denoised[d]) / level.noise_to_signal()).collect::<Vec<f64>>()
                };
                let first = direction(&y_hat, hat);
                let euler = each(&|d| y_hat[d] + (s_next - s_hat) * first[d]);
                let second = direction(&euler, to);
                moved(each(&|d| to.alpha * (y_hat[d] + (s_next - s_hat) * 0.5 * (first[d] + second[d]))))
            }
            Self::PredictorCorrector { snr, corrector_steps } => {
                let x = corrected(law, snr, from, to.alpha, x, &z[..corrector_steps]);
                let score = score_of(&law.denoised(&x, from), &x, from);
                moved(reversed(from, to, &x, &score, z[corrector_steps]))
            }
            Self::AnnealedLangevin { .. } => unreachable!("taken above"),
        }
    }

    /// The whole way of a sample from `x`, with the noise `z(row, draw)`: where it ends, and the largest coordinate on
    /// the way.
    pub fn run(
        self,
        law: &Mixture,
        process: &Forward,
        way: &Way,
        x: Vec<f64>,
        z: impl Fn(usize, usize) -> Vec<f64>,
    ) -> (Vec<f64>, f64) {
        let mut state = State { past: vec![0.0; x.len()], x };
        let mut largest = 0.0f64;
        for row in 0..self.rows(way) {
            largest = state.x.iter().fold(largest, |largest, x| largest.max(x.abs()));
            let noise: Vec<Vec<f64>> = (0..self.draws()).map(|draw| z(row, draw)).collect();
            let noise: Vec<&[f64]> = noise.iter().map(Vec::as_slice).collect();
            state = self.step(law, process, way, row, &state, &noise);
        }
        if !way.denoise {
            return (state.x, largest);
        }
        let last = process.at(process.t_min);
        if let Self::PredictorCorrector { snr, corrector_steps } = self {
            // At each level, the last too.
            let noise: Vec<Vec<f64>> = (0..corrector_steps).map(|draw| z(self.rows(way), draw)).collect();
            let noise: Vec<&[f64]> = noise.iter().map(Vec::as_slice).collect();
            state.x = corrected(law, snr, last, 1.0, &state.x, &noise);
        }
        (law.denoised(&state.x, last), largest)
    }
}

/// x after Langevin's steps at a level, one for each of `noise`, before a step to a level with `next_alpha`.
fn corrected(law: &Mixture, snr: f64, at: Level, next_alpha: f64, x: &[f64], noise: &[&[f64]]) -> Vec<f64> {
    let mut x = x.to_vec();
    for z in noise {
        let score = score_of(&law.denoised(&x, at), &x, at);
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let least = (x.len() as f64 / (at.alpha.powi(2) + at.sigma.powi(2))).sqrt();
        let ratio = norm(z) / norm(&score).max(least);
        let step = 2.0 * (at.alpha / next_alpha).powi(2) * (snr * ratio).powi(2);
        x = (0..x.len()).map(|d| x[d] + step * score[d] + (2.0 * step).sqrt() * z[d]).collect();
    }
    x
}

/// Tweedie's formula; from the law itself where x says nothing of it.
fn score_of(denoised: &[f64], x: &[f64], level: Level) -> Vec<f64> {
    x.iter().zip(denoised).map(|(x, denoised)| (level.alpha * denoised - x) / level.sigma.powi(2)).collect()
}

/// A step of DDIM with this eta; with 1 a draw from the forward process's posterior.
fn implicit(eta: f64, from: Level, to: Level, x: &[f64], denoised: &[f64], z: &[f64]) -> Vec<f64> {
    let ratio = (to.sigma * from.alpha / (to.alpha * from.sigma)).powi(2);
    let deviation = eta * to.sigma * (1.0 - ratio).sqrt();
    let kept = (to.sigma.powi(2) - deviation.powi(2)).max(0.0).sqrt();
    let of = |d: usize| {
        let epsilon = (x[d] - from.alpha * denoised[d]) / from.sigma;
        to.alpha * denoised[d] + kept * epsilon + deviation * z[d]
    };
    (0..x.len()).map(of).collect()
}

/// A step of the discretised forward process, reversed.
fn reversed(from: Level, to: Level, x: &[f64], score: &[f64], z: &[f64]) -> Vec<f64> {
    let r = from.alpha / to.alpha;
    let q = from.sigma.powi(2) - (r * to.sigma).powi(2);
    (0..x.len()).map(|d| x[d] - (r - 1.0) * x[d] + q * score[d] + q.sqrt() * z[d]).collect()
}

/// `count` times from t_max to t_min.
pub fn times(process: &Forward, spacing: &str, count: usize) -> Vec<f64> {
    let [first, last] = [process.t_max, process.t_min];
    let [most, least] = [first, last].map(|t| process.at(t).noise_to_signal());
    let time = |i: usize| {
        let share = i as f64 / (count - 1) as f64;
        match spacing {
            _ if i == 0 => first,
            _ if i + 1 == count => last,
            "linear" => first + share * (last - first),
            "log-snr" => process.time_of((most.ln() + share * (least / most).ln()).exp()),
            "arsinh" => {
                let place = |ratio: f64| (2.0 / ratio.sqrt()).asinh();
                let sinh = (place(most) + share * (place(least) - place(most))).sinh();
                process.time_of(4.0 / (sinh * sinh))
            }
            other => panic!("no spacing {other} here"),
        }
    };
    (0..count).map(time).collect()
}

/// Mean and variance at the end for N(`mean`, `width`²) in one dimension, started from N(0, `variance`): each step is
/// affine in x, in what it remembers and in its noise, and all of these are normal.
pub fn propagated(chain: Chain, process: &Forward, way: &Way, [mean, width]: [f64; 2], variance: f64) -> [f64; 2] {
    let law = Mixture::gaussian(vec![mean], vec![width]);
    let draws = chain.draws();
    let at = |row: usize, unit: usize| {
        let number = |i: usize| if i == unit { 1.0 } else { 0.0 };
        let state = State { x: vec![number(0)], past: vec![number(1)] };
        let noise: Vec<Vec<f64>> = (0..draws).map(|draw| vec![number(2 + draw)]).collect();
        let noise: Vec<&[f64]> = noise.iter().map(Vec::as_slice).collect();
        let next = chain.step(&law, process, way, row, &state, &noise);
        [next.x[0], next.past[0]]
    };
    let mut center = [0.0; 2];
    let mut covariance = [[variance, 0.0], [0.0, 0.0]];
    for row in 0..chain.rows(way) {
        // At no unit at all.
        let still = at(row, usize::MAX);
        let columns: Vec<[f64; 2]> =
            (0..2 + draws).map(|unit| at(row, unit)).map(|to| [to[0] - still[0], to[1] - still[1]]).collect();
        let mapped = |v: [f64; 2]| [0, 1].map(|i| columns[0][i] * v[0] + columns[1][i] * v[1]);
        let moved = mapped(center);
        center = [0, 1].map(|i| still[i] + moved[i]);
        let rows = covariance.map(mapped);
        let mut next = [[0.0; 2]; 2];
        for i in 0..2 {
            for j in 0..2 {
                // A C Aᵀ + B Bᵀ
                next[i][j] = columns[0][i] * rows[0][j] + columns[1][i] * rows[1][j];
                next[i][j] += columns[2..].iter().map(|column| column[i] * column[j]).sum::<f64>();
            }
        }
        covariance = next;
    }
    if !way.denoise {
        return [center[0], covariance[0][0]];
    }
    let last = process.at(process.t_min);
    let [base, unit] = [0.0, 1.0].map(|x| law.denoised(&[x], last)[0]);
    [base + (unit - base) * center[0], (unit - base).powi(2) * covariance[0][0]]
}
