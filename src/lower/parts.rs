//! Concatenations that are never made, and values that are written into their slices.
//!
//! Where all readers of a concatenation of channels can take each channel from the tensor that holds it, none is
//! copied; and where a pointwise value is read in slices of channels alone, it is stored as these.

use super::facts::Facts;
use super::iteration::{Split, channels};
use crate::graph::expr::Term;
use crate::graph::{ConvLayout, Dim, Layout, Op, Value};

impl Facts<'_> {
    /// Decides which these are.
    pub(super) fn choose_parts(&mut self) {
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            if let (Op::Concat { axis }, [first, rest]) = (&entry.op, &entry.inputs[..])
                && *axis + 1 == self.shape(node).rank()
                && channels(graph.shape(*first)).is_multiple_of(4)
            {
                self.joined.insert(node, [*first, *rest]);
                if !self.is_read_in_parts(node) {
                    self.joined.remove(&node);
                }
            }
            for output in 0..entry.types.len() {
                let value = Value { node, output };
                if let Some(slices) = self.slices_of(value) {
                    self.split.insert(value, slices);
                    if !self.walks_channels(node) {
                        self.split.remove(&value);
                    }
                }
            }
        }
    }

    /// The two tensors of a concatenation that is never made.
    pub(super) fn joined_parts(&self, value: Value) -> Option<[Value; 2]> {
        let root = self.root(value);
        self.joined.get(&root.node).copied()
    }

    /// Whether a pointwise node reads a concatenation that is never made, or writes slices.
    pub(super) fn in_parts(&self, node: usize) -> bool {
        let entry = &self.graph.nodes()[node];
        entry.inputs.iter().any(|input| self.joined_parts(*input).is_some())
            || (0..entry.types.len()).any(|output| self.split.contains_key(&Value { node, output }))
    }

    /// Bindings for parts after the first that a pointwise node needs, and the product that it finishes.
    pub(super) fn further_parts(&self, node: usize, product: Option<usize>) -> usize {
        let entry = &self.graph.nodes()[node];
        let operand = product.map(|product| self.graph.nodes()[product].inputs[0]);
        let joined = |value: &&Value| self.joined_parts(**value).is_some();
        let slices = |output| self.split.get(&Value { node, output }).map_or(0, |held| held.len() - 1);
        entry.inputs.iter().chain(&operand).filter(joined).count() + (0..entry.types.len()).map(slices).sum::<usize>()
    }

    /// Whether a kernel can bind so many tensors, and so many further parts of them.
    pub(super) fn has_room(&self, tensors: usize, further: usize) -> bool {
        let limits = self.options.limits;
        tensors <= limits.fused_tensors() && tensors + further <= limits.storage_buffers
    }

    fn is_read_in_parts(&self, node: usize) -> bool {
        let graph = self.graph;
        let value = Value { node, output: 0 };
        // What a program replaces is to be read before that, and its readers are not known here.
        let lasting = graph.nodes()[node].inputs.iter().any(|part| self.shown_state(*part).is_some());
        let readers = self.readers_of(value);
        !lasting
            && !readers.is_empty()
            && !self.is_wanted(value)
            && readers.iter().all(|reader| {
                let entry = &graph.nodes()[*reader];
                let seen = entry.inputs.iter().filter(|input| self.root(**input) == value);
                let (mut seen, first) = (seen, entry.inputs[0]);
                let left =
                    self.root(first) == value && entry.inputs[1..].iter().all(|input| self.root(*input) != value);
                seen.all(|input| channels(graph.shape(*input)) == channels(self.shape(node)))
                    && match &entry.op {
                        Op::Pointwise { tape } => {
                            let table = |term: &Term<usize>| match term {
                                Term::Table { table, .. } => self.root(entry.inputs[*table]) == value,
                                _ => false,
                            };
                            !tape.terms.iter().any(table) && self.walks_channels(*reader)
                        }
                        // Of pixels, from each part for itself.
                        Op::Slice { axis, .. } => {
                            let dims = graph.shape(first).dims();
                            axis + 1 < dims.len() && !dims[*axis..].contains(&Dim::Batch)
                        }
                        Op::MatMul { layout } => left && *layout != Layout::Nt,
                        Op::Conv { layout, .. } => left && *layout != ConvLayout::DataGradient,
                        _ => false,
                    }
            })
    }

    /// The slices that a pointwise value consists of, if it is read as nothing else.
    fn slices_of(&self, value: Value) -> Option<Vec<Value>> {
        let graph = self.graph;
        if !matches!(graph.node(value).op, Op::Pointwise { .. }) || self.is_wanted(value) {
            return None;
        }
        let last = graph.shape(value).rank().checked_sub(1)?;
        let mut slices = Vec::new();
        for reader in self.readers_of(value) {
            let entry = &graph.nodes()[*reader];
            let Op::Slice { axis, start, length } = entry.op else { return None };
            if axis != last || graph.shape(entry.inputs[0]) != graph.shape(value) {
                return None;
            }
            slices.push((start, length, Value { node: *reader, output: 0 }));
        }
        slices.sort_unstable();
        let mut end = 0;
        for (start, length, _) in &slices {
            if *start != end || !start.is_multiple_of(4) {
                return None;
            }
            end += length;
        }
        let whole = slices.len() > 1 && end as u64 == channels(graph.shape(value));
        whole.then(|| slices.into_iter().map(|(_, _, slice)| slice).collect())
    }

    /// Whether a kernel can go through the channels of a pointwise node, one row a pixel, with all parts bound and some
    /// tensors besides that a partner may need.
    fn walks_channels(&self, node: usize) -> bool {
        let shape = self.shape(node);
        let fixed = shape.rank() > 0 && matches!(shape.dims()[shape.rank() - 1], Dim::Fixed(_));
        fixed
            && [Split::At(shape.rank() - 1), Split::AtAndBatch(shape.rank() - 1)]
                .iter()
                .any(|split| self.fits(node, *split))
            && self.bindings(node, None, None) + self.further_parts(node, None) + 2
                <= self.options.limits.storage_buffers
    }
}
