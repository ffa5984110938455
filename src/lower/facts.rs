//! What is known of a graph before kernels are made of it: who reads what, what replaces states, which nodes share a
//! kernel, which tensors lie in parts. Computed once; lowering only asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::LowerOptions;
use super::iteration::{Iteration, Split, channels};
use crate::graph::expr::Term;
use crate::graph::{Graph, Op, Overwrite, Shape, Tape, Value};
use crate::plan::Size;

/// With which neighbour a pointwise node shares its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partner {
    /// The product of this node feeds it.
    MatMul(usize),
    /// The reduction of this node takes what it computes.
    Reduce(usize),
}

/// The facts about a graph that is fused.
pub(super) struct Facts<'a> {
    pub graph: &'a Graph,
    pub options: LowerOptions,
    pub parameters_from: &'a str,
    /// Nodes that read each value, views looked through.
    readers: HashMap<Value, Vec<usize>>,
    /// The values that may be written over the states that they replace.
    pub overwrites: BTreeMap<Value, Overwrite>,
    /// The partner of a pointwise node.
    pub partners: BTreeMap<usize, Partner>,
    /// Products and reductions that are partners of a pointwise node.
    pub absorbed: BTreeSet<usize>,
    /// Concatenations that are never made, and what they are of.
    pub joined: BTreeMap<usize, [Value; 2]>,
    /// Values that are written into their slices.
    pub split: BTreeMap<Value, Vec<Value>>,
}

impl<'a> Facts<'a> {
    pub fn new(graph: &'a Graph, parameters_from: &'a str, options: LowerOptions) -> Self {
        let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
        for (node, entry) in graph.nodes().iter().enumerate() {
            if !matches!(entry.op, Op::Reshape | Op::After) {
                entry.inputs.iter().for_each(|input| readers.entry(graph.viewed(*input)).or_default().push(node));
            }
        }
        let mut facts = Self {
            graph,
            options,
            parameters_from,
            readers,
            overwrites: graph.overwrites(parameters_from, &|value| graph.viewed(value)),
            partners: BTreeMap::new(),
            absorbed: BTreeSet::new(),
            joined: BTreeMap::new(),
            split: BTreeMap::new(),
        };
        facts.choose_parts();
        facts.choose_partners();
        facts
    }

    /// The value that a view (of a view) shows.
    pub(super) fn root(&self, value: Value) -> Value {
        self.graph.viewed(value)
    }

    pub(super) fn readers_of(&self, value: Value) -> &[usize] {
        self.readers.get(&self.root(value)).map_or(&[], Vec::as_slice)
    }

    /// Whether the host or the store wants this value.
    pub(super) fn is_wanted(&self, value: Value) -> bool {
        self.graph.outputs().iter().chain(self.graph.assignments()).any(|(_, wanted)| self.root(*wanted) == value)
    }

    /// The state that a value shows as it stands: its own name, or that of the arena for a parameter.
    pub(super) fn shown_state(&self, value: Value) -> Option<&str> {
        self.graph.state_of(self.root(value), self.parameters_from)
    }

    pub(super) fn label(&self, node: usize, kind: &str) -> String {
        let scope = &self.graph.nodes()[node].scope;
        if scope.is_empty() { kind.to_owned() } else { format!("{scope} {kind}") }
    }

    pub(super) fn batch(&self) -> u64 {
        u64::from(self.options.max_batch)
    }

    /// The shape of a node's first output.
    pub(super) fn shape(&self, node: usize) -> &'a Shape {
        &self.graph.nodes()[node].types[0].shape
    }

    /// Whether a node reads the state that `old` shows.
    pub(super) fn reads_state_of(&self, node: usize, old: Value) -> bool {
        self.graph.nodes()[node].inputs.iter().any(|input| self.shown_state(*input) == self.shown_state(old))
    }

    /// The old value of the state that a pointwise value is written over; a product that it finishes reads that state
    /// to the end.
    pub(super) fn overwritten(&self, value: Value, product: Option<usize>) -> Option<Value> {
        let Overwrite { old, .. } = *self.overwrites.get(&value)?;
        product.is_none_or(|product| !self.reads_state_of(product, old)).then_some(old)
    }

    pub(super) fn fits(&self, node: usize, split: Split) -> bool {
        let shapes: Vec<&Shape> = self.operands(node).into_iter().map(|value| self.graph.shape(value)).collect();
        Iteration::new(self.shape(node), &shapes, split).is_some_and(|view| self.covers(node, &view))
    }

    /// Whether the node's draws and column numbers have their meaning under `view`.
    pub(super) fn covers(&self, node: usize, view: &Iteration) -> bool {
        let tape = self.tape(node);
        let shape = self.shape(node);
        let random = tape.terms.iter().any(Term::is_random);
        let column = tape.terms.iter().any(|term| matches!(term, Term::Column));
        let last = channels(shape);
        (!random || shape.batch_axis().is_none() || view.batch_group.is_some())
            && (!(column || self.in_parts(node)) || view.columns == Size::fixed(last))
    }

    pub(super) fn tape(&self, node: usize) -> &Tape {
        match &self.graph.nodes()[node].op {
            Op::Pointwise { tape } => tape,
            op => unreachable!("{op:?} is not pointwise"),
        }
    }

    /// The values that the node reads element by element, in the order of its inputs.
    pub(super) fn operands(&self, node: usize) -> Vec<Value> {
        let tape = self.tape(node);
        let inputs = &self.graph.nodes()[node].inputs;
        let elementwise = |slot: usize| tape.terms.contains(&Term::Input(slot));
        (0..inputs.len()).filter(|slot| elementwise(*slot)).map(|slot| inputs[slot]).collect()
    }

    /// The outputs that have to be stored; what `reduction` reads is handed to it.
    pub(super) fn stored_outputs(&self, node: usize, reduction: Option<usize>) -> Vec<usize> {
        (0..self.graph.nodes()[node].types.len())
            .filter(|output| {
                let value = Value { node, output: *output };
                self.readers_of(value).iter().any(|reader| Some(*reader) != reduction) || self.is_wanted(value)
            })
            .collect()
    }

    /// Whether the raw product is needed besides the epilogue.
    pub(super) fn keeps_product(&self, product: usize, node: usize) -> bool {
        let value = Value { node: product, output: 0 };
        self.readers_of(value).iter().any(|reader| *reader != node) || self.is_wanted(value)
    }
}
