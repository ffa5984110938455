//! Products of many matrices at once.

use super::LowerError;
use super::iteration::elements;
use super::lowering::Lowering;
use super::pointwise::Prepared;
use super::tensors::{Bind, Call};
use crate::graph::{Layout, Shape, Value};
use crate::kernels;
use crate::kernels::tile::Tile;

impl Lowering<'_> {
    /// A batch of products, with the epilogue of a pointwise node if it has one.
    pub(super) fn launch_batch_product(
        &mut self,
        product: usize,
        layout: Layout,
        epilogue: Option<(usize, Prepared)>,
    ) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        let entry = &graph.nodes()[product];
        let [a, b] = [entry.inputs[0], entry.inputs[1]];
        let (lead, result) = entry.types[0].shape.dims().split_at(entry.types[0].shape.rank() - 2);
        let matrices = elements(&Shape::new(lead.iter().copied()));
        let left = graph.shape(a).dims();
        let inner = match layout {
            Layout::Nn | Layout::Nt => left[left.len() - 1],
            Layout::Tn => left[left.len() - 2],
        };
        let [rows, columns, inner] = [result[0], result[1], inner].map(|dim| dim.at(1) as u64);
        let most = matrices.at(self.facts.batch());
        let tile = Tile::choose(self.facts.options.driver, most, rows, columns);
        let aligned = kernels::matmul::Aligned::of(layout, rows, columns, inner);
        let mut flops = matrices * (2 * rows * columns * inner);
        let mut binds = vec![Bind::read(self.tensor_of(a)), Bind::read(self.tensor_of(b))];
        let mut constants = kernels::matmul::batch_constants(matrices, rows, columns, inner);
        let workgroups = kernels::matmul::batch_workgroups(tile, matrices, rows, columns);
        let hooks = epilogue.as_ref().map(|(_, prepared)| &prepared.emitted.hooks);
        let shader = self.shared.shader(kernels::matmul::batch_matmul(layout, tile, aligned, hooks));
        let label = match &epilogue {
            Some((node, prepared)) => {
                binds.extend(prepared.binds());
                constants = prepared.words(constants);
                flops = flops + prepared.flops;
                self.facts.label(*node, "products + pointwise")
            }
            None => {
                binds.push(Bind::write(self.tensor_of(Value { node: product, output: 0 })));
                self.facts.label(product, "products")
            }
        };
        self.check_buffers(&label, binds.len())?;
        self.call(Call { shader, label, binds, constants, workgroups, flops, ..Call::default() });
        Ok(())
    }
}
