//! Where each value of a graph lives during a run, for one batch size.
//!
//! Inputs, parameters and states are read where they are. Computed values share a few slots by their lifetimes. A value
//! that replaces a state has a slot of its own, which is exchanged with the state's tensor when everything has run: so no
//! node can read a state that is already new, and nothing is copied. Where the node that computes it is the last to read
//! the state, element by element, it writes over the state.

use std::collections::{BTreeMap, HashMap};

use crate::graph::expr::Term;
use crate::graph::{DType, Graph, Op, Overwrite, Shape, Value};

/// What a place is a range of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The input of this node.
    Input(usize),
    /// The parameter arena.
    Parameters,
    /// The state of this node.
    State(usize),
    /// A slot.
    Slot(usize),
    /// Words, which every node keeps for itself.
    Words(usize),
    /// Nowhere: the value is not computed.
    Nowhere,
}

/// A range of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of what.
    pub root: Root,
    /// First element.
    pub start: usize,
    /// Number of elements.
    pub length: usize,
}

/// How a state gets its new value.
#[derive(Clone, Debug)]
pub enum Assignment {
    /// The slot is exchanged with the state; copied from the place before, if one is given.
    Swap {
        /// The slot, of exactly the state's length.
        slot: usize,
        /// What is copied into it first.
        from: Option<Place>,
    },
    /// The node has computed it over the state itself.
    InPlace,
    /// Words of this node are copied.
    Words(usize),
    /// This node, a ring push, works on the state itself.
    Push(usize),
}

/// A slot for computed values.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Elements that it needs.
    pub length: usize,
    /// It leaves this program for the store, which wants no element more.
    pub exact: bool,
}

/// The plan of a graph's memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// By node and output.
    pub places: Vec<Vec<Place>>,
    /// The slots.
    pub slots: Vec<Slot>,
    /// For each output of the graph where it is found after the run, and what is copied there at the end.
    pub outputs: Vec<(Place, Option<Place>)>,
    /// For each assignment of the graph.
    pub assignments: Vec<Assignment>,
}

impl Memory {
    /// Plans for `batch` samples; parameters are ranges of the state `parameters_from`.
    pub fn plan(graph: &Graph, parameters_from: &str, batch: usize) -> Self {
        Planner::new(graph, parameters_from, batch).plan()
    }

    /// The place of a value.
    pub fn place(&self, value: Value) -> Place {
        self.places[value.node][value.output]
    }
}

/// How many elements from the start of the input a slice begins, if it is one contiguous range.
pub fn contiguous_start(shape: &Shape, axis: usize, start: usize, batch: usize) -> Option<usize> {
    let lengths: Vec<usize> = shape.dims().iter().map(|dim| dim.at(batch)).collect();
    let one_run = lengths[..axis].iter().all(|length| *length == 1);
    one_run.then(|| start * lengths[axis + 1..].iter().product::<usize>())
}

const FOREVER: usize = usize::MAX;

