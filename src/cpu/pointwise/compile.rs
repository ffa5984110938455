//! A tape, prepared for given shapes: merged axes, classes of terms, instructions over registers.

use std::collections::HashMap;

use super::super::Real;
use super::super::draw::{self, Lattice};
use super::{BLOCK, Operand};
use crate::graph::expr::{Binary, RandomDraw, Term, Unary};
use crate::graph::{Shape, Tape};

/// Along what a term varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing: one number for each run.
    Uniform,
    /// One number for each row.
    Row,
    /// One number for each column.
    Column,
    /// One number for each element.
    Full,
}

impl Class {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Uniform, class) | (class, Self::Uniform) => class,
            (a, b) if a == b => a,
            _ => Self::Full,
        }
    }
}

/// How an operand is addressed from rows and columns.
#[derive(Clone, Debug)]
pub struct OperandAccess {
    /// Stride of each outer axis.
    pub outer: Vec<usize>,
    /// Whether it moves along the row.
    pub inner: bool,
    /// Along what it varies.
    pub class: Class,
    /// Whether the elements of a block are contiguous in the operand, whatever the block.
    pub dense: bool,
}

/// An argument of an instruction.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A number of this run.
    Scalar(usize),
    /// A register.
    Register(usize),
    /// A range of an operand: slot and class.
    Direct(usize, Class),
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Code {
    /// Elements of an operand that are not contiguous.
    Load { slot: usize, access: usize },
    /// Indices along the last axis.
    Column,
    /// Random numbers, one for each element.
    Draw(RandomDraw),
    /// Random numbers, one for each element, at steps of their own.
    DrawAt(RandomDraw, Argument),
    /// Random numbers, one for each sample.
    DrawPerSample(RandomDraw, usize),
    /// A row or column class spread over all elements.
    Spread(Argument, Class),
    /// A function of one argument.
    Unary(Unary, Argument),
    /// A function of two arguments.
    Binary(Binary, Argument, Argument),
    /// A choice.
    Select(Argument, Argument, Argument),
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// What it does.
    pub code: Code,
    /// How many numbers it computes.
    pub class: Class,
    /// The register it writes.
    pub target: usize,
}

/// A tape prepared for given shapes.
#[derive(Clone, Debug)]
pub struct Kernel {
    tape: Tape,
    batch: usize,
    /// The length of each operand's last axis.
    widths: Vec<usize>,
    uniform: Vec<bool>,
    /// Lengths of the merged axes but the last.
    pub(super) outer: Vec<usize>,
    /// Product of `outer`.
    pub(super) rows: usize,
    /// Length of the last merged axis.
    pub(super) columns: usize,
    pub(super) lattice: Lattice,
    pub(super) accesses: Vec<OperandAccess>,
    pub(super) instructions: Vec<Instruction>,
    pub(super) results: Vec<Argument>,
    pub(super) registers: usize,
    /// Operations for each element, roughly.
    pub(super) cost: usize,
}

impl Kernel {
    /// Prepares `tape` for outputs of `shape` and operands of `inputs`.
    pub fn new(tape: &Tape, inputs: &[Shape], shape: &Shape, batch: usize) -> Self {
        let mut addressed: Vec<Vec<usize>> = Vec::new();
        let mut access_of: HashMap<usize, usize> = HashMap::new();
        for (index, term) in tape.terms.iter().enumerate() {
            let strides = match term {
                Term::Input(slot) => strides(&inputs[*slot], shape, batch),
                Term::Column => axis_strides(shape, shape.rank().checked_sub(1)),
                Term::Random(draw) if draw.per_sample => axis_strides(shape, shape.batch_axis()),
                _ => continue,
            };
            access_of.insert(index, addressed.len());
            addressed.push(strides);
        }
        let lengths: Vec<usize> = shape.dims().iter().map(|dim| dim.at(batch)).collect();
        let (mut outer, merged) = merge(&lengths, &addressed);
        let columns = outer.pop().unwrap_or(1);
        let rows: usize = outer.iter().product();
        let accesses = merged.into_iter().map(|strides| access(strides, &outer, rows, columns)).collect();
        let lattice = Lattice { samples: shape.batch_axis().map(|_| batch), inner: shape.inner_elements().max(1) };
        let kernel = Self {
            tape: tape.clone(),
            batch,
            widths: inputs.iter().map(|shape| shape.dims().last().map_or(1, |dim| dim.at(batch))).collect(),
            uniform: Vec::new(),
            outer,
            rows,
            columns,
            lattice,
            accesses,
            instructions: Vec::new(),
            results: Vec::new(),
            registers: 0,
            cost: 1,
        };
        kernel.compile(&access_of)
    }

