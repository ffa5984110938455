//! Pointwise expressions as WGSL: the hooks of a kernel.

use std::collections::HashMap;
use std::fmt::Write;

use super::iteration::{Indexing, Iteration};
use super::tensors::Bind;
use crate::graph::expr::{Binary, Distribution, Term, Unary};
use crate::graph::{DType, Tape};
use crate::kernels::{Binding, Element, Hooks, in_parts};
use crate::plan::{Access, Constant, Size};

/// Where a term's input comes from.
#[derive(Clone, Debug)]
pub(super) enum HookInput {
    /// Operand number so and so of the iteration, bound to this name.
    Operand { name: String, operand: usize },
    /// What the matrix product has just computed: `acc`.
    Accumulator,
    /// A clock or a table, bound to this name; `rows` and `columns` of a table.
    Whole { name: String, rows: u64, columns: u64 },
}

/// An output of the tape that is stored.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Which output of the tape, or the raw accumulator.
    pub output: Option<usize>,
    /// The binding that it goes to.
    pub name: String,
}

/// What is bound under a name: a tensor, or the parts of one.
#[derive(Clone, Debug)]
pub(super) struct HookBinding {
    pub name: String,
    pub dtype: DType,
    /// Scalars and values constant along rows are read float by float.
    pub vector: bool,
    pub written: bool,
    /// The tensor, or those of all parts.
    pub binds: Vec<Bind>,
    /// Where its columns lie in several tensors: how many each of them has. Else nothing.
    pub parts: Vec<u64>,
}

impl HookBinding {
    /// Whether it moves on where columns are cut into pieces.
    pub fn moves(&self) -> bool {
        self.vector && self.parts.is_empty()
    }
}

/// The finished hooks and the constants that they add.
pub(super) struct Emitted {
    pub hooks: Hooks,
    pub constants: Vec<Constant>,
}

pub(super) struct Emitter<'a> {
    pub tape: &'a Tape,
    pub view: &'a Iteration,
    pub sources: &'a [HookInput],
    pub targets: &'a [Target],
    pub slots: &'a [HookBinding],
    /// For a reduction: the outputs that the prologue hands over as `value_0`, `value_1`, ….
    pub handed: &'a [usize],
}

