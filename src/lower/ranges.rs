//! Tensors of the batch that are longer than a binding: one launch becomes several, each for a range of the samples.
//!
//! Where the batch is the first axis, a range of samples is a range of memory, and a kernel that is told fewer samples
//! computes just those. What a kernel sums over samples is summed for each range first.

use super::lowering::Lowering;
use super::padded_bytes;
use super::tensors::{Bind, Call, Cut};
use crate::graph::Reduction;
use crate::plan::{Access, SampleRange, Size};

impl Lowering<'_> {
    /// Adds a launch, in several ranges of the samples if its tensors are too long to bind.
    pub fn call(&mut self, call: Call) {
        let limit = self.facts.options.limits.binding_bytes;
        let batch = self.facts.batch();
        let bytes = |bind: &Bind| {
            let tensor = &self.tensors[bind.tensor];
            let elements = bind.part.map_or_else(|| tensor.elements.at(batch), |(_, length)| length);
            padded_bytes(tensor.dtype, elements)
        };
        if call.binds.iter().all(|bind| bytes(bind) <= limit) {
            return self.calls.push(call);
        }
        // What cannot be cut is refused when its bindings are made.
        match (call.cut, self.samples_that_fit(&call)) {
            (Cut::Samples(op), Some(count)) => self.call_by_ranges(&call, op, count),
            _ => self.calls.push(call),
        }
    }

    fn grows(&self, bind: &Bind) -> bool {
        bind.part.is_none() && self.tensors[bind.tensor].elements.per_sample > 0
    }

    /// How many samples of all tensors fit a binding, the next range starting where a binding may start.
    fn samples_that_fit(&self, call: &Call) -> Option<u64> {
        let limit = self.facts.options.limits.binding_bytes;
        let (mut most, mut unit) = (u64::MAX, 1);
        for bind in call.binds.iter().filter(|bind| self.grows(bind)) {
            let tensor = &self.tensors[bind.tensor];
            if !tensor.samples_lead || tensor.elements.fixed > 0 {
                return None;
            }
            let bytes = tensor.elements.per_sample * tensor.dtype.bytes();
            most = most.min(limit / bytes);
            // Both are powers of two.
            unit = unit.max(256 / (1 << bytes.trailing_zeros().min(8)));
        }
        let count = most / unit * unit;
        (count > 0 && count < self.facts.batch()).then_some(count)
    }

    fn call_by_ranges(&mut self, call: &Call, op: Reduction, count: u64) {
        let ranges = self.facts.batch().div_ceil(count);
        let sums = call.binds.iter().filter(|bind| bind.access == Access::ReadWrite && !self.grows(bind));
        let sums: Vec<usize> = sums.map(|bind| bind.tensor).collect();
        let mut sums: Vec<Sum> =
            sums.into_iter().map(|tensor| self.sum_over(tensor, op, ranges, &call.label)).collect();
        for range in 0..ranges {
            let first = range * count;
            let mut part = call.clone();
            part.samples = Some(SampleRange { first, count });
            let mut own = Vec::new();
            for bind in &mut part.binds {
                if self.grows(bind) {
                    let tensor = &self.tensors[bind.tensor];
                    let length = count.min(self.facts.batch() - first) * tensor.elements.per_sample;
                    bind.part = Some((first * tensor.elements.per_sample, length));
                } else if bind.access == Access::ReadWrite {
                    let size = self.tensors[bind.tensor].elements;
                    bind.tensor = self.scratch(format!("{} of a range", call.label), size);
                    own.push(bind.tensor);
                }
            }
            self.calls.push(part);
            for (sum, from) in sums.iter_mut().zip(own) {
                self.add_to(sum, from, range + 1 == ranges);
            }
        }
    }

    /// A sum over ranges into `tensor`, of as many at a time as fit a binding.
    fn sum_over(&mut self, tensor: usize, op: Reduction, ranges: u64, label: &str) -> Sum {
        let size = self.tensors[tensor].elements;
        let fitting = self.facts.options.limits.binding_bytes / (4 * size.fixed);
        let capacity = ranges.min(fitting).max(2);
        let rows = self.scratch(format!("{label} of ranges"), size * capacity);
        Sum { tensor, op, rows, capacity, filled: 0, label: format!("{label} over ranges") }
    }

    fn add_to(&mut self, sum: &mut Sum, from: usize, is_last: bool) {
        let size = self.tensors[sum.tensor].elements;
        self.copy_into(sum.label.clone(), from, sum.rows, size.fixed, sum.filled * size.fixed);
        sum.filled += 1;
        if is_last {
            self.reduce_rows(&sum.label, sum.op, sum.rows, sum.tensor, Size::fixed(sum.filled), size);
        } else if sum.filled == sum.capacity {
            let so_far = self.scratch(sum.label.clone(), size);
            self.reduce_rows(&sum.label, sum.op, sum.rows, so_far, Size::fixed(sum.filled), size);
            self.copy_into(sum.label.clone(), so_far, sum.rows, size.fixed, 0);
            sum.filled = 1;
        }
    }
}

/// A sum over ranges: rows of a table that are added up when it is full.
struct Sum {
    /// Where the sum goes.
    tensor: usize,
    op: Reduction,
    rows: usize,
    capacity: u64,
    filled: u64,
    label: String,
}
