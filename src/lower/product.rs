//! Matrix products, and convolutions as such, whole or in split sums, with the epilogue of a pointwise node.

use super::iteration::{channels, elements, times};
use super::lowering::Lowering;
use super::pointwise::Prepared;
use super::tensors::{Bind, Call};
use super::{LowerError, padded_bytes};
use crate::graph::{ConvLayout, DType, Geometry, Layout, Op, Reduction, Shape, Value};
use crate::kernels::tile::{Tile, splits};
use crate::kernels::{self, Hooks};
use crate::plan::{Constant, Shader, Size};

/// The kernel of a node: a matrix product, or a convolution as one.
struct Product {
    layout: Layout,
    rows: Size,
    columns: u64,
    inner: Size,
    aligned: kernels::matmul::Aligned,
    flops: Size,
    /// What a convolution adds: how images are read, and the channels of those that A unfolds.
    conv: Option<(ConvLayout, Geometry, u64)>,
    /// The columns of the first of two tensors that A lies in.
    first: Option<u64>,
}

impl Product {
    fn shader(&self, tile: Tile, hooks: Option<&Hooks>) -> Shader {
        let (aligned, joined) = (self.aligned, self.first.is_some());
        match self.conv {
            Some((layout, geometry, _)) if joined => kernels::conv::joined_conv(layout, geometry, tile, aligned, hooks),
            Some((layout, geometry, _)) => kernels::conv::conv(layout, geometry, tile, aligned, hooks),
            None if joined => kernels::matmul::joined_matmul(self.layout, tile, aligned, hooks),
            None => kernels::matmul::matmul(self.layout, tile, aligned, hooks),
        }
    }

    fn constants(&self, splits: u64) -> Vec<Constant> {
        let mut constants = kernels::matmul::constants(self.rows, self.columns, self.inner, splits);
        if let Some((layout, geometry, channels)) = self.conv {
            constants.extend(kernels::conv::constants(layout, geometry, channels));
        }
        constants.extend(self.first.map(kernels::word));
        constants
    }
}

fn matrix_product(layout: Layout, left: &Shape, right: &Shape) -> Product {
    let lead = elements(&Shape::new(left.dims()[..left.rank() - 1].iter().copied()));
    let (rows, columns, inner) = match layout {
        Layout::Nn => (lead, channels(right), Size::fixed(channels(left))),
        Layout::Nt => (lead, right.dims()[0].at(1) as u64, Size::fixed(channels(left))),
        Layout::Tn => (Size::fixed(channels(left)), channels(right), lead),
    };
    let constant = |size: Size| if size.per_sample == 0 { size.fixed } else { 1 };
    let aligned = kernels::matmul::Aligned::of(layout, constant(rows), columns, constant(inner));
    let flops = times(times(rows, inner), Size::fixed(2 * columns));
    Product { layout, rows, columns, inner, aligned, flops, conv: None, first: None }
}

fn convolution(layout: ConvLayout, geometry: Geometry, left: &Shape, right: &Shape) -> Product {
    let images = elements(&Shape::new(left.dims()[..left.rank() - 3].iter().copied()));
    let taps = geometry.kernel.iter().product::<usize>() as u64;
    let pixels = |[height, width]: [usize; 2]| images * (height * width) as u64;
    let y = pixels(geometry.output().expect("checked when the graph was built"));
    let (inward, outward) = match layout {
        ConvLayout::Forward | ConvLayout::WeightGradient => (channels(left), channels(right)),
        ConvLayout::DataGradient => (right.dims()[2].at(1) as u64, channels(left)),
    };
    let (rows, columns, inner) = match layout {
        ConvLayout::Forward => (y, outward, Size::fixed(taps * inward)),
        ConvLayout::DataGradient => (pixels(geometry.input), inward, Size::fixed(taps * outward)),
        ConvLayout::WeightGradient => (Size::fixed(taps * inward), outward, y),
    };
    Product {
        layout: kernels::conv::product_layout(layout),
        rows,
        columns,
        inner,
        aligned: kernels::conv::aligned(layout, inward, outward),
        flops: y * (2 * taps * inward * outward),
        conv: Some((layout, geometry, channels(left))),
        first: None,
    }
}

