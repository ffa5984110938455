//! Pointwise expressions: trees over the elements of a node's inputs.
//!
//! The same tree is evaluated in f64 on the host, in f32 and f64 by the CPU executor, and written as WGSL.

use std::collections::HashMap;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A float compared and hashed by its bits, so that expressions can be keys.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Constant(pub f64);

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Constant {}

impl std::hash::Hash for Constant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Functions of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unary {
    /// −x
    Neg,
    /// |x|
    Abs,
    /// eˣ
    Exp,
    /// eˣ − 1 without cancellation near 0
    Expm1,
    /// Natural logarithm
    Ln,
    /// ln(1 + x) without cancellation near 0
    Log1p,
    /// Square root
    Sqrt,
    /// Sine
    Sin,
    /// Cosine
    Cos,
    /// Hyperbolic tangent
    Tanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// ln(1 + eˣ)
    Softplus,
    /// 1 if x is neither infinite nor NaN, else 0; a test of bits, which fast math cannot remove
    IsFinite,
    /// x, which derivatives take for a constant
    Detached,
}

/// Functions of two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binary {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// The larger
    Max,
    /// The smaller
    Min,
    /// 1 if a < b, else 0
    Less,
}

/// What a random number is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Uniform on (0, 1).
    Uniform,
    /// Standard normal.
    Normal,
}

/// A counter-based random draw. Its value depends on the seed, the clock's step, the stream and the place only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RandomDraw {
    /// Which input is the clock.
    pub clock: usize,
    /// Hash of the draw's name: [`random::stream`](super::random::stream).
    pub stream: u32,
    /// Uniform or normal.
    pub distribution: Distribution,
    /// One number for the whole sample (its element 0) rather than one for each element.
    pub per_sample: bool,
}

/// One term of an expression over arguments of type `C`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term<C> {
    /// The element of this input.
    Input(usize),
    /// A number.
    Constant(Constant),
    /// The number of samples in the batch.
    Batch,
    /// The index along the last axis.
    Column,
    /// The step of the clock in this input.
    Step(usize),
    /// `table[clock.step, column]`.
    Table {
        /// The input that holds the table, shape [rows, columns].
        table: usize,
        /// The input that holds the clock.
        clock: usize,
        /// Which column.
        column: usize,
    },
    /// A random number.
    Random(RandomDraw),
    /// A random number of each element with the argument, a whole number from 0 to 2^24, in the place of the clock's
    /// step.
    RandomAt(RandomDraw, C),
    /// A function of one argument.
    Unary(Unary, C),
    /// A function of two arguments.
    Binary(Binary, C, C),
    /// The second argument where the first is not 0, else the third.
    Select(C, C, C),
}

impl<C: Clone> Term<C> {
    /// The arguments.
    pub fn arguments(&self) -> Vec<C> {
        match self {
            Self::Unary(_, a) | Self::RandomAt(_, a) => vec![a.clone()],
            Self::Binary(_, a, b) => vec![a.clone(), b.clone()],
            Self::Select(a, b, c) => vec![a.clone(), b.clone(), c.clone()],
            _ => Vec::new(),
        }
    }

    /// Whether it is a random number.
    pub fn is_random(&self) -> bool {
        matches!(self, Self::Random(_) | Self::RandomAt(..))
    }

    /// The input that it looks up as a table.
    pub fn table(&self) -> Option<usize> {
        match self {
            Self::Table { table, .. } => Some(*table),
            _ => None,
        }
    }

    /// The same term over other arguments.
    pub fn map<D>(&self, mut argument: impl FnMut(&C) -> D) -> Term<D> {
        match self {
            Self::Input(slot) => Term::Input(*slot),
            Self::Constant(value) => Term::Constant(*value),
            Self::Batch => Term::Batch,
            Self::Column => Term::Column,
            Self::Step(clock) => Term::Step(*clock),
            Self::Table { table, clock, column } => Term::Table { table: *table, clock: *clock, column: *column },
            Self::Random(draw) => Term::Random(*draw),
            Self::RandomAt(draw, a) => Term::RandomAt(*draw, argument(a)),
            Self::Unary(op, a) => Term::Unary(*op, argument(a)),
            Self::Binary(op, a, b) => Term::Binary(*op, argument(a), argument(b)),
            Self::Select(a, b, c) => Term::Select(argument(a), argument(b), argument(c)),
        }
    }

