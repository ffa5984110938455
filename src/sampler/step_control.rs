//! How long an adaptive solver's steps are: every sample's own.

use super::states;
use crate::graph::{Expr, Graph, Shape, TensorType, Value};

/// A step is taken where its error, in units of what is tolerated, is below 1; the next one is 0.9 (error)^(−1/p) times
/// as long, at most 10 times and at least 0.2 times, and after a refusal not longer (Hairer, Nørsett and Wanner,
/// Solving Ordinary Differential Equations I, II.4). All states of [`states`](super::states) but the slopes are kept
/// here.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepControl {
    /// The time of the beginning.
    pub start: f64,
    /// The time to reach, before or after.
    pub end: f64,
    /// The power p of the step with which its error falls.
    pub error_order: f64,
    /// Where time is counted in ticks, the most of a step: all are whole numbers of ticks, and one tick is taken
    /// whatever its error, if that is finite.
    pub most_ticks: Option<f64>,
}

/// A step that is to be tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// `[Batch, 1]`: where it begins.
    pub time: Value,
    /// `[Batch, 1]`: its length, at least 0; 0 where there is nothing left to go.
    pub step: Value,
    /// `[Batch, 1]`: where it ends. Of the last step that is the end itself, which time and length, rounded, may miss
    /// by a little to either side.
    pub reached: Value,
}

impl StepControl {
    /// Assigns the states of the beginning, with a first step of this length (`[Batch, 1]`).
    pub fn begin(&self, graph: &mut Graph, step: Value) {
        let column = Shape::batch(&[1]);
        let time = graph.full(self.start, column.clone());
        let zeros = graph.full(0.0, column);
        let ones = graph.map(&[zeros], &(Expr::input(0) + 1.0));
        let left = graph.sum_all(ones);
        let counters = [(states::TIME, time), (states::STEP, step), (states::TRIES, zeros), (states::FAULT, zeros)];
        counters.into_iter().for_each(|(name, value)| graph.assign(name, value));
        graph.assign(states::LEFT, left);
    }

    /// The step that each sample tries: the planned one, the last ending exactly at the end.
    pub fn attempt(&self, graph: &mut Graph) -> Attempt {
        let [time, planned] = [states::TIME, states::STEP].map(|name| state(graph, name));
        let way = self.way(&Expr::input(0));
        let mut step = Expr::input(1).min(&way);
        if let Some(most) = self.most_ticks {
            step = whole(&Expr::input(1), most).max(1.0).min(&way);
        }
        let reached = step.less(&way).select(Expr::input(0) + &step * self.forward(), self.end);
        let [step, reached] = graph.pointwise(&[time, planned], &[step, reached], None)[..] else {
            unreachable!("as many values as expressions")
        };
        Attempt { time, step, reached }
    }

    /// Judges an attempt by its error (`[Batch, 1]`, in units of what is tolerated) and assigns all states. Gives 1
    /// where the step is taken, else 0.
    pub fn judge(&self, graph: &mut Graph, attempt: Attempt, error: Value) -> Value {
        let forward = self.forward();
        let [tries, fault] = [states::TRIES, states::FAULT].map(|name| state(graph, name));
        let [time_, step_, error_, fault_, reached] = [0, 1, 2, 3, 4].map(Expr::input);
        let way = self.way(&time_);
        let active = Expr::constant(0.0).less(&way) * (1.0 - &fault_);
        // NaN is no success: it is not less than 1.
        let finite = error_.is_finite();
        let small = error_.less(1.0);
        let (good, stuck) = match self.most_ticks {
            None => (small, 1.0 - Expr::constant(0.0).less((&reached - &time_) * forward)),
            Some(_) => {
                let single = 1.0 - Expr::constant(1.0).less(&step_);
                (small.max(&single), single * (1.0 - &finite))
            }
        };
        let taken = &active * &finite * good;
        let factor = ((error_.max(1e-10).ln() * (-1.0 / self.error_order)).exp() * 0.9).max(0.2).min(10.0);
        let factor = finite.select(taken.select(&factor, factor.min(1.0)), 0.2);
        let next = [
            taken.clone(),
            taken.select(reached, &time_),
            active.select(&step_ * factor, &step_),
            fault_.max(&active * stuck),
            active,
        ];
        let next = graph.pointwise(&[attempt.time, attempt.step, error, fault, attempt.reached], &next, None);
        let [taken, time, planned, fault, active] = [next[0], next[1], next[2], next[3], next[4]];
        let tries = graph.plus(tries, active);
        let [time_, fault_] = [0, 1].map(Expr::input);
        let on_the_way = Expr::constant(0.0).less(self.way(&time_)) * (1.0 - fault_);
        let on_the_way = graph.map(&[time, fault], &on_the_way);
        let left = graph.sum_all(on_the_way);
        let counters = [(states::TIME, time), (states::STEP, planned), (states::TRIES, tries), (states::FAULT, fault)];
        counters.into_iter().for_each(|(name, value)| graph.assign(name, value));
        graph.assign(states::LEFT, left);
        taken
    }

