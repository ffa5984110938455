//! Places for tensors.
//!
//! wgpu refuses a dispatch that reads and writes one buffer, even in disjoint ranges, so scratch tensors are coloured:
//! each goes to the first scratch buffer that holds nothing which the dispatch that writes it also reads, or that a
//! dispatch which reads it also writes. Within a buffer, tensors whose lifetimes do not meet share memory.

use std::collections::BTreeSet;

use super::tensors::{Call, Home, ProgramTensor};
use super::{LowerError, Shared, padded_bytes};
use crate::graph::expr::Term;
use crate::graph::{Graph, Op};
use crate::plan::{Access, BufferKind, Slice};

/// Offsets of bindings are multiples of this many bytes on every device.
const ALIGNMENT: u64 = 256;

/// What would make a tensor smaller: it depends on what it is for.
pub(super) fn advice(graph: &Graph, tensor: &ProgramTensor) -> &'static str {
    let Home::Store { name, .. } = &tensor.home else { return "use a smaller batch or network" };
    let is_it =
        |value: &crate::graph::Value| matches!(&graph.node(*value).op, Op::State { name: state } if state == name);
    let is_table = |tape: &crate::graph::Tape, inputs: &[crate::graph::Value]| {
        tape.terms.iter().any(|term| matches!(term, Term::Table { table, .. } if is_it(&inputs[*table])))
    };
    for node in graph.nodes() {
        match &node.op {
            Op::Gather { .. } if is_it(&node.inputs[0]) => return "use fewer samples of data",
            Op::Pointwise { tape } if is_table(tape, &node.inputs) => return "use fewer sample.steps",
            _ => {}
        }
    }
    "use a smaller batch or network"
}

/// The slice of every tensor.
pub(super) fn place(
    shared: &mut Shared,
    graph: &Graph,
    tensors: &[ProgramTensor],
    calls: &[Call],
    program: &str,
) -> Result<Vec<Slice>, LowerError> {
    let batch = u64::from(shared.options.max_batch);
    let limit = shared.options.limits.buffer_bytes;
    let mut slices: Vec<Option<Slice>> = vec![None; tensors.len()];
    for (number, tensor) in tensors.iter().enumerate() {
        let bytes = padded_bytes(tensor.dtype, tensor.elements.at(batch));
        slices[number] = match &tensor.home {
            Home::Store { name, offset } => {
                let buffer = shared.store_buffer(name, tensor.dtype, tensor.elements);
                Some(Slice { buffer, offset: offset * tensor.dtype.bytes(), bytes })
            }
            Home::Own => {
                let buffer = shared.buffer(BufferKind::Zeroed, bytes);
                Some(Slice { buffer, offset: 0, bytes })
            }
            Home::Scratch | Home::Within { .. } => None,
        };
        if let Some(slice) = slices[number]
            && slice.bytes > limit
        {
            let name = format!("{program}: {}", tensor.name);
            let advice = advice(graph, tensor);
            return Err(LowerError::TooLarge { name, bytes, batch: shared.options.max_batch, limit, advice });
        }
    }
    place_scratch(shared, tensors, calls, program, &mut slices)?;
    for (number, tensor) in tensors.iter().enumerate() {
        if let Home::Within { tensor: whole, offset } = tensor.home {
            let outer = slices[whole].unwrap_or_else(|| unreachable!("what holds other tensors has its own place"));
            let bytes = padded_bytes(tensor.dtype, tensor.elements.at(batch));
            slices[number] = Some(Slice { offset: outer.offset + offset * tensor.dtype.bytes(), bytes, ..outer });
        }
    }
    Ok(slices.into_iter().map(|slice| slice.expect("every tensor has a home")).collect())
}

struct Life {
    tensor: usize,
    first: usize,
    last: usize,
    bytes: u64,
}

fn place_scratch(
    shared: &mut Shared,
    tensors: &[ProgramTensor],
    calls: &[Call],
    program: &str,
    slices: &mut [Option<Slice>],
) -> Result<(), LowerError> {
    let limits = shared.options.limits;
    let mut lives: Vec<Life> = Vec::new();
    for (number, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.home == Home::Scratch) {
        let uses = |call: &Call| call.binds.iter().any(|bind| bind.tensor == number);
        let Some(first) = calls.iter().position(uses) else { continue };
        let last = calls.iter().rposition(uses).unwrap_or(first);
        let bytes = padded_bytes(tensor.dtype, tensor.elements.at(u64::from(shared.options.max_batch)))
            .next_multiple_of(ALIGNMENT);
        if bytes > limits.buffer_bytes {
            let name = format!("{program}: {}", tensor.name);
            let (batch, limit) = (shared.options.max_batch, limits.buffer_bytes);
            return Err(LowerError::TooLarge { name, bytes, batch, limit, advice: "use a smaller batch or network" });
        }
        lives.push(Life { tensor: number, first, last, bytes });
    }
    // Large tensors first: small ones fill the gaps.
    lives.sort_by_key(|life| (std::cmp::Reverse(life.bytes), life.first, life.tensor));
    // Tensors that some dispatch reads while it writes this one, and the reverse.
    let mut foes: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); tensors.len()];
    for call in calls {
        for written in call.binds.iter().filter(|bind| bind.access == Access::ReadWrite) {
            for read in call.binds.iter().filter(|bind| bind.access == Access::Read) {
                foes[written.tensor].insert(read.tensor);
                foes[read.tensor].insert(written.tensor);
            }
        }
    }
    // For each colour, what lies where.
    let mut colours: Vec<Vec<(u64, u64, usize)>> = Vec::new();
    for (place, life) in lives.iter().enumerate() {
        let mut colour = 0;
        let offset = loop {
            if colour == colours.len() {
                colours.push(Vec::new());
            }
            let tenants = &colours[colour];
            let hostile = tenants.iter().any(|(_, _, other)| foes[life.tensor].contains(&lives[*other].tensor));
            if !hostile {
                let offset = gap(tenants, &lives, life);
                if offset + life.bytes <= limits.buffer_bytes {
                    break offset;
                }
            }
            colour += 1;
        };
        colours[colour].push((offset, life.bytes, place));
        if colour == shared.scratch.len() {
            let buffer = shared.buffer(BufferKind::Scratch, 0);
            shared.scratch.push(buffer);
        }
        let buffer = shared.scratch[colour];
        shared.buffers[buffer].bytes = shared.buffers[buffer].bytes.max(offset + life.bytes);
        slices[life.tensor] = Some(Slice { buffer, offset, bytes: life.bytes });
    }
    Ok(())
}

/// The first offset at which `life` meets no tenant that is alive at the same time.
fn gap(tenants: &[(u64, u64, usize)], lives: &[Life], life: &Life) -> u64 {
    let mut busy: Vec<(u64, u64)> = tenants
        .iter()
        .filter(|(_, _, other)| lives[*other].first <= life.last && life.first <= lives[*other].last)
        .map(|(offset, bytes, _)| (*offset, offset + bytes))
        .collect();
    busy.sort_unstable();
    let mut offset = 0;
    for (start, end) in busy {
        if offset + life.bytes <= start {
            break;
        }
        offset = offset.max(end);
    }
    offset
}
