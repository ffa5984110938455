//! Pointwise nodes: every output element is an expression of the input elements at its place, which broadcast.
//!
//! Adjacent axes along which all inputs move alike are merged. What is left is a list of rows; the tape is evaluated
//! term by term over blocks of about [`BLOCK`] elements, so that every term is one loop over the first cache. A term
//! that is the same for all elements is computed once per run, one that is constant along the rows once for each row,
//! and one that is the same in all rows once for each column of a block.

mod block;
mod compile;

use rayon::prelude::*;

pub use compile::Kernel;

use super::Real;
use block::{Evaluation, Registers};

/// Elements that are evaluated together.
const BLOCK: usize = 512;
/// Operations that are worth another task.
const TASK: usize = 1 << 17;

/// What a pointwise node reads.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a, T> {
    /// Floats.
    Real(&'a [T]),
    /// A clock.
    Clock([u32; 4]),
    /// What this output holds before it is written; of the outputs' shape.
    Output(usize),
}

impl<'a, T> Operand<'a, T> {
    fn elements(&self) -> &'a [T] {
        match self {
            Self::Real(data) => data,
            Self::Clock(_) | Self::Output(_) => &[],
        }
    }

    fn clock(&self) -> [u32; 4] {
        match self {
            Self::Clock(clock) => *clock,
            Self::Real(_) | Self::Output(_) => [0; 4],
        }
    }
}

impl Kernel {
    /// Evaluates the tape; `outputs` are whole tensors.
    pub fn run<T: Real>(&self, operands: &[Operand<'_, T>], mut outputs: Vec<&mut [T]>) {
        let scalars = self.scalars(operands);
        let blocks = self.blocks();
        let per_task = (TASK / (self.cost * self.block_elements())).clamp(1, blocks);
        let mut tasks = Vec::with_capacity(blocks.div_ceil(per_task));
        let mut first = 0;
        while first < blocks {
            let last = (first + per_task).min(blocks);
            let length = self.start(last) - self.start(first);
            let mut parts = Vec::with_capacity(outputs.len());
            for output in &mut outputs {
                let (part, rest) = std::mem::take(output).split_at_mut(length);
                *output = rest;
                parts.push(part);
            }
            tasks.push((first..last, parts));
            first = last;
        }
        let run = |(blocks, outputs)| {
            let mut registers = Registers::new(self);
            super::real::wide(Evaluation {
                kernel: self,
                operands,
                scalars: &scalars,
                registers: &mut registers,
                blocks,
                outputs,
            });
        };
        if tasks.len() == 1 {
            tasks.into_iter().for_each(run);
        } else {
            tasks.into_par_iter().for_each(run);
        }
    }
}
