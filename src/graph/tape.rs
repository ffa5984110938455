//! Expressions flattened into straight-line code.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::expr::{Constant, Expr, Term, binary, unary};

/// Several expressions as one list of terms, each term once, arguments before use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tape {
    /// The terms; arguments are indices of earlier terms.
    pub terms: Vec<Term<usize>>,
    /// Which terms are the results.
    pub outputs: Vec<usize>,
}

impl Tape {
    /// Flattens `exprs`; parts that are equal, within one or between several, appear once.
    pub fn new(exprs: &[Expr]) -> Self {
        let mut tape = Self::default();
        let mut known = HashMap::new();
        let mut seen = HashMap::new();
        for expr in exprs {
            let output = tape.flatten(expr, &mut known, &mut seen);
            tape.outputs.push(output);
        }
        tape
    }

    fn flatten(
        &mut self,
        expr: &Expr,
        known: &mut HashMap<Term<usize>, usize>,
        seen: &mut HashMap<usize, usize>,
    ) -> usize {
        if let Some(index) = seen.get(&expr.address()) {
            return *index;
        }
        let term = expr.term().map(|argument| self.flatten(argument, known, seen));
        let index = *known.entry(term).or_insert_with_key(|term| {
            self.terms.push(term.clone());
            self.terms.len() - 1
        });
        seen.insert(expr.address(), index);
        index
    }

    /// The slots of the inputs that are read element by element, in the order of their terms.
    pub fn elementwise(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().filter_map(|term| if let Term::Input(slot) = term { Some(*slot) } else { None })
    }

    /// The results as expressions again, sharing what the tape shares.
    pub fn to_exprs(&self) -> Vec<Expr> {
        let mut exprs: Vec<Expr> = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            exprs.push(Expr::new(term.map(|argument| exprs[*argument].clone())));
        }
        self.outputs.iter().map(|output| exprs[*output].clone()).collect()
    }

    /// Evaluates in f64 for one element.
    ///
    /// # Panics
    /// If the tape reads a clock, a table or a random number: those have no value on the host.
    pub fn evaluate(&self, inputs: &[f64]) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            values.push(match term {
                Term::Input(slot) => inputs[*slot],
                Term::Constant(Constant(value)) => *value,
                Term::Unary(op, a) => unary(*op, values[*a]),
                Term::Binary(op, a, b) => binary(*op, values[*a], values[*b]),
                Term::Select(a, b, c) => values[if values[*a] == 0.0 { *c } else { *b }],
                Term::Batch
                | Term::Column
                | Term::Step(_)
                | Term::Table { .. }
                | Term::Random(_)
                | Term::RandomAt(..) => {
                    panic!("{term:?} has a value only inside a graph")
                }
            });
        }
        self.outputs.iter().map(|output| values[*output]).collect()
    }

    /// Which inputs are read, in order.
    pub fn inputs(&self) -> Vec<usize> {
        let mut slots: Vec<usize> = self.terms.iter().flat_map(Term::inputs).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Terms that compute: the cost of one element.
    pub fn operations(&self) -> usize {
        self.terms.iter().filter(|term| matches!(term, Term::Unary(..) | Term::Binary(..) | Term::Select(..))).count()
    }
}
