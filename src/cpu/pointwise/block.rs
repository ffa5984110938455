//! The loops: instructions over one block after the other.

use std::ops::Range;

use super::super::draw;
use super::super::real::{Real, Wide};
use super::compile::{Argument, Class, Code, Instruction, Kernel, OperandAccess};
use super::{BLOCK, Operand};
use crate::graph::expr::Binary;

/// Room for the numbers of one block.
pub struct Registers<T>(Vec<Vec<T>>);

impl<T: Real> Registers<T> {
    pub fn new(kernel: &Kernel) -> Self {
        let elements = BLOCK.min(kernel.rows * kernel.columns);
        Self((0..kernel.registers).map(|_| vec![T::ZERO; elements]).collect())
    }
}

/// The evaluation of some blocks.
pub struct Evaluation<'a, T> {
    pub kernel: &'a Kernel,
    pub operands: &'a [Operand<'a, T>],
    pub scalars: &'a [T],
    pub registers: &'a mut Registers<T>,
    pub blocks: Range<usize>,
    pub outputs: Vec<&'a mut [T]>,
}

/// Which rows and columns a block covers: several whole rows, or a part of one.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    start: usize,
}

impl Block {
    fn count(&self, class: Class) -> usize {
        match class {
            Class::Uniform => 1,
            Class::Row => self.rows,
            Class::Column => self.columns,
            Class::Full => self.rows * self.columns,
        }
    }
}

/// An argument's numbers.
#[derive(Clone, Copy)]
enum View<'a, T> {
    One(T),
    Many(&'a [T]),
}

impl<T: Real> Wide for Evaluation<'_, T> {
    type Number = T;
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let first = self.kernel.start(self.blocks.start);
        for index in self.blocks.clone() {
            let start = self.kernel.start(index);
            let end = self.kernel.start(index + 1);
            let columns = self.kernel.columns;
            let (row, column) = (start / columns, start % columns);
            let block = if columns >= BLOCK {
                Block { row, rows: 1, column, columns: end - start, start }
            } else {
                Block { row, rows: (end - start) / columns, column, columns, start }
            };
            for instruction in &self.kernel.instructions {
                self.execute(instruction, block);
            }
            for output in 0..self.outputs.len() {
                let mut out = std::mem::take(&mut self.outputs[output]);
                match self.view(self.kernel.results[output], block, Class::Full) {
                    View::One(x) => out[start - first..end - first].fill(x),
                    View::Many(x) => out[start - first..end - first].copy_from_slice(x),
                }
                std::mem::swap(&mut self.outputs[output], &mut out);
            }
        }
    }
}

impl<T: Real> Evaluation<'_, T> {
    #[inline(always)]
    fn view(&self, argument: Argument, block: Block, class: Class) -> View<'_, T> {
        match argument {
            Argument::Scalar(term) => View::One(self.scalars[term]),
            Argument::Register(register) => View::Many(&self.registers.0[register][..block.count(class)]),
            Argument::Direct(slot, class) => {
                let start = match class {
                    Class::Uniform => 0,
                    Class::Row => block.row,
                    Class::Column => block.column,
                    Class::Full => block.start,
                };
                match self.operands[slot] {
                    Operand::Output(output) => {
                        let start = start - self.kernel.start(self.blocks.start);
                        View::Many(&self.outputs[output][start..start + block.count(class)])
                    }
                    operand => View::Many(&operand.elements()[start..start + block.count(class)]),
                }
            }
        }
    }

    #[inline(always)]
    fn execute(&mut self, instruction: &Instruction, block: Block) {
        let class = instruction.class;
        let mut register = std::mem::take(&mut self.registers.0[instruction.target]);
        let out = &mut register[..block.count(class)];
        match &instruction.code {
            Code::Load { slot, access } => {
                let access = &self.kernel.accesses[*access];
                self.load(self.operands[*slot].elements(), access, block, out);
            }
            Code::Column => {
                for (i, out) in out.iter_mut().enumerate() {
                    // A row of columns, or, where the last axis is all there is, the elements themselves.
                    *out = T::from_f64((block.column + i) as f64);
                }
            }
            Code::Draw(draw) => {
                draw::fill(draw, self.operands[draw.clock].clock(), self.kernel.lattice, block.start, out);
            }
            Code::DrawAt(draw, step) => {
                let clock = self.operands[draw.clock].clock();
                let steps = self.view(*step, block, class);
                let step = |i: usize| match steps {
                    View::One(step) => step.to_f64() as u32,
                    View::Many(steps) => steps[i].to_f64() as u32,
                };
                draw::fill_at(draw, clock, self.kernel.lattice, block.start, step, out);
            }
            Code::DrawPerSample(draw, access) => {
                let access = &self.kernel.accesses[*access];
                let clock = self.operands[draw.clock].clock();
                let sample = |i: usize| {
                    let (row, column) =
                        if class == Class::Row { (i, 0) } else { (i / block.columns, i % block.columns) };
                    let along = if access.inner { block.column + column } else { 0 };
                    self.offset(access, block.row + row) + along
                };
                draw::fill_per_sample(draw, clock, sample, out);
            }
            Code::Spread(argument, from) => {
                if let View::Many(x) = self.view(*argument, block, *from) {
                    spread(x, *from, block.columns, out);
                }
            }
            Code::Unary(op, a) => match self.view(*a, block, class) {
                View::Many(x) => T::unary(*op, x, out),
                View::One(_) => unreachable!("a function of a uniform number is uniform"),
            },
            Code::Binary(op, a, b) => {
                binary(*op, self.view(*a, block, class), self.view(*b, block, class), out);
            }
            Code::Select(a, b, c) => {
                select(self.view(*a, block, class), self.view(*b, block, class), self.view(*c, block, class), out);
            }
        }
        self.registers.0[instruction.target] = register;
    }

    /// Where `row` starts in an operand.
    #[inline(always)]
    fn offset(&self, access: &OperandAccess, row: usize) -> usize {
        let mut rest = row;
        let mut offset = 0;
        for (length, stride) in self.kernel.outer.iter().zip(&access.outer).rev() {
            offset += rest % length * stride;
            rest /= length;
        }
        offset
    }

    /// One number of each row, or those of the block's columns.
    #[inline(always)]
    fn load(&self, data: &[T], access: &OperandAccess, block: Block, out: &mut [T]) {
        let (width, column) = if access.inner { (block.columns, block.column) } else { (1, 0) };
        let rows = out.len() / width;
        // Where a row starts takes divisions: they are done once for all rows along the innermost of the outer axes.
        let (length, stride) = match (self.kernel.outer.last(), access.outer.last()) {
            (Some(length), Some(stride)) => (*length, *stride),
            _ => (rows, 0),
        };
        let mut row = 0;
        while row < rows {
            let run = (length - (block.row + row) % length).min(rows - row);
            let start = self.offset(access, block.row + row) + column;
            let out = &mut out[row * width..(row + run) * width];
            if stride == 0 {
                repeat(&data[start..start + width], out);
            } else if stride == width {
                out.copy_from_slice(&data[start..start + run * width]);
            } else if width == 1 {
                let data = &data[start..];
                for (out, &x) in out.iter_mut().zip(data.iter().step_by(stride)) {
                    *out = x;
                }
            } else {
                for (out, x) in out.chunks_exact_mut(width).zip(data[start..].chunks(stride)) {
                    out.copy_from_slice(&x[..width]);
                }
            }
            row += run;
        }
    }
}