struct Planner<'a> {
    graph: &'a Graph,
    batch: usize,
    /// The value whose memory a value names, and from which element on.
    base: Vec<Vec<(Value, usize)>>,
    /// The last node that reads a base.
    last: HashMap<Value, usize>,
    overwrites: BTreeMap<Value, Overwrite>,
    memory: Memory,
    free: Vec<usize>,
    /// Values that are computed where they are packed: the pack, and the offset in it.
    packed: HashMap<Value, (Value, usize)>,
    /// Where packs are whose first input has a place.
    packs: HashMap<Value, Place>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, parameters_from: &str, batch: usize) -> Self {
        let memory = Memory { places: Vec::new(), slots: Vec::new(), outputs: Vec::new(), assignments: Vec::new() };
        let mut planner = Self {
            graph,
            batch,
            base: Vec::new(),
            last: HashMap::new(),
            overwrites: BTreeMap::new(),
            memory,
            free: Vec::new(),
            packed: HashMap::new(),
            packs: HashMap::new(),
        };
        for (node, entry) in graph.nodes().iter().enumerate() {
            let own = (0..entry.types.len()).map(|output| (Value { node, output }, 0)).collect();
            let words = entry.types[0].dtype == DType::U32;
            let base = match &entry.op {
                Op::Reshape | Op::After if !words => vec![planner.base_of(entry.inputs[0])],
                Op::Slice { axis, start, .. } => {
                    match contiguous_start(graph.shape(entry.inputs[0]), *axis, *start, batch) {
                        Some(start) => {
                            let (value, before) = planner.base_of(entry.inputs[0]);
                            vec![(value, before + start)]
                        }
                        None => own,
                    }
                }
                _ => own,
            };
            planner.base.push(base);
        }
        planner.packed = planner.find_packed();
        planner.overwrites = graph.overwrites(parameters_from, &|value| planner.base_of(value).0);
        planner
    }

    /// Products and reductions that only a pack reads.
    fn find_packed(&self) -> HashMap<Value, (Value, usize)> {
        let mut readers: HashMap<Value, usize> = HashMap::new();
        for (node, entry) in self.graph.nodes().iter().enumerate() {
            // What is a view of its input does not read it.
            if self.base_of(Value { node, output: 0 }).0.node == node {
                entry.inputs.iter().for_each(|input| *readers.entry(self.base_of(*input).0).or_default() += 1);
            }
        }
        for (_, value) in self.graph.ends() {
            *readers.entry(self.base_of(*value).0).or_default() += 1;
        }
        let mut packed = HashMap::new();
        for (node, entry) in self.graph.nodes().iter().enumerate() {
            let Op::Pack { offsets } = &entry.op else { continue };
            for (input, offset) in entry.inputs.iter().zip(offsets) {
                let (base, _) = self.base_of(*input);
                let computed =
                    matches!(self.graph.node(base).op, Op::MatMul { .. } | Op::Conv { .. } | Op::Reduce { .. });
                if computed && readers[&base] == 1 && self.elements(base) == self.elements(*input) {
                    packed.insert(base, (Value { node, output: 0 }, *offset));
                }
            }
        }
        packed
    }

    fn base_of(&self, value: Value) -> (Value, usize) {
        self.base[value.node][value.output]
    }

    fn elements(&self, value: Value) -> usize {
        self.graph.shape(value).elements(self.batch)
    }

    fn plan(mut self) -> Memory {
        let graph = self.graph;
        let pushes: Vec<Option<usize>> =
            graph.assignments().iter().map(|(name, value)| self.push(name, *value)).collect();
        for (node, entry) in graph.nodes().iter().enumerate() {
            let last = if pushes.contains(&Some(node)) { FOREVER } else { node };
            for input in &entry.inputs {
                let (base, _) = self.base_of(*input);
                let entry = self.last.entry(base).or_insert(last);
                *entry = (*entry).max(last);
            }
        }
        for (_, value) in graph.ends() {
            let (base, _) = self.base_of(*value);
            self.last.insert(base, FOREVER);
        }
        for node in 0..graph.nodes().len() {
            let pushed = pushes.contains(&Some(node));
            self.place_node(node, pushed);
        }
        let mut swapped: Vec<Value> = Vec::new();
        for ((_, value), push) in graph.assignments().iter().zip(&pushes) {
            let assignment = match push {
                Some(node) => Assignment::Push(*node),
                None => self.assignment(*value, &mut swapped),
            };
            self.memory.assignments.push(assignment);
        }
        for (_, value) in graph.outputs() {
            let place = self.memory.place(*value);
            let stays = matches!(place.root, Root::Slot(_)) && !swapped.contains(&self.base_of(*value).0);
            let output = if stays { (place, None) } else { (self.fresh(place.length, false), Some(place)) };
            self.memory.outputs.push(output);
        }
        self.memory
    }

    /// The node of a ring push that nothing but the ring's own assignment reads.
    fn push(&self, name: &str, value: Value) -> Option<usize> {
        let graph = self.graph;
        let entry = graph.node(value);
        let ends = graph.ends().filter(|(_, end)| end.node == value.node).count();
        let read = graph.nodes().iter().any(|node| node.inputs.contains(&value));
        let own = matches!(&entry.op, Op::RingPush)
            && matches!(&graph.node(entry.inputs[0]).op, Op::State { name: ring } if ring == name);
        (own && ends == 1 && !read).then_some(value.node)
    }

    fn place_node(&mut self, node: usize, pushed: bool) {
        let graph = self.graph;
        let entry = &graph.nodes()[node];
        let mut places = Vec::new();
        for (output, tensor_type) in entry.types.iter().enumerate() {
            let value = Value { node, output };
            let length = self.elements(value);
            let whole = |root| Place { root, start: 0, length };
            places.push(match &entry.op {
                _ if pushed => whole(Root::Nowhere),
                _ if tensor_type.dtype == DType::U32 => whole(Root::Words(node)),
                Op::Input { .. } => whole(Root::Input(node)),
                Op::State { .. } => whole(Root::State(node)),
                Op::Parameter { index } => {
                    Place { root: Root::Parameters, start: graph.parameters()[*index].offset, length }
                }
                _ => {
                    let (base, start) = self.base_of(value);
                    if let Some(state) = self.overwritten(value) {
                        whole(Root::State(state))
                    } else if base == value {
                        self.allocate(value, length)
                    } else {
                        let place = self.memory.place(base);
                        Place { start: place.start + start, length, ..place }
                    }
                }
            });
        }
        self.memory.places.push(places);
        // What this node was the last to read, and what nobody reads.
        let mut ended: Vec<Value> = (0..entry.types.len())
            .map(|output| Value { node, output })
            .filter(|v| !self.last.contains_key(v))
            .collect();
        ended.extend(entry.inputs.iter().map(|input| self.base_of(*input).0).filter(|base| self.last[base] == node));
        ended.sort_unstable();
        ended.dedup();
        for value in ended {
            let owner = self.base_of(value).0 == value && !self.packed.contains_key(&value);
            if let (Root::Slot(slot), true) = (self.memory.place(value).root, owner) {
                self.free.push(slot);
            }
        }
    }

    /// The node of the state that `value` is written over: what else reads it or wants it would find the store's tensor,
    /// and kernels keep no results that are inputs, or single numbers, in step with them.
    fn overwritten(&self, value: Value) -> Option<usize> {
        let graph = self.graph;
        let Overwrite { old, .. } = self.overwrites.get(&value)?;
        let Op::Pointwise { tape } = &graph.node(value).op else { return None };
        let read = graph.nodes().iter().any(|node| node.inputs.contains(&value));
        let only_assigned = !read && graph.ends().filter(|(_, end)| *end == value).count() == 1;
        let computed = tape.outputs.iter().all(|output| !matches!(tape.terms[*output], Term::Input(_)));
        (only_assigned && computed && self.elements(value) > 1).then_some(old.node)
    }

    fn allocate(&mut self, value: Value, length: usize) -> Place {
        if let Some((pack, offset)) = self.packed.get(&value).copied() {
            let whole = match self.packs.get(&pack) {
                Some(place) => *place,
                None => {
                    let place = self.allocate(pack, self.elements(pack));
                    self.packs.insert(pack, place);
                    place
                }
            };
            return Place { start: whole.start + offset, length, ..whole };
        }
        if let Some(place) = self.packs.get(&value) {
            return *place;
        }
        if self.last.get(&value) == Some(&FOREVER) {
            return self.fresh(length, false);
        }
        // The smallest free slot that is long enough, else the longest.
        let long_enough = |slot: &usize| self.memory.slots[*slot].length >= length;
        let fit =
            self.free.iter().copied().filter(long_enough).min_by_key(|slot| (self.memory.slots[*slot].length, *slot));
        let best =
            fit.or_else(|| self.free.iter().copied().max_by_key(|slot| (self.memory.slots[*slot].length, *slot)));
        let Some(slot) = best else { return self.fresh(length, false) };
        self.free.retain(|free| *free != slot);
        let entry = &mut self.memory.slots[slot];
        entry.length = entry.length.max(length);
        Place { root: Root::Slot(slot), start: 0, length }
    }

    fn fresh(&mut self, length: usize, exact: bool) -> Place {
        self.memory.slots.push(Slot { length, exact });
        Place { root: Root::Slot(self.memory.slots.len() - 1), start: 0, length }
    }

    fn assignment(&mut self, value: Value, swapped: &mut Vec<Value>) -> Assignment {
        let place = self.memory.place(value);
        let (base, start) = self.base_of(value);
        match place.root {
            Root::Words(node) => Assignment::Words(node),
            Root::State(state) if state != value.node && start == 0 && self.overwritten(value) == Some(state) => {
                Assignment::InPlace
            }
            Root::Slot(slot) if start == 0 && place.length == self.elements(base) && !swapped.contains(&base) => {
                swapped.push(base);
                self.memory.slots[slot].exact = true;
                Assignment::Swap { slot, from: None }
            }
            _ => {
                let Place { root: Root::Slot(slot), .. } = self.fresh(place.length, true) else {
                    unreachable!("a fresh place is a slot")
                };
                Assignment::Swap { slot, from: Some(place) }
            }
        }
    }
}