impl Emitter<'_> {
    pub fn emit(&self) -> Emitted {
        let mut text = Text { constants: Vec::new(), roles: Vec::new(), words: Vec::new(), body: String::new() };
        self.groups(&mut text);
        let mut vector = Vec::new();
        let mut indices = HashMap::new();
        for (number, term) in self.tape.terms.iter().enumerate() {
            let (expression, is_vector) = self.term(number, &vector, &mut text, &mut indices);
            // Plain numbers are written where they are used.
            if !matches!(term, Term::Constant(value) if is_plain(value.0)) {
                let _ = writeln!(text.body, "let v{number} = {expression};");
            }
            vector.push(is_vector);
        }
        for target in self.targets {
            let value = target.output.map_or_else(|| "acc".to_owned(), |o| self.wide(self.tape.outputs[o], &vector));
            let index = if self.lies_in_parts(&target.name) { "row, col".to_owned() } else { self.dense_index() };
            let _ = writeln!(text.body, "store_{}({index}, valid, {value});", target.name);
        }
        for (number, output) in self.handed.iter().enumerate() {
            let _ = writeln!(text.body, "let value_{number} = {};", self.wide(self.tape.outputs[*output], &vector));
        }
        let aligned = self.view.aligned();
        let mut bindings = Vec::new();
        let mut declarations = String::new();
        for slot in self.slots {
            let access = if slot.written { Access::ReadWrite } else { Access::Read };
            let element = match slot.dtype {
                DType::U32 => Element::U32,
                _ if slot.vector && aligned => Element::Quad,
                _ => Element::F32,
            };
            if slot.parts.is_empty() {
                bindings.push(Binding { name: slot.name.clone(), element, access });
                continue;
            }
            let (mut starts, mut start) = (Vec::new(), 0);
            for (i, columns) in slot.parts.iter().enumerate() {
                if i > 0 {
                    starts.push(text.word(Role::Part(bindings.len()), Size::fixed(start)));
                }
                let element = Element::of_row(*columns);
                bindings.push(Binding { name: format!("{}_{i}", slot.name), element, access });
                start += columns;
            }
            declarations += &in_parts(&slot.name, &starts, access);
        }
        let random = self.tape.terms.iter().any(Term::is_random);
        let hooks = Hooks {
            key: format!("{} terms {} stores", self.tape.terms.len(), self.targets.len()),
            constants: text.constants,
            bindings,
            declarations: if random { "#import random\n" } else { "#import numerics\n" }.to_owned() + &declarations,
            body: text.body,
        };
        Emitted { hooks, constants: text.words }
    }

    /// The indices `g0`, `g1`, … of the lead groups, if anything needs them apart.
    fn groups(&self, text: &mut Text) {
        let general = self.view.operands.iter().any(|access| matches!(access, Indexing::General { .. }));
        let random = self.tape.terms.iter().any(Term::is_random);
        if !general && !random {
            return;
        }
        let lead = &self.view.lead;
        let mut rest = "row".to_owned();
        for group in (0..lead.len()).rev() {
            if group == 0 {
                let _ = writeln!(text.body, "let g0 = {rest};");
            } else {
                let length = text.word(Role::Length(group), lead[group]);
                let _ = writeln!(text.body, "let g{group} = {rest} % {length};\nlet q{group} = {rest} / {length};");
                rest = format!("q{group}");
            }
        }
    }

    fn dense_index(&self) -> String {
        if self.view.lead.is_empty() { "col" } else { "row * constants.columns + col" }.to_owned()
    }

    /// Whether the columns of what is bound under this name lie in several tensors.
    fn lies_in_parts(&self, name: &str) -> bool {
        self.slots.iter().any(|slot| slot.name == name && !slot.parts.is_empty())
    }

    /// In which row of an operand an element lies, where each of its rows is a row of the view.
    fn row_of(&self, operand: usize, access: &Indexing, text: &mut Text) -> String {
        let Indexing::General { strides, .. } = access else {
            return if *access == Indexing::Dense { "row" } else { "0u" }.to_owned();
        };
        let columns = self.view.columns.fixed;
        let groups = strides.iter().enumerate().filter(|(_, stride)| **stride != Size::fixed(0));
        let parts: Vec<String> = groups
            .map(|(group, stride)| {
                let rows = Size { fixed: stride.fixed / columns, per_sample: stride.per_sample / columns };
                format!("g{group} * {}", text.word(Role::Stride(operand, group), rows))
            })
            .collect();
        parts.join(" + ")
    }

    fn index(&self, operand: usize, access: &Indexing, text: &mut Text) -> String {
        match access {
            Indexing::Dense => self.dense_index(),
            Indexing::Columns => "col".to_owned(),
            Indexing::Rows => "row".to_owned(),
            Indexing::Scalar => "0u".to_owned(),
            Indexing::General { strides, columns } => {
                let mut parts: Vec<String> = strides
                    .iter()
                    .enumerate()
                    .filter(|(_, stride)| **stride != Size::fixed(0))
                    .map(|(group, stride)| format!("g{group} * {}", text.word(Role::Stride(operand, group), *stride)))
                    .collect();
                if *columns {
                    parts.push("col".to_owned());
                }
                parts.join(" + ")
            }
        }
    }

    /// The WGSL of a term, and whether it is a `vec4<f32>` rather than an `f32`.
    fn term(
        &self,
        number: usize,
        vector: &[bool],
        text: &mut Text,
        indices: &mut HashMap<usize, String>,
    ) -> (String, bool) {
        match &self.tape.terms[number] {
            Term::Constant(value) if is_plain(value.0) => (String::new(), false),
            Term::Constant(value) => (text.constant(Role::Number(number), Constant::F32(value.0 as f32)), false),
            Term::Batch => (format!("f32({})", text.constant(Role::Batch, Constant::Batch)), false),
            Term::Column => ("vec4<f32>(vec4<u32>(col, col + 1u, col + 2u, col + 3u))".to_owned(), true),
            Term::Input(slot) => match &self.sources[*slot] {
                HookInput::Accumulator => ("acc".to_owned(), true),
                HookInput::Operand { name, operand } => {
                    let access = &self.view.operands[*operand];
                    let in_parts = self.lies_in_parts(name);
                    let index = indices.entry(*operand).or_insert_with(|| match in_parts {
                        true => format!("{}, col", self.row_of(*operand, access, text)),
                        false => self.index(*operand, access, text),
                    });
                    let index = index.clone();
                    if access.along_columns() {
                        (format!("load_{name}({index}, valid)"), true)
                    } else {
                        (format!("{name}[{index}]"), false)
                    }
                }
                HookInput::Whole { name, .. } => (format!("{name}[0]"), false),
            },
            Term::Step(clock) => (format!("f32({}[0])", self.name(*clock)), false),
            Term::Table { table, clock, column } => {
                let HookInput::Whole { rows, columns, .. } = self.sources[*table] else {
                    unreachable!("a table is bound whole")
                };
                let last = text.word(Role::LastRow(*table), Size::fixed(rows - 1));
                let columns = text.word(Role::Columns(*table), Size::fixed(columns));
                let (table, clock) = (self.name(*table), self.name(*clock));
                (format!("{table}[min({clock}[0], {last}) * {columns} + {column}u]"), false)
            }
            Term::Random(draw) => self.random(draw, None, text),
            Term::RandomAt(draw, step) => self.random(draw, Some((self.value(*step), vector[*step])), text),
            Term::Unary(op, a) => {
                let wide = vector[*a];
                let x = self.value(*a);
                let suffix = if wide { "_4" } else { "_1" };
                let call = |name: &str| format!("{name}{suffix}({x})");
                let expression = match op {
                    Unary::Neg => format!("-{x}"),
                    Unary::Abs => format!("abs({x})"),
                    Unary::Exp => call("exp"),
                    Unary::Expm1 => call("expm1"),
                    Unary::Ln => call("log"),
                    Unary::Log1p => call("log1p"),
                    Unary::Sqrt => format!("sqrt({x})"),
                    Unary::Sin => format!("sin_turn{suffix}(fract({x} * 0.15915494309189535))"),
                    Unary::Cos => format!("cos_turn{suffix}(fract({x} * 0.15915494309189535))"),
                    Unary::Tanh => call("tanh"),
                    Unary::Sigmoid => call("sigmoid"),
                    Unary::Softplus => call("softplus"),
                    Unary::IsFinite => call("is_finite"),
                    Unary::Detached => x.clone(),
                };
                (expression, wide)
            }
            Term::Binary(op, a, b) => {
                let wide = vector[*a] || vector[*b];
                let (x, y) = (self.value(*a), self.value(*b));
                let (wx, wy) =
                    if wide { (self.wide(*a, vector), self.wide(*b, vector)) } else { (x.clone(), y.clone()) };
                let expression = match op {
                    Binary::Add => format!("{x} + {y}"),
                    Binary::Sub => format!("{x} - {y}"),
                    Binary::Mul => format!("{x} * {y}"),
                    Binary::Div => format!("{x} / {y}"),
                    Binary::Max => format!("max({wx}, {wy})"),
                    Binary::Min => format!("min({wx}, {wy})"),
                    Binary::Less if wide => format!("select(vec4<f32>(0.0), vec4<f32>(1.0), {wx} < {wy})"),
                    Binary::Less => format!("select(0.0, 1.0, {x} < {y})"),
                };
                (expression, wide)
            }
            Term::Select(condition, yes, no) => {
                let wide = vector[*condition] || vector[*yes] || vector[*no];
                let part = |term: usize| if wide { self.wide(term, vector) } else { self.value(term) };
                let zero = if wide { "vec4<f32>(0.0)" } else { "0.0" };
                (format!("select({}, {}, {} != {zero})", part(*no), part(*yes), part(*condition)), wide)
            }
        }
    }

    /// A draw at the clock's step, or at a step of its own: its text, and whether there is one for each lane.
    fn random(
        &self,
        draw: &crate::graph::expr::RandomDraw,
        step: Option<(String, bool)>,
        text: &mut Text,
    ) -> (String, bool) {
        let clock = self.name(draw.clock);
        let function = match draw.distribution {
            Distribution::Uniform => "uniform4",
            Distribution::Normal => "normal4",
        };
        // A value without a batch is sample 0, wherever the batch starts.
        let (sample, base) = match self.view.batch_group {
            Some(group) => (
                format!("g{group}"),
                format!("{clock}[1] + {}", text.constant(Role::FirstSample, Constant::FirstSample)),
            ),
            None => ("0u".to_owned(), "0u".to_owned()),
        };
        let own_step = |lane: usize| match &step {
            None => format!("{clock}[0]"),
            Some((step, false)) => format!("u32({step})"),
            Some((step, true)) => format!("u32({step}[{lane}])"),
        };
        let call = |lane: usize, quad: &str| {
            let counter = format!("vec4<u32>({}, {base}, {clock}[2], {clock}[3])", own_step(lane));
            format!("{function}({counter}, {sample}, {quad}, {}u)", draw.stream)
        };
        if draw.per_sample {
            return (format!("{}.x", call(0, "0u")), false);
        }
        // The element's number within the sample: the lead groups but the batch, then the columns.
        let mut element = "col".to_owned();
        let mut stride = self.view.columns.fixed;
        let mut aligned = !matches!(step, Some((_, true)));
        for (group, length) in self.view.lead.iter().enumerate().rev() {
            if Some(group) == self.view.batch_group {
                continue;
            }
            aligned &= stride.is_multiple_of(4);
            let word = text.word(Role::Step(group), Size::fixed(stride));
            element = format!("{element} + g{group} * {word}");
            stride *= length.fixed;
        }
        if aligned {
            return (call(0, &format!("(({element}) >> 2u)")), true);
        }
        let lane = |lane: usize| {
            let place = format!("({element} + {lane}u)");
            format!("{}[{place} & 3u]", call(lane, &format!("({place} >> 2u)")))
        };
        (format!("vec4<f32>({}, {}, {}, {})", lane(0), lane(1), lane(2), lane(3)), true)
    }

    fn name(&self, slot: usize) -> &str {
        match &self.sources[slot] {
            HookInput::Operand { name, .. } | HookInput::Whole { name, .. } => name,
            HookInput::Accumulator => "acc",
        }
    }

    fn value(&self, term: usize) -> String {
        match &self.tape.terms[term] {
            Term::Constant(value) if is_plain(value.0) => float(value.0),
            _ => format!("v{term}"),
        }
    }

    fn wide(&self, term: usize, vector: &[bool]) -> String {
        if vector[term] { self.value(term) } else { format!("vec4<f32>({})", self.value(term)) }
    }
}