    /// The inputs that this term reads itself (not through its arguments).
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Self::Input(slot) | Self::Step(slot) => vec![*slot],
            Self::Table { table, clock, .. } => vec![*table, *clock],
            Self::Random(draw) | Self::RandomAt(draw, _) => vec![draw.clock],
            _ => Vec::new(),
        }
    }

    /// The same term with its inputs renumbered.
    pub fn renumber(&self, mut slot: impl FnMut(usize) -> usize) -> Self {
        match self {
            Self::Input(input) => Self::Input(slot(*input)),
            Self::Step(clock) => Self::Step(slot(*clock)),
            Self::Table { table, clock, column } => {
                Self::Table { table: slot(*table), clock: slot(*clock), column: *column }
            }
            Self::Random(draw) => Self::Random(RandomDraw { clock: slot(draw.clock), ..*draw }),
            Self::RandomAt(draw, a) => Self::RandomAt(RandomDraw { clock: slot(draw.clock), ..*draw }, a.clone()),
            other => other.clone(),
        }
    }
}

/// A pointwise expression. Cloning shares; operators build.
#[derive(Clone, Debug)]
pub struct Expr(Arc<Term<Expr>>);

impl Expr {
    /// The expression of one term, simplified where that is exact for finite numbers.
    pub fn new(term: Term<Expr>) -> Self {
        simplify(&term).unwrap_or_else(|| Self(Arc::new(term)))
    }

    /// Element of input `slot`.
    pub fn input(slot: usize) -> Self {
        Self::new(Term::Input(slot))
    }

    /// A number.
    pub fn constant(value: f64) -> Self {
        Self(Arc::new(Term::Constant(Constant(value))))
    }

    /// The number of samples in the batch.
    pub fn batch() -> Self {
        Self::new(Term::Batch)
    }

    /// The index along the last axis.
    pub fn column() -> Self {
        Self::new(Term::Column)
    }

    /// Its outermost term.
    pub fn term(&self) -> &Term<Self> {
        &self.0
    }

    /// Its value, if it is a number.
    pub fn as_constant(&self) -> Option<f64> {
        match self.term() {
            Term::Constant(value) => Some(value.0),
            _ => None,
        }
    }

    fn unary(&self, op: Unary) -> Self {
        Self::new(Term::Unary(op, self.clone()))
    }

    fn binary(&self, op: Binary, other: impl Into<Self>) -> Self {
        Self::new(Term::Binary(op, self.clone(), other.into()))
    }

    /// |x|
    pub fn abs(&self) -> Self {
        self.unary(Unary::Abs)
    }

    /// eˣ
    pub fn exp(&self) -> Self {
        self.unary(Unary::Exp)
    }

    /// eˣ − 1
    pub fn expm1(&self) -> Self {
        self.unary(Unary::Expm1)
    }

    /// Natural logarithm
    pub fn ln(&self) -> Self {
        self.unary(Unary::Ln)
    }

    /// ln(1 + x)
    pub fn log1p(&self) -> Self {
        self.unary(Unary::Log1p)
    }

    /// Square root
    pub fn sqrt(&self) -> Self {
        self.unary(Unary::Sqrt)
    }

    /// Sine
    pub fn sin(&self) -> Self {
        self.unary(Unary::Sin)
    }

    /// Cosine
    pub fn cos(&self) -> Self {
        self.unary(Unary::Cos)
    }

    /// Hyperbolic tangent
    pub fn tanh(&self) -> Self {
        self.unary(Unary::Tanh)
    }

    /// 1 / (1 + e⁻ˣ)
    pub fn sigmoid(&self) -> Self {
        self.unary(Unary::Sigmoid)
    }

    /// ln(1 + eˣ)
    pub fn softplus(&self) -> Self {
        self.unary(Unary::Softplus)
    }

    /// x · sigmoid(x)
    pub fn silu(&self) -> Self {
        self * &self.sigmoid()
    }

    /// x²
    pub fn square(&self) -> Self {
        self * self
    }

    /// 1 if finite, else 0
    pub fn is_finite(&self) -> Self {
        self.unary(Unary::IsFinite)
    }

    /// The same number, which derivatives take for a constant. A formula in which it cancels has the right derivatives
    /// of every order, though some of its parts have not.
    pub fn detached(&self) -> Self {
        self.unary(Unary::Detached)
    }

    /// The larger of the two
    pub fn max(&self, other: impl Into<Self>) -> Self {
        self.binary(Binary::Max, other)
    }

    /// The smaller of the two
    pub fn min(&self, other: impl Into<Self>) -> Self {
        self.binary(Binary::Min, other)
    }

    /// 1 where `self < other`, else 0
    pub fn less(&self, other: impl Into<Self>) -> Self {
        self.binary(Binary::Less, other)
    }