    /// 1 where time grows, −1 where it falls.
    pub fn forward(&self) -> f64 {
        if self.end > self.start { 1.0 } else { -1.0 }
    }

    /// What is left of the way at a time.
    fn way(&self, time: &Expr) -> Expr {
        (Expr::constant(self.end) - time) * self.forward()
    }
}

/// `taken` (`[Batch, 1]`) is not 0: `new`, else `old`, to the bit.
pub(super) fn either(graph: &mut Graph, taken: Value, new: Value, old: Value) -> Value {
    graph.map(&[taken, new, old], &Expr::input(0).select(Expr::input(1), Expr::input(2)))
}

/// The root mean square of `error` / (absolute + relative max(|a|, |b|)) over all coordinates of a sample: `[Batch,
/// 1]`. Of several values, as of one.
pub(super) fn tolerated(
    graph: &mut Graph,
    [absolute, relative]: [f64; 2],
    error: &[Value],
    a: &[Value],
    b: &[Value],
) -> Value {
    let [error_, a_, b_] = [0, 1, 2].map(Expr::input);
    let scale = a_.abs().max(b_.abs()) * relative + absolute;
    let square = (error_ / scale).square();
    let mut coordinates = 0;
    let mut sums = Vec::with_capacity(error.len());
    for (error, (a, b)) in error.iter().zip(a.iter().zip(b)) {
        coordinates += graph.shape(*error).inner_elements();
        let squares = graph.map(&[*error, *a, *b], &square);
        sums.push(graph.sum(squares, &[1]));
    }
    let total = (1..sums.len()).fold(Expr::input(0), |sum, i| sum + Expr::input(i));
    graph.map(&sums, &(total / coordinates as f64).sqrt())
}

/// A state of one number for each sample.
fn state(graph: &mut Graph, name: &str) -> Value {
    graph.state(name, TensorType::f32(Shape::batch(&[1])))
}

/// The largest whole number not above `x`, for x from 0 to `most`: bit by bit, which is exact.
fn whole(x: &Expr, most: f64) -> Expr {
    let mut rest = x.min(most);
    let all = rest.clone();
    for bit in (0..=most.log2().ceil() as i32).rev().map(|i| 2f64.powi(i)) {
        rest = rest.less(bit).select(&rest, &rest - bit);
    }
    all - rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Tape;

    #[test]
    fn whole_numbers_are_found_bit_by_bit() {
        let floor = Tape::new(&[whole(&Expr::input(0), 1024.0)]);
        for x in [0.0, 0.99, 1.0, 1.5, 2.0, 3.999, 511.5, 512.0, 1023.25, 1024.0] {
            assert_eq!(floor.evaluate(&[x])[0], f64::floor(x), "{x}");
        }
        assert_eq!(floor.evaluate(&[1e9])[0], 1024.0);
    }
}