    fn compile(mut self, access_of: &HashMap<usize, usize>) -> Self {
        let tape = self.tape.clone();
        let mut classes: Vec<Class> = Vec::new();
        let mut code = Emitter::default();
        for (index, term) in tape.terms.iter().enumerate() {
            let access = access_of.get(&index).map(|access| (*access, &self.accesses[*access]));
            let class = match (term, access) {
                (_, Some((_, access))) => access.class,
                (Term::Random(_) | Term::RandomAt(..), None) => Class::Full,
                _ => term.arguments().iter().fold(Class::Uniform, |class, a| class.join(classes[*a])),
            };
            classes.push(class);
            if class == Class::Uniform {
                code.arguments.push(Argument::Scalar(index));
                continue;
            }
            let mut argument = |a: &usize| code.argument(*a, classes[*a], class);
            let new = match (term, access) {
                (Term::Input(slot), Some((_, access))) if access.dense => {
                    code.arguments.push(Argument::Direct(*slot, class));
                    continue;
                }
                (Term::Input(slot), Some((access, _))) => Code::Load { slot: *slot, access },
                (Term::Random(draw), Some((access, _))) => Code::DrawPerSample(*draw, access),
                (Term::Random(draw), None) => Code::Draw(*draw),
                (Term::RandomAt(draw, a), _) => Code::DrawAt(*draw, argument(a)),
                (Term::Column, _) => Code::Column,
                (Term::Unary(op, a), _) => Code::Unary(*op, argument(a)),
                (Term::Binary(op, a, b), _) => Code::Binary(*op, argument(a), argument(b)),
                (Term::Select(a, b, c), _) => Code::Select(argument(a), argument(b), argument(c)),
                _ => unreachable!("constants, steps and tables are uniform"),
            };
            if class == Class::Full || self.rows == 1 || self.columns < 8 {
                self.cost += cost(&new);
            }
            let target = code.emit(new, class);
            code.arguments.push(target);
        }
        self.results =
            tape.outputs.iter().map(|output| code.argument(*output, classes[*output], Class::Full)).collect();
        self.uniform = classes.iter().map(|class| *class == Class::Uniform).collect();
        (self.instructions, self.registers) = allocate(code.instructions, &mut self.results);
        self
    }

