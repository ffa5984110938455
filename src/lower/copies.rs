//! Slices, concatenations and packed arenas: what moves elements and computes nothing.

use super::iteration::{channels, elements, times};
use super::lowering::Lowering;
use super::tensors::{Bind, Call, Home};
use crate::graph::{DType, Dim, Op, Shape, Value};
use crate::kernels;
use crate::kernels::copy::{Box4, Side};
use crate::plan::Size;

impl Lowering<'_> {
    pub(super) fn copy_box(&mut self, label: String, from: usize, to: usize, copied: &Box4) {
        self.copy_between(label, [Bind::read(from), Bind::write(to)], copied);
    }

    fn copy_between(&mut self, label: String, binds: [Bind; 2], copied: &Box4) {
        let shader = self.shared.shader(kernels::copy::copy(copied.quads()));
        self.call(Call {
            shader,
            label,
            binds: binds.into(),
            constants: kernels::copy::constants(copied),
            workgroups: kernels::copy::workgroups(copied),
            bytes: Some(copied.sizes.into_iter().fold(Size::fixed(8), times)),
            ..Call::default()
        });
    }

    /// A copy of all of a tensor.
    pub(super) fn copy_whole(&mut self, label: String, from: usize, to: usize, size: Size) {
        // What does not grow with the batch, but is longer than a binding, goes piece by piece.
        let longest = self.facts.options.limits.binding_bytes / 4 / 64 * 64;
        if size.per_sample > 0 || size.fixed <= longest || longest == 0 {
            return self.copy_row(label, [Bind::read(from), Bind::write(to)], size);
        }
        for start in (0..size.fixed).step_by(longest as usize) {
            let length = longest.min(size.fixed - start);
            let part = Some((start, length));
            let binds = [Bind { part, ..Bind::read(from) }, Bind { part, ..Bind::write(to) }];
            self.copy_row(label.clone(), binds, Size::fixed(length));
        }
    }

    /// A copy of all of a tensor to some place of another, from this element on.
    pub(super) fn copy_into(&mut self, label: String, from: usize, to: usize, length: u64, offset: u64) {
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let side = |offset: u64| Side { offset: Size::fixed(offset), strides: [one, none, none, one] };
        let sizes = [one, one, one, Size::fixed(length)];
        self.copy_box(label, from, to, &Box4 { sizes, input: side(0), output: side(offset) });
    }

    /// One long row: along the first dimension if it grows with the batch, else along the last, where it can be quads.
    fn copy_row(&mut self, label: String, binds: [Bind; 2], size: Size) {
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let side = Side { offset: none, strides: [one, none, none, one] };
        let sizes = if size.per_sample > 0 { [size, one, one, one] } else { [one, one, one, size] };
        self.copy_between(label, binds, &Box4 { sizes, input: side, output: side });
    }

    pub(super) fn copies(&mut self, node: usize) {
        let graph = self.facts.graph;
        let entry = &graph.nodes()[node];
        let result = self.tensor_of(Value { node, output: 0 });
        let whole = graph.shape(Value { node, output: 0 }).clone();
        match entry.op {
            Op::Slice { axis, start, length } => {
                let (from, shape) = (entry.inputs[0], graph.shape(entry.inputs[0]).clone());
                let label = self.facts.label(node, "slice");
                if let Some(parts) = self.facts.joined_parts(from) {
                    return self.slice_parts(&label, &parts, (&shape, axis, start), (result, length));
                }
                let source = self.tensor_of(from);
                self.copy_axis(label, (source, &shape, start), (result, &whole, 0), axis, length);
            }
            Op::Concat { axis } => {
                let mut start = 0;
                for input in &entry.inputs {
                    let shape = graph.shape(*input).clone();
                    let length = shape.dims()[axis].at(1);
                    let source = self.tensor_of(*input);
                    let label = self.facts.label(node, "concat");
                    self.copy_axis(label, (source, &shape, 0), (result, &whole, start), axis, length);
                    start += length;
                }
            }
            ref op => unreachable!("{op:?} is neither slice nor concat"),
        }
    }

    /// Copies `length` entries of an axis that is not the last, of which `shape` is that of all parts: the channels of
    /// each part beside those of the part before.
    fn slice_parts(
        &mut self,
        label: &str,
        parts: &[Value],
        (shape, axis, start): (&Shape, usize, usize),
        (to, length): (usize, usize),
    ) {
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let pixels = |range: &[Dim]| elements(&Shape::new(range.iter().copied()));
        let (outer, last) = (pixels(&shape.dims()[..axis]), shape.rank() - 1);
        let inner = pixels(&shape.dims()[axis + 1..last]);
        let whole = inner * shape.dims()[axis].at(1) as u64;
        let all = channels(shape);
        let mut column = 0;
        for part in parts {
            let own = channels(self.facts.graph.shape(*part));
            let side = |offset: Size, pixels: Size, channels: u64| {
                let strides = [pixels * channels, none, Size::fixed(channels), one];
                Side { offset, strides }
            };
            let copied = Box4 {
                sizes: [outer, one, inner * length as u64, Size::fixed(own)],
                input: side(inner * (start as u64 * own), whole, own),
                output: side(Size::fixed(column), inner * length as u64, all),
            };
            let from = self.tensor_of(*part);
            self.copy_box(label.to_owned(), from, to, &copied);
            column += own;
        }
    }

    /// Copies `length` entries of `axis` between tensors that agree in all other axes.
    fn copy_axis(
        &mut self,
        label: String,
        (from, from_shape, from_start): (usize, &Shape, usize),
        (to, to_shape, to_start): (usize, &Shape, usize),
        axis: usize,
        length: usize,
    ) {
        let part = |range: &[Dim]| elements(&Shape::new(range.iter().copied()));
        let outer = part(&from_shape.dims()[..axis]);
        let inner = part(&from_shape.dims()[axis + 1..]);
        let lengths = (from_shape.dims()[axis].at(1) as u64, to_shape.dims()[axis].at(1) as u64);
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let side = |start: usize, whole: u64| {
            let offset = inner * start as u64;
            let strides = if inner.per_sample > 0 {
                [one, inner * whole, inner, none]
            } else {
                [inner * whole, none, inner, one]
            };
            Side { offset, strides }
        };
        let sizes = if inner.per_sample > 0 {
            [inner, outer, Size::fixed(length as u64), one]
        } else {
            [outer, one, Size::fixed(length as u64), inner]
        };
        let copied = Box4 { sizes, input: side(from_start, lengths.0), output: side(to_start, lengths.1) };
        self.copy_box(label, from, to, &copied);
    }

    /// Gradients land in the arena where they are computed; what cannot is copied there.
    pub(super) fn pack(&mut self, node: usize, offsets: &[usize]) {
        let graph = self.facts.graph;
        let value = Value { node, output: 0 };
        let size = elements(graph.shape(value));
        // Its padding has to stay 0, so it shares its memory with nothing.
        let arena = self.tensor(self.facts.label(node, "arena"), DType::F32, size, Home::Own);
        self.set_tensor(value, arena);
        for (input, offset) in graph.nodes()[node].inputs.iter().zip(offsets) {
            let root = self.facts.root(*input);
            let tensor = self.tensor_of(*input);
            let alone = self.facts.readers_of(root).iter().all(|reader| *reader == node) && !self.facts.is_wanted(root);
            let twice = graph.nodes()[node].inputs.iter().filter(|other| self.facts.root(**other) == root).count() > 1;
            let offset = *offset as u64;
            if alone && !twice && self.tensors[tensor].home == Home::Scratch {
                self.tensors[tensor].home = Home::Within { tensor: arena, offset };
            } else {
                let size = self.tensors[tensor].elements;
                let label = self.facts.label(node, "pack");
                // Only its place in the arena, which may be longer than a binding.
                let place = Bind { part: Some((offset, size.fixed)), ..Bind::write(arena) };
                self.copy_row(label, [Bind::read(tensor), place], size);
            }
        }
    }
}
