//! Clip, Adam and the moving average of the weights, as one pointwise bundle over the flat arenas.
//!
//! What lasts are the states `params`, `adam_m`, `adam_v`, `ema`, each `[arena_elements]`. The bundle reads them, the
//! gradient, one scalar, and a row of rates that the clock's step gives, and writes the four: eight tensors with the
//! clock, which is all that the smallest devices bind. What else follows the weights, such as further
//! [averages](Average), reads the new weights in a second dispatch, which has room for four such states; more of them
//! take a third. A copy of the weights in 16 bits is one more such state: an expression of the new weights, two of them
//! in a word. Where the scalar is negative nothing changes, bit for bit.

use self::states::{ADAM_M, ADAM_V, EMA, PARAMS};
use crate::graph::expr::Term;
use crate::graph::{Expr, Graph, Shape, TensorType, Value};

/// Names of what the optimizer keeps in the store.
pub mod states {
    /// The weights.
    pub const PARAMS: &str = "params";
    /// Adam's mean of the gradient.
    pub const ADAM_M: &str = "adam_m";
    /// Adam's mean of the squared gradient.
    pub const ADAM_V: &str = "adam_v";
    /// The moving average of the weights.
    pub const EMA: &str = "ema";
}

/// The learning rate over steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// Its full size.
    pub peak: f64,
    /// Steps of linear growth: step n (from 0) has (n + 1) / warmup of what follows. 0 is off.
    pub warmup_steps: u64,
    /// Steps after which it has fallen to 0 along half a cosine; `None` stays at the peak.
    pub cosine_steps: Option<u64>,
}

impl LearningRate {
    /// Always `rate`.
    pub const fn constant(rate: f64) -> Self {
        Self { peak: rate, warmup_steps: 0, cosine_steps: None }
    }

    /// As an expression of the number of steps done before this one.
    pub fn at(&self, step: &Expr) -> Expr {
        let mut rate = Expr::constant(self.peak);
        if self.warmup_steps > 0 {
            rate = rate * ((step + 1.0) / self.warmup_steps as f64).min(1.0);
        }
        if let Some(steps) = self.cosine_steps {
            let done = (step / steps as f64).min(1.0);
            rate = rate * (((done * std::f64::consts::PI).cos() + 1.0) * 0.5);
        }
        rate
    }
}

/// A further moving average of the weights, in a state of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// The state, `[arena_elements]`. Whoever sets up the store puts the first weights there, as it does with `ema`,
    /// and saves it with a run.
    pub state: String,
    /// After n steps the decay is min(decay, (1 + n) / (10 + n)).
    pub decay: f64,
}

/// Adam (Kingma and Ba 2015), AdamW where `weight_decay` is above 0 (Loshchilov and Hutter 2019), with a moving average
/// of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// Step size.
    pub learning_rate: LearningRate,
    /// Decay of the gradient's mean, in [0, 1).
    pub beta1: f64,
    /// Decay of the squared gradient's mean, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the squared gradient's mean, after the bias correction.
    pub epsilon: f64,
    /// Decoupled: a step takes learning_rate · weight_decay of a weight.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; `None` does not clip.
    pub clip_norm: Option<f64>,
    /// After n steps the average's decay is min(ema_decay, (1 + n) / (10 + n)).
    pub ema_decay: f64,
    /// Averages besides `ema`.
    pub averages: Vec<Average>,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            learning_rate: LearningRate::constant(1e-3),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: Some(1.0),
            ema_decay: 0.999,
            averages: Vec::new(),
        }
    }
}

/// What a step's update decided.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// The norm of the whole gradient before clipping, `[1]`.
    pub gradient_norm: Value,
    /// The learning rate of this step, `[1]`.
    pub learning_rate: Value,
    /// The status after this step, `[1]`: what it was, or 1 if the loss or the gradient is not finite.
    pub status: Value,
}

impl Optimizer {
    /// Adds the update of all states to `graph`: `gradient` is the packed gradient `[arena_elements]`, `loss` and
    /// `status` are `[1]`. Where the status is not 0, or loss or gradient are not finite, every state keeps its bits.
    pub fn update(&self, graph: &mut Graph, gradient: Value, loss: Value, status: Value, clock: Value) -> Update {
        let one = Shape::fixed(&[1]);
        let squares = graph.map(&[gradient], &Expr::input(0).square());
        let norm_squared = graph.sum_all(squares);
        let [norm_squared_, loss_, status_] = [0, 1, 2].map(Expr::input);
        let norm = norm_squared_.sqrt();
        let finite = norm_squared_.is_finite() * loss_.is_finite();
        let status_after = status_.select(&status_, finite.select(0.0, 1.0));
        // The smallest normal f32 keeps a zero gradient from dividing by zero.
        let clipped = self.clip_norm.map_or(Expr::constant(1.0), |clip| (clip / norm.max(1.2e-38)).min(1.0));
        let scale = status_.select(-1.0, finite.select(clipped, -1.0));
        let scalars = graph.pointwise(&[norm_squared, loss, status], &[norm, status_after, scale], Some(one.clone()));
        let step = Expr::new(Term::Step(0));
        let learning_rate = graph.pointwise(&[clock], &[self.learning_rate.at(&step)], Some(one))[0];
        let weights = self.step(graph, gradient, scalars[2], clock);
        self.average(graph, weights, scalars[2], clock);
        Update { gradient_norm: scalars[0], learning_rate, status: scalars[1] }
    }

