//! Attention, and its first gradient, by kernels that keep no scores: where these are more than a device binds.
//!
//! They stand for the composites `attention` and `attention_gradient`, whose bodies are what everybody else runs.

use super::iteration::elements;
use super::program::Lowering;
use super::tensors::{Bind, Call};
use super::{LowerError, Options};
use crate::graph::{Composite, DType, Layout, Op, Shape, Value};
use crate::kernels::attention::{self as kernel, Pass, Sizes};
use crate::plan::Size;

/// The scores `[Batch, heads, queries, keys]` of a composite that is attention or its gradient.
fn scores(composite: &Composite) -> Option<&Shape> {
    if !matches!(composite.name.as_str(), "attention" | "attention_gradient") {
        return None;
    }
    let product = |op: &Op| matches!(op, Op::BatchMatMul { layout: Layout::Nt });
    composite.body.nodes().iter().find(|node| product(&node.op)).map(|node| &node.types[0].shape)
}

/// The channels of a head.
fn width(composite: &Composite, heads: usize) -> usize {
    composite.body.tensor_type(composite.outputs[0]).shape.dims().last().map_or(0, |dim| dim.at(1)) / heads
}

/// Whether the scores of a composite are more than the device takes, and there is a kernel that does without.
pub(super) fn streams(composite: &Composite, options: &Options) -> bool {
    let Some(scores) = scores(composite) else { return false };
    let (batch, limits) = (options.max_batch as usize, options.limits);
    // Samples can be taken one by one, but no fewer.
    let one = 4 * scores.elements(1) as u64;
    let too_large = one > limits.binding_bytes || one * batch as u64 > limits.buffer_bytes;
    let width = width(composite, scores.dims()[1].at(1)) as u64;
    too_large && width.is_multiple_of(4) && width <= kernel::WIDEST
}

impl Lowering<'_> {
    /// A composite that [`streams`].
    pub(super) fn stream_attention(&mut self, node: usize, composite: &Composite) -> Result<(), LowerError> {
        let graph = self.graph;
        let inputs = &graph.nodes()[node].inputs;
        let Some(scores) = scores(composite) else { unreachable!("only attention gets here") };
        let [heads, queries, keys] = [1, 2, 3].map(|axis| scores.dims()[axis].at(1) as u64);
        let width = width(composite, heads as usize) as u64;
        let matrices = Size::per_sample(heads);
        let of = |rows: u64, others: u64| Sizes { rows, others, heads, width, matrices };
        let tensors: Vec<usize> = inputs.iter().map(|input| self.tensor_of(*input)).collect();
        if composite.name == "attention" {
            let result = self.tensor_of(Value { node, output: 0 });
            let binds = [&tensors[..], &[result]].concat();
            return self.launch_attention(node, Pass::Forward, &binds, 1, of(queries, keys));
        }
        let [q, k, v, du] = tensors[..] else { unreachable!("three inputs and a cotangent") };
        let kept = self.scratch(self.label(node, "sums"), elements(&Shape::batch(&[2 * (heads * queries) as usize])));
        self.tensors[kept].samples_lead = true;
        let results: Vec<usize> = (0..3).map(|output| self.tensor_of(Value { node, output })).collect();
        self.launch_attention(node, Pass::Queries, &[q, k, du, v, kept, results[0]], 2, of(queries, keys))?;
        self.launch_attention(node, Pass::Keys, &[k, q, v, du, kept, results[1]], 1, of(keys, queries))?;
        self.launch_attention(node, Pass::Values, &[k, q, du, kept, results[2]], 1, of(keys, queries))
    }

    fn launch_attention(
        &mut self,
        node: usize,
        pass: Pass,
        tensors: &[usize],
        written: usize,
        sizes: Sizes,
    ) -> Result<(), LowerError> {
        let label = self.label(node, "streamed");
        self.check_buffers(&label, tensors.len())?;
        debug_assert!(tensors.iter().all(|tensor| self.tensors[*tensor].dtype == DType::F32));
        let (read, write) = tensors.split_at(tensors.len() - written);
        let shader = self.shared.shader(kernel::attention(pass, kernel::lanes(sizes.width)));
        self.call(Call {
            shader,
            label,
            binds: read.iter().copied().map(Bind::read).chain(write.iter().copied().map(Bind::write)).collect(),
            constants: kernel::constants(sizes),
            workgroups: kernel::workgroups(sizes),
            flops: kernel::flops(pass, sizes),
            ..Call::default()
        });
        Ok(())
    }
}
