//! Rings and clocks, which a program advances in place when all else is done.

use super::LowerError;
use super::lowering::Lowering;
use super::tensors::{Bind, Call, Cut};
use crate::graph::{Op, Tick, Value};
use crate::kernels;

impl Lowering<'_> {
    pub(super) fn ring_push(&mut self, node: usize) -> Result<(), LowerError> {
        let entry = &self.facts.graph.nodes()[node];
        let rows = self.facts.graph.shape(entry.inputs[0]).dims()[0].at(1) as u64;
        let ring = self.in_place(node, 0)?;
        let tensors: Vec<usize> = entry.inputs.iter().map(|input| self.tensor_of(*input)).collect();
        let record = entry.inputs.len() - 3;
        let mut binds = vec![Bind::read(tensors[1]), Bind::read(tensors[2]), Bind::write(ring)];
        binds.extend(tensors[3..].iter().map(|tensor| Bind::read(*tensor)));
        let shader = self.shared.shader(kernels::ring::ring(record as u32));
        let label = self.facts.label(node, "ring");
        self.check_buffers(&label, binds.len())?;
        let (constants, workgroups) = (kernels::ring::constants(rows), kernels::ring::workgroups());
        self.call(Call { shader, label, binds, constants, workgroups, cut: Cut::Never, ..Call::default() });
        Ok(())
    }

    pub(super) fn tick(&mut self, node: usize, by: Tick) -> Result<(), LowerError> {
        let entry = &self.facts.graph.nodes()[node];
        let clock = self.in_place(node, 0)?;
        let status = self.tensor_of(entry.inputs[1]);
        let shader = self.shared.shader(kernels::tick::tick());
        let label = self.facts.label(node, "tick");
        let binds = vec![Bind::read(status), Bind::write(clock)];
        let (constants, workgroups) = (kernels::tick::constants(by), kernels::tick::workgroups());
        self.call(Call { shader, label, binds, constants, workgroups, cut: Cut::Never, ..Call::default() });
        Ok(())
    }

    /// The state that a ring or a clock advances in place: it has to be assigned to the state that it read.
    fn in_place(&mut self, node: usize, input: usize) -> Result<usize, LowerError> {
        let graph = self.facts.graph;
        let old = graph.nodes()[node].inputs[input];
        let value = Value { node, output: 0 };
        let assigned = graph.assignments().iter().find(|(_, assigned)| *assigned == value).map(|(name, _)| name);
        match &graph.node(old).op {
            Op::State { name } if Some(name) == assigned && self.facts.readers_of(value).is_empty() => {
                let tensor = self.tensor_of(old);
                self.set_tensor(value, tensor);
                Ok(tensor)
            }
            _ => Err(LowerError::Unsupported {
                label: self.facts.label(node, "ring or clock"),
                what: "its new value has to be assigned to the state that it was made of, and read by nothing else"
                    .into(),
            }),
        }
    }
}
