//! The batch out of a data set, chunk by chunk where the set is longer than a binding.

use super::LowerError;
use super::lowering::Lowering;
use super::tensors::{Bind, Call, Cut};
use crate::graph::{Op, Order, Storage, Value};
use crate::kernels;
use crate::kernels::gather::{Gather, Stored};
use crate::plan::{Access, Size};

impl Lowering<'_> {
    pub(super) fn gather(&mut self, node: usize) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        let entry = &graph.nodes()[node];
        let Op::Gather { storage, order, micro_batches } = entry.op else { unreachable!("only gathers get here") };
        let shape = graph.shape(entry.inputs[0]);
        let n = shape.dims()[0].at(1) as u64;
        let columns = shape.fixed_elements() as u64 / n.max(1);
        let (data, clock) = (self.tensor_of(entry.inputs[0]), self.tensor_of(entry.inputs[1]));
        let result = self.tensor_of(Value { node, output: 0 });
        let (stored, scale, shift, bytes) = match storage {
            Storage::F32 => (Stored::Floats, 1.0, 0.0, 4),
            Storage::U8 { scale, shift } => (Stored::Bytes, scale, shift, 1),
        };
        // Chunks of rows that fit a binding and start at multiples of 256 bytes.
        let row_bytes = columns * bytes;
        let step = 256 / gcd(row_bytes, 256);
        let limit = self.facts.options.limits.binding_bytes;
        let fitting = limit.saturating_sub(16) / row_bytes;
        let label = self.facts.label(node, "gather");
        let chunk = if n <= fitting { n } else { fitting / step * step };
        if chunk == 0 {
            let batch = self.facts.options.max_batch;
            let bytes = row_bytes * step;
            return Err(LowerError::TooLarge {
                name: format!("{label}: a row of the data set"),
                bytes,
                batch,
                limit,
                advice: "use smaller samples",
            });
        }
        let shader = self.shared.shader(kernels::gather::gather(stored, columns.is_multiple_of(4)));
        let batch = Size::per_sample(1);
        for first_row in (0..n).step_by(chunk as usize) {
            let gather = Gather {
                columns,
                total_batch: batch * micro_batches as u64,
                n,
                first_row,
                chunk_rows: chunk.min(n - first_row),
                shuffled: order == Order::Shuffled,
                scale,
                shift,
            };
            let range = Bind {
                tensor: data,
                access: Access::Read,
                part: Some((first_row * columns, gather.chunk_rows * columns)),
            };
            self.call(Call {
                shader,
                label: label.clone(),
                binds: vec![Bind::read(clock), range, Bind::write(result)],
                constants: kernels::gather::constants(&gather, batch),
                workgroups: kernels::gather::workgroups(&gather, batch),
                cut: Cut::Never,
                ..Call::default()
            });
        }
        Ok(())
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
