//! Pairs of nodes that share a kernel: a pointwise node with the product that feeds it or the reduction that it feeds.

use super::facts::{Facts, Partner};
use super::iteration::{Split, elements};
use crate::graph::{ConvLayout, Dim, Layout, Op, Shape, Value};
use crate::kernels;
use crate::kernels::reduce::Over;

impl Facts<'_> {
    /// Pairs pointwise nodes with a reduction that they feed or a product that feeds them.
    pub(super) fn choose_partners(&mut self) {
        // First what only a reduction reads: it need not be stored then. What is stored is best stored by the product
        // that it finishes, which need not be.
        self.feed_reductions(true);
        self.finish_products();
        self.feed_reductions(false);
    }

    /// Pairs pointwise nodes with a reduction that they feed; `alone`: only those that nothing else reads.
    fn feed_reductions(&mut self, alone: bool) {
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            let Op::Reduce { .. } = entry.op else { continue };
            let producer = entry.inputs[0].node;
            let mut inputs = entry.inputs.iter();
            let ours = |input: &Value| self.readers_of(*input).iter().all(|reader| *reader == node);
            if entry.inputs.iter().all(|input| input.node == producer)
                && matches!(graph.nodes()[producer].op, Op::Pointwise { .. })
                && !self.absorbed.contains(&node)
                && !self.partners.contains_key(&producer)
                && (!alone || inputs.any(|input| ours(input) && !self.is_wanted(*input)))
                && self.can_feed(producer, node)
            {
                self.partners.insert(producer, Partner::Reduce(node));
                self.absorbed.insert(node);
            }
        }
    }

    /// Pairs pointwise nodes with a product that feeds them.
    fn finish_products(&mut self) {
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            if !matches!(entry.op, Op::Pointwise { .. }) || self.partners.contains_key(&node) {
                continue;
            }
            let products = entry.inputs.iter().filter(|input| {
                let first = self.readers_of(**input).iter().min();
                self.takes_epilogue(input.node)
                    && first == Some(&node)
                    && !self.absorbed.contains(&input.node)
                    && self.can_wait(input.node, node)
                    && self.can_finish(input.node, node)
            });
            // The last product: what the others give is there by then.
            if let Some(product) = products.map(|input| input.node).max() {
                self.partners.insert(node, Partner::MatMul(product));
                self.absorbed.insert(product);
            }
        }
    }

    /// Whether what a product reads is still there when `node` runs.
    fn can_wait(&self, product: usize, node: usize) -> bool {
        let between = self.overwrites.iter().filter(|(new, _)| product < new.node && new.node < node);
        between.map(|(_, overwrite)| overwrite.old).all(|old| !self.reads_state_of(product, old))
    }

    /// Whether `node` can be the epilogue of `product`.
    pub(super) fn can_finish(&self, product: usize, node: usize) -> bool {
        let split = Split::At(self.shape(product).rank() - 1);
        self.shape(product) == self.shape(node)
            && self.fits(node, split)
            && self.has_room(2 + self.bindings(node, Some(product), None), self.further_parts(node, Some(product)))
    }

    /// Whether what `reduction` reads of `node` can be computed by `reduction` itself.
    pub(super) fn can_feed(&self, node: usize, reduction: usize) -> bool {
        let Some((start, trailing)) = self.feeding_view(reduction) else { return false };
        let results = self.graph.nodes()[reduction].types.len();
        (trailing || self.stored_outputs(node, Some(reduction)).is_empty() || self.feeds_widely(reduction))
            && self.fits(node, feeding_split(start, trailing))
            && self.has_room(results + self.bindings(node, None, Some(reduction)), self.further_parts(node, None))
    }

    /// An upper bound of the tensors that `prepare` binds, those in parts counted once.
    pub(super) fn bindings(&self, node: usize, product: Option<usize>, reduction: Option<usize>) -> usize {
        let inputs = self.graph.nodes()[node].inputs.iter().filter(|input| Some(input.node) != product).count();
        let raw = product.is_some_and(|product| self.keeps_product(product, node));
        let stored = self.stored_outputs(node, reduction);
        let overwritten = |output: usize| self.overwritten(Value { node, output }, product).is_some();
        let in_place = stored.iter().filter(|output| overwritten(**output)).count();
        inputs + stored.len() - in_place + usize::from(raw)
    }

    /// Whether a pointwise node can share the kernel of this one, whose sums are not split.
    pub(super) fn takes_epilogue(&self, node: usize) -> bool {
        match self.graph.nodes()[node].op {
            Op::MatMul { layout } => layout != Layout::Tn,
            Op::BatchMatMul { .. } => true,
            Op::Conv { layout, .. } => layout != ConvLayout::WeightGradient,
            _ => false,
        }
    }

    /// Where the columns start in the view that a pointwise node needs to feed this reduction, and whether they are
    /// what is summed; `None` if several kernels are needed.
    pub(super) fn feeding_view(&self, reduction: usize) -> Option<(usize, bool)> {
        let entry = &self.graph.nodes()[reduction];
        let Op::Reduce { axes, .. } = &entry.op else { return None };
        let dims = self.graph.shape(entry.inputs[0]).dims();
        let (first, last) = (*axes.first()?, *axes.last()?);
        let gone = |range: std::ops::Range<usize>| {
            range.into_iter().all(|axis| axes.contains(&axis) || dims[axis] == Dim::Fixed(1))
        };
        if gone(first..dims.len()) {
            return Some((first, true));
        }
        gone(first..last).then_some((last + 1, false))
    }

    /// Whether a reduction over axes that are not the last has enough workgroups to do a pointwise node's work as well.
    pub(super) fn feeds_widely(&self, reduction: usize) -> bool {
        let entry = &self.graph.nodes()[reduction];
        let Op::Reduce { axes, .. } = &entry.op else { return false };
        let dims = self.graph.shape(entry.inputs[0]).dims();
        let batch = self.batch();
        let part = |dims: &[Dim]| elements(&Shape::new(dims.iter().copied())).at(batch);
        let (first, end) = (axes[0], axes[axes.len() - 1] + 1);
        let (outer, rows, columns) = (part(&dims[..first]), part(&dims[first..end]), part(&dims[end..]));
        let software = self.options.driver.is_software();
        let shape = kernels::reduce::choose(Over::Rows, columns, software);
        let chunks = kernels::reduce::middle_chunks(shape, outer, rows, columns);
        let groups = outer * columns.div_ceil(4).div_ceil(u64::from(shape.lanes)) * chunks;
        groups >= if software { 8 } else { 64 }
    }
}

/// The split for a reduction whose columns start at this axis.
pub(super) fn feeding_split(start: usize, trailing: bool) -> Split {
    if trailing { Split::At(start) } else { Split::AtAndBatch(start) }
}
