//! How much to put into a submission, and which submissions are under way.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::plan::{Dispatch, Size};

/// No submission holds more dispatches than this, however short they are.
const MOST_DISPATCHES: usize = 16_384;
/// The first submission of a program holds at most this many: nothing is known of their speed yet.
const FIRST_DISPATCHES: usize = 32;

/// Sizes submissions by measured time. What decides is only how work is cut, which no bit depends on.
///
/// A dispatch's weight is a rough cost (its launch, FLOPs and bytes), so that a program can be cut in the middle
/// into pieces that take about as long as each other; seconds per weight are measured.
#[derive(Debug)]
pub(super) struct Pace {
    weights: Vec<f64>,
    total: f64,
    /// Weight of the next submission.
    target: f64,
}

impl Pace {
    /// The rough cost of a dispatch, in FLOPs or bytes.
    pub fn weight(dispatch: &Dispatch, batch: u32) -> f64 {
        // In floats: a stranger's plan may say anything, and must not overflow.
        let samples = dispatch.samples_of(batch.into()) as f64;
        let at = |size: Size| size.fixed as f64 + size.per_sample as f64 * samples;
        1e5 + at(dispatch.flops) + at(dispatch.bytes)
    }

    pub fn new(weights: Vec<f64>) -> Self {
        let target = weights.iter().take(FIRST_DISPATCHES).sum();
        Self { total: weights.iter().sum(), weights, target }
    }

    /// Takes the weights of another batch; the measured speed stays.
    pub fn reweigh(&mut self, weights: Vec<f64>) {
        self.total = weights.iter().sum();
        self.weights = weights;
    }

    /// How many whole repetitions the next submission holds; zero when one does not fit.
    pub fn repetitions(&self) -> usize {
        if self.weights.is_empty() {
            return usize::MAX;
        }
        ((self.target / self.total) as usize).min(MOST_DISPATCHES / self.weights.len())
    }

    /// The piece of a repetition that starts at dispatch `start`: at least one dispatch.
    pub fn piece(&self, start: usize) -> Range<usize> {
        let mut end = start;
        let mut weight = 0.0;
        while end < self.weights.len() && end - start < MOST_DISPATCHES {
            weight += self.weights[end];
            if end > start && weight > self.target {
                break;
            }
            end += 1;
        }
        start..end
    }

    /// The weight of some dispatches.
    pub fn weigh(&self, range: Range<usize>) -> f64 {
        self.weights[range].iter().sum()
    }

    /// Learns from a submission of this weight. `exact` says that its end was seen at once; otherwise it ended some
    /// time before, and can only show that the device is faster than was thought.
    pub fn learn(&mut self, weight: f64, took: Duration, exact: bool, budget: Duration) {
        let ideal = weight * budget.as_secs_f64() / took.as_secs_f64().max(1e-6);
        if exact || ideal > self.target {
            // The first use of a pipeline may take a hundred times as long as the second.
            self.target = ideal.clamp(self.target / 4.0, self.target * 4.0).max(1.0);
        }
    }
}

/// A submission under way.
pub(super) struct Submission {
    pub index: wgpu::SubmissionIndex,
    pub program: usize,
    pub weight: f64,
    pub submitted: Instant,
    pub done: Arc<OnceLock<Instant>>,
}

/// Submissions under way, oldest first.
#[derive(Default)]
pub(super) struct Flight {
    pub under_way: VecDeque<Submission>,
    /// When the one before the oldest was done.
    pub last_done: Option<Instant>,
    /// Whole repetitions that were submitted since the plan was loaded.
    pub repetitions: u64,
}

impl Flight {
    /// Takes the oldest submission off if it is done, and says how long the device worked on it.
    pub fn take_done(&mut self) -> Option<(Submission, Duration)> {
        let done = *self.under_way.front()?.done.get()?;
        let submission = self.under_way.pop_front()?;
        let began = self.last_done.map_or(submission.submitted, |last| last.max(submission.submitted));
        self.last_done = Some(done);
        let took = done.saturating_duration_since(began);
        Some((submission, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(100);

    #[test]
    fn grows_to_the_budget_and_shrinks_back() {
        let mut pace = Pace::new(vec![1.0; 8]);
        assert_eq!(pace.repetitions(), 1);
        // A device that takes 1 ms per unit of weight: 100 units fit, which are 12 whole repetitions.
        for _ in 0..8 {
            let weight = pace.target;
            pace.learn(weight, Duration::from_secs_f64(weight * 1e-3), true, BUDGET);
        }
        assert_eq!(pace.repetitions(), 12);
        // Then one of 25 ms per unit: a repetition no longer fits, and is cut into pieces of 4.
        for _ in 0..8 {
            let weight = pace.target;
            pace.learn(weight, Duration::from_secs_f64(weight * 25e-3), true, BUDGET);
        }
        assert_eq!(pace.repetitions(), 0);
        assert_eq!(pace.piece(0), 0..4);
        assert_eq!(pace.piece(6), 6..8);
    }

    #[test]
    fn an_end_seen_late_never_shrinks() {
        let mut pace = Pace::new(vec![1.0; 8]);
        pace.learn(8.0, Duration::from_secs(5), false, BUDGET);
        assert_eq!(pace.repetitions(), 1);
        pace.learn(8.0, Duration::from_millis(10), false, BUDGET);
        assert_eq!(pace.repetitions(), 4);
    }

    #[test]
    fn a_piece_is_never_empty_and_pieces_cover_all() {
        let mut pace = Pace::new(vec![5.0, 1.0, 1.0, 100.0, 1.0]);
        pace.target = 2.0;
        let mut at = 0;
        let mut pieces = Vec::new();
        while at < 5 {
            let piece = pace.piece(at);
            assert!(piece.start == at && piece.end > at);
            at = piece.end;
            pieces.push(piece);
        }
        assert_eq!(pieces, [0..1, 1..3, 3..4, 4..5]);
    }

    #[test]
    fn weights_of_any_plan_are_finite() {
        let mut dispatch = Dispatch {
            shader: 0,
            label: String::new(),
            bindings: Vec::new(),
            constants: Vec::new(),
            workgroups: crate::plan::Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 },
            flops: Size { fixed: u64::MAX, per_sample: u64::MAX },
            bytes: Size::default(),
            samples: None,
        };
        assert!(Pace::weight(&dispatch, u32::MAX).is_finite());
        dispatch.flops = Size::default();
        assert!(Pace::weight(&dispatch, 1) > 0.0);
    }
}
