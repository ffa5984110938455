//! Attention, and its first gradient, by kernels that keep no scores: where these are more than a device binds.
//!
//! They stand for composites that are known to be one of the two, whose bodies are what everybody else runs.

use super::iteration::{channels, elements};
use super::lowering::Lowering;
use super::tensors::{Bind, Call};
use super::{LowerError, LowerOptions};
use crate::graph::{Attention, Composite, DType, KnownComposite, Shape, Value};
use crate::kernels::attention::{self as kernel, Pass, Sizes};
use crate::plan::Size;

/// An attention, or its gradient, of one sample.
#[derive(Clone, Copy)]
struct Problem {
    attention: Attention,
    gradient: bool,
    queries: u64,
    keys: u64,
    /// Channels of a head.
    width: u64,
}

impl Problem {
    fn of(composite: &Composite) -> Option<Self> {
        let (attention, gradient) = match composite.known? {
            KnownComposite::Attention(attention) => (attention, false),
            KnownComposite::AttentionGradient(attention) => (attention, true),
        };
        let [q, k] = [0, 1].map(|input| composite.input_shape(input));
        let channels = channels(q);
        let [queries, keys] = [q, k].map(|shape| shape.fixed_elements() as u64 / channels);
        Some(Self { attention, gradient, queries, keys, width: channels / attention.heads as u64 })
    }

    fn heads(&self) -> u64 {
        self.attention.heads as u64
    }

    /// A launch whose result has so many rows, summed over so many others.
    fn sizes(&self, rows: u64, others: u64) -> Sizes {
        let (heads, width, scale) = (self.heads(), self.width, self.attention.scale as f32);
        Sizes { rows, others, heads, width, matrices: Size::per_sample(heads), scale }
    }
}

/// Whether a composite is attention or its gradient, its scores are more than the device takes, and there is a kernel
/// that does without.
pub(super) fn streams(composite: &Composite, options: &LowerOptions) -> bool {
    let Some(problem) = Problem::of(composite) else { return false };
    let limits = options.limits;
    // Samples can be taken one by one, but no fewer.
    let one = 4 * problem.heads() * problem.queries * problem.keys;
    let too_large = one > limits.binding_bytes || one * u64::from(options.max_batch) > limits.buffer_bytes;
    too_large && problem.width.is_multiple_of(4) && problem.width <= kernel::WIDEST
}

impl Lowering<'_> {
    /// A composite that [`streams`].
    pub(super) fn stream_attention(&mut self, node: usize, composite: &Composite) -> Result<(), LowerError> {
        let Some(problem) = Problem::of(composite) else { unreachable!("only attention gets here") };
        let Problem { queries, keys, .. } = problem;
        let inputs = &self.facts.graph.nodes()[node].inputs;
        let tensors: Vec<usize> = inputs.iter().map(|input| self.tensor_of(*input)).collect();
        if !problem.gradient {
            let result = self.tensor_of(Value { node, output: 0 });
            let binds = [&tensors[..], &[result]].concat();
            return self.launch_attention(node, Pass::Forward, &binds, 1, problem.sizes(queries, keys));
        }
        let [q, k, v, du] = tensors[..] else { unreachable!("three inputs and a cotangent") };
        let kept = self.scratch(
            self.facts.label(node, "sums"),
            elements(&Shape::batch(&[2 * (problem.heads() * queries) as usize])),
        );
        self.tensors[kept].samples_lead = true;
        let results: Vec<usize> = (0..3).map(|output| self.tensor_of(Value { node, output })).collect();
        self.launch_attention(node, Pass::Queries, &[q, k, du, v, kept, results[0]], 2, problem.sizes(queries, keys))?;
        self.launch_attention(node, Pass::Keys, &[k, q, v, du, kept, results[1]], 1, problem.sizes(keys, queries))?;
        self.launch_attention(node, Pass::Values, &[k, q, du, kept, results[2]], 1, problem.sizes(keys, queries))
    }

    fn launch_attention(
        &mut self,
        node: usize,
        pass: Pass,
        tensors: &[usize],
        written: usize,
        sizes: Sizes,
    ) -> Result<(), LowerError> {
        let label = self.facts.label(node, "streamed");
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
