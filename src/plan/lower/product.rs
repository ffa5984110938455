//! Matrix products, whole or in split sums, with the epilogue of a pointwise node.

use super::pointwise::{Prepared, with_hook_words};
use super::program::Lowering;
use super::tensors::{Bind, Call};
use super::{Driver, LowerError, padded_bytes};
use crate::graph::{DType, Layout, Op, Shape, Value};
use crate::kernels;
use crate::kernels::reduce::Op as ReduceOp;
use crate::plan::Size;
use crate::plan::iteration::{elements, times};

impl Lowering<'_> {
    pub(super) fn matmul(&mut self, node: usize, _layout: Layout) -> Result<(), LowerError> {
        self.launch_product(node, None)
    }

    /// A product, with the epilogue of a pointwise node if it has one.
    pub(super) fn launch_product(
        &mut self,
        product: usize,
        epilogue: Option<(usize, Prepared)>,
    ) -> Result<(), LowerError> {
        let graph = self.graph;
        let entry = &graph.nodes()[product];
        if let Op::BatchMatMul { layout } = entry.op {
            return self.launch_batch_product(product, layout, epilogue);
        }
        let Op::MatMul { layout } = entry.op else { unreachable!("only products get here") };
        let (a, b) = (entry.inputs[0], entry.inputs[1]);
        let (left, right) = (graph.shape(a), graph.shape(b));
        let lead = elements(&Shape::new(left.dims()[..left.rank() - 1].iter().copied()));
        let last = |shape: &Shape| shape.dims().last().map_or(1, |dim| dim.at(1)) as u64;
        let (rows, columns, inner) = match layout {
            Layout::Nn => (lead, last(right), Size::fixed(last(left))),
            Layout::Nt => (lead, right.dims()[0].at(1) as u64, Size::fixed(last(left))),
            Layout::Tn => (Size::fixed(last(left)), last(right), lead),
        };
        let kernel_layout = match layout {
            Layout::Nn => kernels::matmul::Layout::Nn,
            Layout::Nt => kernels::matmul::Layout::Nt,
            Layout::Tn => kernels::matmul::Layout::Tn,
        };
        let batch = self.batch();
        let sizes = (rows.at(batch), columns, inner.at(batch));
        let tile = match self.shared.options.driver {
            Driver::Software { lanes: 8 } => kernels::matmul::choose_with_lanes(sizes.0, sizes.1, sizes.2),
            driver => kernels::matmul::choose(sizes.0, sizes.1, sizes.2, driver.is_software()),
        };
        let constant = |size: Size| if size.per_sample == 0 { size.fixed } else { 1 };
        let aligned = kernels::matmul::Aligned::of(kernel_layout, constant(rows), columns, constant(inner));
        let mut flops = times(times(rows, inner), Size::fixed(2 * columns));
        let (a, b) = (self.tensor_of(a), self.tensor_of(b));
        let mut binds = vec![Bind::read(a), Bind::read(b)];
        if let Some((node, prepared)) = epilogue {
            let shader = kernels::matmul::matmul(kernel_layout, tile, aligned, Some(&prepared.emitted.hooks));
            let shader = self.shared.shader(shader);
            binds.extend(prepared.binds.iter().cloned());
            let label = self.label(node, "product + pointwise");
            self.check_buffers(&label, binds.len())?;
            let constants = with_hook_words(kernels::matmul::constants(rows, columns, inner, 1), &prepared.emitted);
            let workgroups = kernels::matmul::workgroups(tile, rows, columns, 1);
            flops = flops + prepared.flops;
            self.call(Call { shader, label, binds, constants, workgroups, flops });
            return Ok(());
        }
        // Partial sums of all splits have to fit one binding.
        let result_bytes = padded_bytes(DType::F32, rows.at(batch) * columns);
        let most = (self.shared.options.limits.binding_bytes / result_bytes).max(1);
        let splits = kernels::matmul::splits(rows.at(batch), columns, inner.at(batch), tile).min(most);
        let shader = self.shared.shader(kernels::matmul::matmul(kernel_layout, tile, aligned, None));
        let result = self.tensor_of(Value { node: product, output: 0 });
        let label = self.label(product, "product");
        let workgroups = kernels::matmul::workgroups(tile, rows, columns, splits);
        let constants = kernels::matmul::constants(rows, columns, inner, splits);
        if splits == 1 {
            binds.push(Bind::write(result));
            self.call(Call { shader, label, binds, constants, workgroups, flops });
            return Ok(());
        }
        let size = times(rows, Size::fixed(columns));
        let partial = self.scratch(format!("{label} partial sums"), size * splits);
        binds.push(Bind::write(partial));
        self.call(Call { shader, label: label.clone(), binds, constants, workgroups, flops });
        self.reduce_rows(&format!("{label} sum"), ReduceOp::Sum, partial, result, Size::fixed(splits), size);
        Ok(())
    }
}
