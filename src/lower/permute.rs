//! Axes in another order.

use super::LowerError;
use super::iteration::{size_of, times};
use super::lowering::Lowering;
use crate::graph::Value;
use crate::kernels::copy::{Box4, Side};
use crate::plan::Size;

impl Lowering<'_> {
    /// The axes in another order: one copy, axes that stay side by side being one.
    pub(super) fn permute(&mut self, node: usize, axes: &[usize]) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        let input = graph.nodes()[node].inputs[0];
        let dims = graph.shape(input).dims();
        let one = Size::fixed(1);
        let mut strides = vec![one; dims.len()];
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = times(strides[axis], size_of(dims[axis]));
        }
        // Length and stride in the input of each group of axes, in the order of the result.
        let mut groups: Vec<(Size, Size)> = Vec::new();
        for axis in axes.iter().copied().filter(|axis| size_of(dims[*axis]) != one) {
            let length = size_of(dims[axis]);
            match groups.last_mut() {
                Some((known, stride)) if *stride == times(strides[axis], length) => {
                    (*known, *stride) = (times(*known, length), strides[axis]);
                }
                _ => groups.push((length, strides[axis])),
            }
        }
        let label = self.facts.label(node, "permutation");
        if groups.len() > 4 {
            let what = format!("no kernel brings {} into the order {axes:?}", graph.shape(input));
            return Err(LowerError::Unsupported { label, what });
        }
        let mut boxes: Vec<(Size, Size, Size)> = Vec::new();
        let mut stride = one;
        for (length, read) in groups.into_iter().rev() {
            boxes.insert(0, (length, read, stride));
            stride = times(stride, length);
        }
        // Whatever grows with the batch goes first; the rest stays in order, so that writes are coalesced.
        boxes.sort_by_key(|(length, ..)| length.per_sample == 0);
        let first = if boxes.len() > 1 || boxes.first().is_some_and(|entry| entry.0.per_sample > 0) { 1 } else { 0 };
        while boxes.len() < 4 {
            boxes.insert(first, (one, Size::fixed(0), Size::fixed(0)));
        }
        let side = |pick: fn(&(Size, Size, Size)) -> Size| Side {
            offset: Size::fixed(0),
            strides: [pick(&boxes[0]), pick(&boxes[1]), pick(&boxes[2]), pick(&boxes[3])],
        };
        let copied = Box4 {
            sizes: [boxes[0].0, boxes[1].0, boxes[2].0, boxes[3].0],
            input: side(|entry| entry.1),
            output: side(|entry| entry.2),
        };
        let (from, to) = (self.tensor_of(input), self.tensor_of(Value { node, output: 0 }));
        self.copy_box(label, from, to, &copied);
        Ok(())
    }
}