/// What a word of constants is for. Words are shared by what they are for, not by what they are, so that texts do not
/// depend on sizes that happen to be equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The length of a lead group.
    Length(usize),
    /// What an operand moves by along a lead group.
    Stride(usize, usize),
    /// Elements of a sample along a lead group.
    Step(usize),
    /// The last row of a table in this slot.
    LastRow(usize),
    /// The columns of a table in this slot.
    Columns(usize),
    /// A number of this term.
    Number(usize),
    /// The first column of the part that this binding holds.
    Part(usize),
    Batch,
    FirstSample,
}

struct Text {
    constants: Vec<String>,
    roles: Vec<Role>,
    words: Vec<Constant>,
    body: String,
}

impl Text {
    fn word(&mut self, role: Role, size: Size) -> String {
        self.constant(role, Constant::U32(size))
    }

    /// A word of constants, shared where the same is asked for again.
    fn constant(&mut self, role: Role, word: Constant) -> String {
        let number = self.roles.iter().position(|known| *known == role).unwrap_or_else(|| {
            let kind = if matches!(word, Constant::F32(_)) { "f32" } else { "u32" };
            self.words.push(word);
            self.roles.push(role);
            self.constants.push(format!("h{}: {kind}", self.words.len() - 1));
            self.words.len() - 1
        });
        format!("constants.h{number}")
    }
}

/// Whether a number is part of a formula rather than a size or a setting, which differ where the formula is the same:
/// it is written into the text then, not into the constants.
fn is_plain(value: f64) -> bool {
    value.abs() <= 4.0 && (value * 4.0).fract() == 0.0
}

/// A constant of the tape that no finite f32 is near, if there is one: shaders may take it for anything.
pub(super) fn unfit_constant(tape: &Tape) -> Option<f64> {
    tape.terms.iter().find_map(|term| match term {
        Term::Constant(value) if !(value.0 as f32).is_finite() => Some(value.0),
        _ => None,
    })
}

/// A float that WGSL reads back as the same f32.
fn float(value: f64) -> String {
    let single = value as f32;
    if single == 0.0 {
        return "0.0".to_owned();
    }
    let text = format!("{single:e}");
    let text = if text.contains('.') { text } else { text.replace('e', ".0e") };
    if single < 0.0 { format!("({text})") } else { text }
}