    /// The bundle itself. Returns the new weights.
    fn step(&self, graph: &mut Graph, gradient: Value, scale: Value, clock: Value) -> Value {
        let shape = Shape::fixed(&[graph.arena_elements()]);
        let states = [PARAMS, ADAM_M, ADAM_V, EMA];
        let old = states.map(|name| graph.state(name, TensorType::f32(shape.clone())));
        let [weight, mean, square, ema, gradient_, scale_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let updates = Expr::new(Term::Step(0)) + 1.0;

        let g = gradient_ * &scale_;
        let new_mean = &mean * self.beta1 + &g * (1.0 - self.beta1);
        let new_square = &square * self.beta2 + g.square() * (1.0 - self.beta2);
        // 1 − βⁿ without cancellation, which would cost digits in the first steps for β near 1.
        let correction = |beta: f64| if beta > 0.0 { -(&updates * beta.ln()).expm1() } else { Expr::constant(1.0) };
        // What is the same for all weights is computed once.
        let rates = [
            self.learning_rate.at(&Expr::new(Term::Step(0))),
            1.0 / correction(self.beta1),
            1.0 / correction(self.beta2),
            share_of_new(&updates, self.ema_decay),
        ];
        let rates = graph.scoped("adam", |graph| {
            let rates = graph.pointwise(&[clock], &rates, Some(Shape::fixed(&[1, 1])));
            graph.concat(&rates, 1)
        });
        let [rate, of_mean, of_square, fresh] =
            [0, 1, 2, 3].map(|column| Expr::new(Term::Table { table: 7, clock: 6, column }));
        let direction =
            (&new_mean * of_mean) / ((&new_square * of_square).sqrt() + self.epsilon) + &weight * self.weight_decay;
        let new_weight = &weight - rate * direction;
        let new_ema = &ema + fresh * (&new_weight - &ema);

        let keep = scale_.less(0.0);
        let exprs = [(&weight, new_weight), (&mean, new_mean), (&square, new_square), (&ema, new_ema)]
            .map(|(old, new)| keep.select(old, new));
        let [weight, mean, square, ema] = old;
        let inputs = [weight, mean, square, ema, gradient, scale, clock, rates];
        let new = graph.scoped("adam", |graph| graph.pointwise(&inputs, &exprs, Some(shape)));
        let weights = new[0];
        for (name, value) in states.into_iter().zip(new) {
            graph.assign(name, value);
        }
        weights
    }

    /// The further averages, which follow the new `weights`.
    fn average(&self, graph: &mut Graph, weights: Value, scale: Value, clock: Value) {
        if self.averages.is_empty() {
            return;
        }
        let shape = Shape::fixed(&[graph.arena_elements()]);
        let updates = Expr::new(Term::Step(0)) + 1.0;
        let rates: Vec<Expr> = self.averages.iter().map(|average| share_of_new(&updates, average.decay)).collect();
        graph.scoped("averages", |graph| {
            let rates = graph.pointwise(&[clock], &rates, Some(Shape::fixed(&[1, 1])));
            let rates = graph.concat(&rates, 1);
            for (column, Average { state, .. }) in self.averages.iter().enumerate() {
                let old = graph.state(state, TensorType::f32(shape.clone()));
                let [old_, weight, scale_] = [0, 1, 2].map(Expr::input);
                let share = Expr::new(Term::Table { table: 4, clock: 3, column });
                let new = scale_.less(0.0).select(&old_, &old_ + share * (weight - &old_));
                let inputs = [old, weights, scale, clock, rates];
                let new = graph.pointwise(&inputs, &[new], Some(shape.clone()));
                graph.assign(state, new[0]);
            }
        });
    }
}

/// What a moving average takes of the newest weights: 1 − min(decay, (1 + n) / (10 + n)) after n updates.
fn share_of_new(updates: &Expr, decay: f64) -> Expr {
    (9.0 / (updates + 10.0)).max(1.0 - decay)
}