    /// The terms that are the same for all elements, in the order of the tape; other terms are 0.
    pub(super) fn scalars<T: Real>(&self, operands: &[Operand<'_, T>]) -> Vec<T> {
        let mut values: Vec<T> = Vec::with_capacity(self.tape.terms.len());
        for (term, uniform) in self.tape.terms.iter().zip(&self.uniform) {
            values.push(if *uniform { self.scalar(term, operands, &values) } else { T::ZERO });
        }
        values
    }

    fn scalar<T: Real>(&self, term: &Term<usize>, operands: &[Operand<'_, T>], values: &[T]) -> T {
        let step = |clock: usize| operands[clock].clock()[0];
        match term {
            Term::Input(slot) => operands[*slot].elements()[0],
            Term::Constant(value) => T::from_f64(value.0),
            Term::Batch => T::from_f64(self.batch as f64),
            Term::Column => T::ZERO,
            Term::Step(clock) => T::from_f64(f64::from(step(*clock))),
            Term::Table { table, clock, column } => {
                let (columns, table) = (self.widths[*table], operands[*table].elements());
                let row = (step(*clock) as usize).min((table.len() / columns).saturating_sub(1));
                table[row * columns + column]
            }
            Term::Random(draw) => {
                let mut out = [T::ZERO];
                let lattice = Lattice { inner: 1, ..self.lattice };
                draw::fill(draw, operands[draw.clock].clock(), lattice, 0, &mut out);
                out[0]
            }
            Term::RandomAt(..) => unreachable!("there is one for each element"),
            Term::Unary(op, a) => {
                let mut out = [T::ZERO];
                T::unary(*op, &[values[*a]], &mut out);
                out[0]
            }
            Term::Binary(op, a, b) => binary(*op, values[*a], values[*b]),
            Term::Select(a, b, c) => values[if values[*a] == T::ZERO { *c } else { *b }],
        }
    }

    /// Elements of a block, the last of a row or of all apart.
    pub(super) fn block_elements(&self) -> usize {
        if self.columns >= BLOCK { BLOCK } else { BLOCK / self.columns * self.columns }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        if self.columns >= BLOCK {
            self.rows * self.columns.div_ceil(BLOCK)
        } else {
            self.rows.div_ceil(BLOCK / self.columns)
        }
    }

    /// The first element of a block; the number of elements for the block after the last.
    pub(super) fn start(&self, block: usize) -> usize {
        if self.columns >= BLOCK {
            let pieces = self.columns.div_ceil(BLOCK);
            block / pieces * self.columns + block % pieces * BLOCK
        } else {
            (block * (BLOCK / self.columns)).min(self.rows) * self.columns
        }
    }
}

/// `op(a, b)` of one pair.
#[inline(always)]
pub fn binary<T: Real>(op: Binary, a: T, b: T) -> T {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.larger(b),
        Binary::Min => a.smaller(b),
        Binary::Less => {
            if a < b {
                T::ONE
            } else {
                T::ZERO
            }
        }
    }
}

/// The stride of each axis of `shape` in an input, 0 where it is broadcast.
fn strides(input: &Shape, shape: &Shape, batch: usize) -> Vec<usize> {
    let padded = input.padded_to(shape.rank());
    let mut stride = 1;
    let mut strides = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        let length = padded.dims()[axis].at(batch);
        if length != 1 {
            strides[axis] = stride;
        }
        stride *= length;
    }
    strides
}

fn axis_strides(shape: &Shape, axis: Option<usize>) -> Vec<usize> {
    (0..shape.rank()).map(|i| usize::from(Some(i) == axis)).collect()
}

/// Leaves out axes of length 1 and merges adjacent ones along which every operand moves as along one.
fn merge(lengths: &[usize], addressed: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut merged: Vec<usize> = Vec::new();
    let mut strides: Vec<Vec<usize>> = vec![Vec::new(); addressed.len()];
    for (axis, length) in lengths.iter().enumerate().filter(|(_, length)| **length != 1) {
        let alike = strides.iter().zip(addressed).all(|(s, a)| s.last().is_some_and(|s| *s == a[axis] * length));
        // Without operands there is nothing that could differ.
        if !merged.is_empty() && alike {
            *merged.last_mut().expect("not empty") *= length;
            strides.iter_mut().zip(addressed).for_each(|(s, a)| *s.last_mut().expect("not empty") = a[axis]);
        } else {
            merged.push(*length);
            strides.iter_mut().zip(addressed).for_each(|(s, a)| s.push(a[axis]));
        }
    }
    (merged, strides)
}