    /// `yes` where `self` is not 0, else `no`
    pub fn select(&self, yes: impl Into<Self>, no: impl Into<Self>) -> Self {
        Self::new(Term::Select(self.clone(), yes.into(), no.into()))
    }

    /// Every input replaced by an expression: composition.
    pub fn substitute(&self, inputs: &[Self]) -> Self {
        self.rewrite(&mut HashMap::new(), &mut |term| match term {
            Term::Input(slot) => Some(inputs[*slot].clone()),
            _ => None,
        })
    }

    /// Rebuilds the tree bottom up; `leaf` may replace a term (its arguments are already rebuilt). Shared parts stay
    /// shared.
    pub fn rewrite(&self, done: &mut HashMap<usize, Self>, leaf: &mut impl FnMut(&Term<Self>) -> Option<Self>) -> Self {
        let key = self.address();
        if let Some(known) = done.get(&key) {
            return known.clone();
        }
        let term = self.term().map(|argument| argument.rewrite(done, leaf));
        let new = leaf(&term).unwrap_or_else(|| Self::new(term));
        done.insert(key, new.clone());
        new
    }

    /// Identity of the shared node: equal addresses are equal expressions while both live.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl From<f64> for Expr {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Self {
        expr.clone()
    }
}

/// The value of a function of one argument, in f64.
pub fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Ln => x.ln(),
        Unary::Log1p => x.ln_1p(),
        Unary::Sqrt => x.sqrt(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => {
            if x >= 0.0 {
                1.0 / (1.0 + (-x).exp())
            } else {
                x.exp() / (1.0 + x.exp())
            }
        }
        Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Unary::IsFinite => f64::from(u8::from(x.is_finite())),
        Unary::Detached => x,
    }
}

/// The value of a function of two arguments, in f64.
pub fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Less => f64::from(u8::from(a < b)),
    }
}

fn simplify(term: &Term<Expr>) -> Option<Expr> {
    match term {
        Term::Unary(op, a) => match (op, a.term()) {
            (_, Term::Constant(value)) => Some(Expr::constant(unary(*op, value.0))),
            (Unary::Neg, Term::Unary(Unary::Neg, inner)) => Some(inner.clone()),
            _ => None,
        },
        Term::Binary(op, a, b) => {
            let (x, y) = (a.as_constant(), b.as_constant());
            if let (Some(x), Some(y)) = (x, y) {
                return Some(Expr::constant(binary(*op, x, y)));
            }
            match (op, x, y) {
                (Binary::Add, Some(0.0), _) => Some(b.clone()),
                (Binary::Add | Binary::Sub, _, Some(0.0)) => Some(a.clone()),
                (Binary::Sub, Some(0.0), _) => Some(-b),
                (Binary::Sub, _, _) if a.address() == b.address() => Some(Expr::constant(0.0)),
                (Binary::Mul, Some(0.0), _) | (Binary::Mul, _, Some(0.0)) | (Binary::Div, Some(0.0), _) => {
                    Some(Expr::constant(0.0))
                }
                (Binary::Mul, Some(1.0), _) => Some(b.clone()),
                (Binary::Mul | Binary::Div, _, Some(1.0)) => Some(a.clone()),
                (Binary::Mul, Some(-1.0), _) => Some(-b),
                (Binary::Mul, _, Some(-1.0)) => Some(-a),
                _ => None,
            }
        }
        Term::Select(condition, yes, no) => match condition.as_constant() {
            Some(0.0) => Some(no.clone()),
            Some(_) => Some(yes.clone()),
            None => None,
        },
        _ => None,
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:ident) => {
        impl $trait<&Expr> for &Expr {
            type Output = Expr;
            fn $method(self, other: &Expr) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<Expr> for Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<&Expr> for Expr {
            type Output = Expr;
            fn $method(self, other: &Expr) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<Expr> for &Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<f64> for Expr {
            type Output = Expr;
            fn $method(self, other: f64) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<f64> for &Expr {
            type Output = Expr;
            fn $method(self, other: f64) -> Expr {
                self.binary(Binary::$op, other)
            }
        }
        impl $trait<Expr> for f64 {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                Expr::constant(self).binary(Binary::$op, other)
            }
        }
        impl $trait<&Expr> for f64 {
            type Output = Expr;
            fn $method(self, other: &Expr) -> Expr {
                Expr::constant(self).binary(Binary::$op, other)
            }
        }
    };
}

operator!(Add, add, Add);
operator!(Sub, sub, Sub);
operator!(Mul, mul, Mul);
operator!(Div, div, Div);

impl Neg for &Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.unary(Unary::Neg)
    }
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.unary(Unary::Neg)
    }
}
