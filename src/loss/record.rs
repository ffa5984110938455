//! What a training step leaves in the ring.

/// Numbers of a record.
pub const RING_COLUMNS: usize = 4;

/// The record of a training step: numbers, or the values of a graph that will be these numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<T = f32> {
    /// The mean loss of the batch.
    pub loss: T,
    /// The norm of its gradient, before it was clipped.
    pub gradient_norm: T,
    /// The learning rate of the step.
    pub learning_rate: T,
    /// −1, or the time of a sample whose loss is not finite.
    pub bad_time: T,
}

impl<T> Record<T> {
    /// A row of the ring.
    pub(super) fn row(self) -> [T; RING_COLUMNS] {
        [self.loss, self.gradient_norm, self.learning_rate, self.bad_time]
    }
}

impl Record {
    /// The record of the step after `step` steps in a ring, `[rows, 4]`; none in a ring without rows.
    pub fn of(ring: &[f32], step: u64) -> Option<Self> {
        let (rows, _) = ring.as_chunks::<RING_COLUMNS>();
        let place = step.checked_rem(rows.len() as u64)?;
        let [loss, gradient_norm, learning_rate, bad_time] = rows[place as usize];
        Some(Self { loss, gradient_norm, learning_rate, bad_time })
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_ring_begins_again_after_its_last_row() {
        let ring: Vec<f32> = (0..12).map(|i| i as f32).collect();
        for (step, first) in [(0, 0.0), (2, 8.0), (3, 0.0), (7, 4.0)] {
            let record = Record::of(&ring, step).expect("a record");
            assert_eq!(record.row(), [first, first + 1.0, first + 2.0, first + 3.0]);
        }
        assert_eq!(Record::of(&[], 1), None);
    }
}