fn access(mut strides: Vec<usize>, outer: &[usize], rows: usize, columns: usize) -> OperandAccess {
    let inner = strides.pop().unwrap_or(0) != 0;
    let moves = strides.iter().any(|stride| *stride != 0);
    let class = match (moves, inner) {
        (false, false) => Class::Uniform,
        (true, false) => Class::Row,
        (false, true) if rows > 1 => Class::Column,
        _ => Class::Full,
    };
    let mut natural = if inner { columns } else { 1 };
    let mut dense = true;
    for (stride, length) in strides.iter().zip(outer).rev() {
        dense &= *stride == natural;
        natural *= length;
    }
    OperandAccess { outer: strides, inner, dense: dense || class == Class::Column, class }
}

/// Roughly how many additions an instruction costs for each element.
fn cost(code: &Code) -> usize {
    match code {
        Code::Draw(_) | Code::DrawAt(..) | Code::DrawPerSample(..) => 40,
        Code::Unary(Unary::Neg | Unary::Abs | Unary::IsFinite | Unary::Detached, _) => 1,
        Code::Unary(..) => 12,
        Code::Binary(Binary::Div, ..) => 3,
        _ => 1,
    }
}

#[derive(Default)]
struct Emitter {
    /// Targets are virtual: the index of the instruction.
    instructions: Vec<Instruction>,
    /// Where each term of the tape is to be found.
    arguments: Vec<Argument>,
    spread: HashMap<usize, Argument>,
}

impl Emitter {
    fn emit(&mut self, code: Code, class: Class) -> Argument {
        let target = self.instructions.len();
        self.instructions.push(Instruction { code, class, target });
        Argument::Register(target)
    }

    /// Term `index` of class `from` as an argument of an instruction of class `to`.
    fn argument(&mut self, index: usize, from: Class, to: Class) -> Argument {
        let argument = self.arguments[index];
        if from == to || from == Class::Uniform {
            return argument;
        }
        if let Some(known) = self.spread.get(&index) {
            return *known;
        }
        let new = self.emit(Code::Spread(argument, from), Class::Full);
        self.spread.insert(index, new);
        new
    }
}

/// Gives virtual targets registers, which are used again after their last use.
fn allocate(mut instructions: Vec<Instruction>, results: &mut [Argument]) -> (Vec<Instruction>, usize) {
    let mut last_use: Vec<usize> = (0..instructions.len()).collect();
    for (index, instruction) in instructions.iter_mut().enumerate() {
        for argument in instruction.code.arguments() {
            if let Argument::Register(register) = argument {
                last_use[*register] = index;
            }
        }
    }
    for result in results.iter() {
        if let Argument::Register(register) = result {
            last_use[*register] = usize::MAX;
        }
    }
    let mut free: Vec<usize> = Vec::new();
    let mut count = 0;
    let mut place: Vec<usize> = Vec::with_capacity(instructions.len());
    for (index, instruction) in instructions.iter_mut().enumerate() {
        // Taken before the arguments are given back: a loop never writes what it reads.
        let register = free.pop().unwrap_or_else(|| {
            count += 1;
            count - 1
        });
        place.push(register);
        instruction.target = register;
        let mut ended: Vec<usize> = Vec::new();
        for argument in instruction.code.arguments() {
            if let Argument::Register(virtual_register) = argument {
                if last_use[*virtual_register] == index && !ended.contains(virtual_register) {
                    ended.push(*virtual_register);
                }
                *virtual_register = place[*virtual_register];
            }
        }
        free.extend(ended.into_iter().map(|ended| place[ended]));
        if last_use[index] == index {
            free.push(register);
        }
    }
    for result in results {
        if let Argument::Register(register) = result {
            *register = place[*register];
        }
    }
    (instructions, count)
}

impl Code {
    fn arguments(&mut self) -> Vec<&mut Argument> {
        match self {
            Self::Load { .. } | Self::Column | Self::Draw(_) | Self::DrawPerSample(..) => Vec::new(),
            Self::Spread(a, _) | Self::Unary(_, a) | Self::DrawAt(_, a) => vec![a],
            Self::Binary(_, a, b) => vec![a, b],
            Self::Select(a, b, c) => vec![a, b, c],
        }
    }
}