impl Lowering<'_> {
    pub(super) fn product(&mut self, node: usize) -> Result<(), LowerError> {
        self.launch_product(node, None)
    }

    /// A product, with the epilogue of a pointwise node if it has one.
    pub(super) fn launch_product(
        &mut self,
        product: usize,
        epilogue: Option<(usize, Prepared)>,
    ) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        let entry = &graph.nodes()[product];
        if let Op::BatchMatMul { layout } = entry.op {
            return self.launch_batch_product(product, layout, epilogue);
        }
        let (a, b) = (entry.inputs[0], entry.inputs[1]);
        let (left, right) = (graph.shape(a), graph.shape(b));
        let (mut kernel, name) = match entry.op {
            Op::MatMul { layout } => (matrix_product(layout, left, right), "product"),
            Op::Conv { layout, geometry } => (convolution(layout, geometry, left, right), "convolution"),
            _ => unreachable!("only products get here"),
        };
        let joined = self.facts.joined_parts(a);
        if let Some([first, rest]) = joined {
            let [first, rest] = [first, rest].map(|part| channels(graph.shape(part)));
            kernel.first = Some(first);
            kernel.aligned.a = rest.is_multiple_of(4);
        }
        let Product { rows, columns, inner, mut flops, .. } = kernel;
        let batch = self.facts.batch();
        if kernel.conv.is_some() && rows.at(batch).max(inner.at(batch)) >= kernels::conv::LIMIT {
            let what = format!("a convolution of {} pixels or more has no kernel", kernels::conv::LIMIT);
            return Err(LowerError::Unsupported { label: self.facts.label(product, name), what });
        }
        let tile = Tile::choose(self.facts.options.driver, 1, rows.at(batch), columns);
        let (a, rest) = joined.map_or((a, None), |[first, rest]| (first, Some(rest)));
        let mut binds = vec![Bind::read(self.tensor_of(a)), Bind::read(self.tensor_of(b))];
        binds.extend(rest.map(|rest| Bind::read(self.tensor_of(rest))));
        if let Some((node, prepared)) = epilogue {
            let shader = self.shared.shader(kernel.shader(tile, Some(&prepared.emitted.hooks)));
            binds.extend(prepared.binds());
            let label = self.facts.label(node, &format!("{name} + pointwise"));
            self.check_buffers(&label, binds.len())?;
            let constants = prepared.words(kernel.constants(1));
            let workgroups = kernels::matmul::workgroups(tile, rows, columns, 1);
            flops = flops + prepared.flops;
            self.call(Call { shader, label, binds, constants, workgroups, flops, ..Call::default() });
            return Ok(());
        }
        // Partial sums of all splits have to fit one binding.
        let result_bytes = padded_bytes(DType::F32, rows.at(batch) * columns);
        let limit = self.facts.options.limits.binding_bytes;
        // Where operands are longer than a binding, ranges of samples are summed apart already.
        let whole =
            binds.iter().all(|bind| padded_bytes(DType::F32, self.tensors[bind.tensor].elements.at(batch)) <= limit);
        let most = if whole { (limit / result_bytes).max(1) } else { 1 };
        let splits = splits(rows.at(batch), columns, inner.at(batch), tile).min(most);
        let shader = self.shared.shader(kernel.shader(tile, None));
        let result = self.tensor_of(Value { node: product, output: 0 });
        let label = self.facts.label(product, name);
        let workgroups = kernels::matmul::workgroups(tile, rows, columns, splits);
        let constants = kernel.constants(splits);
        if splits == 1 {
            binds.push(Bind::write(result));
            self.call(Call { shader, label, binds, constants, workgroups, flops, ..Call::default() });
            return Ok(());
        }
        let size = times(rows, Size::fixed(columns));
        let partial = self.scratch(format!("{label} partial sums"), size * splits);
        binds.push(Bind::write(partial));
        self.call(Call { shader, label: label.clone(), binds, constants, workgroups, flops, ..Call::default() });
        self.reduce_rows(&format!("{label} sum"), Reduction::Sum, partial, result, Size::fixed(splits), size);
        Ok(())
    }
}
