//! The reverse SDE by an adaptive method on a Brownian tree.

use super::brownian_tree::{BrownianTree, TICKS};
use super::step_control::{Attempt, StepControl, either, tolerated};
use super::{AdaptiveSampler, SamplerKind, Tolerances, adaptive, states};
use crate::graph::{Expr, Graph, Shape, TensorType, Value};
use crate::sde::{Model, NoiseLevel, Quantity, Sde, functions_of_time};

/// The longest step in ln s.
const LONGEST: f64 = 1.0;
/// `[Batch, D]`: the path at the time that a sample has reached.
const BROWNIAN: &str = "path.brownian";

/// The pair of orders 1 and 2 of SDE-DPM-Solver++ (Lu et al. 2022b, with the midpoint's place taken by the end: Heun),
/// every sample with steps of its own that are judged by the difference of the two (as Jolicoeur-Martineau et al. 2021
/// do), on a [`BrownianTree`].
///
/// With s = alpha² / sigma² and Y = alpha x / sigma², the reverse SDE (Anderson 1982) reads dY = denoised ds + dB: its
/// noise is additive and of unit strength, the solver's linear part is exact, and B is the tree's path. From s to s′:
///
/// x′ = (sigma′² / alpha′) (Y + (s′ − s) denoised(x, t) + B(s′) − B(s)), then
/// x″ = x′ + ½ alpha′ (1 − s / s′) (denoised(x′, t′) − denoised(x, t))
///
/// x″ is kept: strong order 1, weak order 2. Times are those of the tree, evenly spaced in ln s; a step is at least one
/// of them long and at most 1 in ln s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveSde {
    /// Tolerated for a coordinate beside the relative part; above 0.
    pub absolute: f64,
    /// Tolerated relative to a coordinate; above 0.
    pub relative: f64,
}

impl Default for AdaptiveSde {
    /// 1e-2 both.
    fn default() -> Self {
        Self { absolute: 1e-2, relative: 1e-2 }
    }
}

/// The way in ln s, and the tree whose variance grows as s does.
struct Way {
    start: f64,
    tree: BrownianTree,
}

impl Way {
    fn new(sde: &dyn Sde) -> Self {
        let [start, end] = [sde.t_max(), sde.t_min()].map(|t| sde.at(t).log_snr);
        Self { start, tree: BrownianTree { growth: end - start } }
    }

    /// ln s grows by this in a tick.
    fn per_tick(&self) -> f64 {
        self.tree.growth / TICKS
    }

    /// Errors grow with √h h as long as the noise is most of what moves denoised. No step is longer than [`LONGEST`],
    /// for where denoised hardly changes along a long step it may have passed by what decides.
    fn control(&self) -> StepControl {
        let most_ticks = (LONGEST / self.per_tick()).clamp(1.0, TICKS).floor();
        StepControl { start: 0.0, end: TICKS, error_order: 1.5, most_ticks: Some(most_ticks) }
    }

    /// ln s at a tick.
    fn log_snr(&self, tick: &Expr) -> Expr {
        tick * self.per_tick() + self.start
    }
}

impl AdaptiveSde {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new(
        "adaptive-sde",
        "The reverse SDE on a Brownian tree by an adaptive pair, every sample with its own steps.",
        |options| {
            let (Self { absolute, relative }, Tolerances { rtol, atol }) = (Self::default(), options.tolerances);
            adaptive(Self { absolute: atol.unwrap_or(absolute), relative: rtol.unwrap_or(relative) })
        },
    )
    .taking(&[Tolerances::NAMES]);
}

impl AdaptiveSampler for AdaptiveSde {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn path(&self) -> &'static str {
        "reverse SDE"
    }

    fn order(&self) -> usize {
        2
    }

    fn evaluations_per_try(&self) -> usize {
        2
    }

    fn draws(&self) -> usize {
        1
    }

    fn needs_signal(&self) -> bool {
        true
    }

    fn begin(&self, graph: &mut Graph, sde: &dyn Sde, _model: &dyn Model, x: Value, _clock: Value) {
        let shape = graph.shape(x).clone();
        let nothing = graph.full(0.0, shape);
        graph.assign(BROWNIAN, nothing);
        let step = graph.full(TICKS / 64.0, Shape::batch(&[1]));
        Way::new(sde).control().begin(graph, step);
    }

    fn advance(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, dims: usize, clock: Value) {
        let way = Way::new(sde);
        let shape = Shape::batch(&[dims]);
        let [x, path] = [states::X, BROWNIAN].map(|name| graph.state(name, TensorType::f32(shape.clone())));
        let control = way.control();
        let attempt = control.attempt(graph);
        let Attempt { time: tick, step, reached: next_tick } = attempt;
        let next_path = way.tree.at(graph, clock, next_tick, &shape);

        let [t, t_next] = [tick, next_tick].map(|tick| {
            let time = sde.t_of_log_snr(&way.log_snr(&Expr::input(0))).max(sde.t_min()).min(sde.t_max());
            functions_of_time(graph, tick, [time])[0]
        });
        let [level, next] = [t, t_next].map(|t| NoiseLevel::at(graph, sde, t));
        // Factors of x, of denoised and of the path's increment, the tree's variance being s less its beginning in
        // units of that and of `growth`.
        let unit = (0.5 * way.start).exp() * way.tree.growth.sqrt();
        let [alpha_, alpha_next_, sigma_next_, step_] = [0, 1, 2, 3].map(Expr::input);
        let gone = -(step_ * way.per_tick());
        let factors = [
            &alpha_next_ / alpha_ * gone.exp(),
            -(&alpha_next_ * gone.expm1()),
            sigma_next_.square() / alpha_next_ * unit,
        ];
        let factors = graph.pointwise(&[level.alpha, next.alpha, next.sigma, step], &factors, None);

        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let [x_, denoised_, path_, next_path_, of_x, of_denoised, of_path] = [0, 1, 2, 3, 4, 5, 6].map(Expr::input);
        let euler = of_x * x_ + of_denoised * denoised_ + of_path * (next_path_ - path_);
        let euler = graph.map(&[x, denoised, path, next_path, factors[0], factors[1], factors[2]], &euler);
        let denoised_next = model.predict(graph, euler, &next, Quantity::Denoised);
        let [denoised_, denoised_next_, of_denoised] = [0, 1, 2].map(Expr::input);
        let difference = (denoised_next_ - denoised_) * of_denoised * 0.5;
        let error = graph.map(&[denoised, denoised_next, factors[1]], &difference);
        let heun = graph.plus(euler, error);

        let error = tolerated(graph, [self.absolute, self.relative], &[error], &[x], &[heun]);
        let taken = control.judge(graph, attempt, error);
        let [x, path] = [(heun, x), (next_path, path)].map(|(new, old)| either(graph, taken, new, old));
        graph.assign(states::X, x);
        graph.assign(BROWNIAN, path);
    }

    fn time(&self, sde: &dyn Sde, reached: f64) -> f64 {
        let ratio = (-0.5 * (Way::new(sde).start + reached * Way::new(sde).per_tick())).exp();
        sde.t_of_noise_to_signal(ratio).unwrap_or(if reached > 0.5 * TICKS { sde.t_min() } else { sde.t_max() })
    }
}