#[inline(always)]
fn spread<T: Real>(x: &[T], from: Class, columns: usize, out: &mut [T]) {
    if from == Class::Row {
        for (x, out) in x.iter().zip(out.chunks_exact_mut(columns)) {
            out.fill(*x);
        }
    } else {
        repeat(x, out);
    }
}

/// Fills `out` with copies of `x`, by copies of what is there already: each twice as long as the one before.
#[inline(always)]
fn repeat<T: Real>(x: &[T], out: &mut [T]) {
    if let [x] = x {
        return out.fill(*x);
    }
    out[..x.len()].copy_from_slice(x);
    let mut filled = x.len();
    while filled < out.len() {
        let more = filled.min(out.len() - filled);
        out.copy_within(..more, filled);
        filled += more;
    }
}

#[inline(always)]
fn binary<T: Real>(op: Binary, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
    match op {
        Binary::Add => zip(a, b, out, |a, b| a + b),
        Binary::Sub => zip(a, b, out, |a, b| a - b),
        Binary::Mul => zip(a, b, out, |a, b| a * b),
        Binary::Div => zip(a, b, out, |a, b| a / b),
        Binary::Max => zip(a, b, out, |a, b| a.larger(b)),
        Binary::Min => zip(a, b, out, |a, b| a.smaller(b)),
        Binary::Less => zip(a, b, out, |a, b| if a < b { T::ONE } else { T::ZERO }),
    }
}

#[inline(always)]
fn zip<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T], f: impl Fn(T, T) -> T) {
    match (a, b) {
        (View::Many(a), View::Many(b)) => {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = f(a, b);
            }
        }
        (View::Many(a), View::One(b)) => {
            for (out, &a) in out.iter_mut().zip(a) {
                *out = f(a, b);
            }
        }
        (View::One(a), View::Many(b)) => {
            for (out, &b) in out.iter_mut().zip(b) {
                *out = f(a, b);
            }
        }
        (View::One(a), View::One(b)) => out.fill(f(a, b)),
    }
}

#[inline(always)]
fn select<T: Real>(condition: View<'_, T>, yes: View<'_, T>, no: View<'_, T>, out: &mut [T]) {
    let choose = |condition: T, yes: T, no: T| if condition == T::ZERO { no } else { yes };
    let condition = match condition {
        View::Many(condition) => condition,
        View::One(condition) => return copy(if condition == T::ZERO { no } else { yes }, out),
    };
    match (yes, no) {
        (View::Many(yes), View::Many(no)) => {
            for (((out, &condition), &yes), &no) in out.iter_mut().zip(condition).zip(yes).zip(no) {
                *out = choose(condition, yes, no);
            }
        }
        (View::Many(yes), View::One(no)) => {
            for ((out, &condition), &yes) in out.iter_mut().zip(condition).zip(yes) {
                *out = choose(condition, yes, no);
            }
        }
        (View::One(yes), View::Many(no)) => {
            for ((out, &condition), &no) in out.iter_mut().zip(condition).zip(no) {
                *out = choose(condition, yes, no);
            }
        }
        (View::One(yes), View::One(no)) => {
            for (out, &condition) in out.iter_mut().zip(condition) {
                *out = choose(condition, yes, no);
            }
        }
    }
}

#[inline(always)]
fn copy<T: Real>(from: View<'_, T>, out: &mut [T]) {
    match from {
        View::One(x) => out.fill(x),
        View::Many(x) => out.copy_from_slice(x),
    }
}
