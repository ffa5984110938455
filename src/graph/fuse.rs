//! Chains and bundles of pointwise nodes become single nodes with several outputs.
//!
//! The depth of a value is the number of other ops (products, reductions, views, …) on the longest way to it. Two
//! pointwise values of equal depth can have no such op on a way between them, so all that share depth and shape may be
//! computed by one kernel: whatever one of them needs of another is written into its expression. A value is stored
//! only if an op, a result, or a pointwise value of another depth reads it.
//!
//! Reductions of one kind over the same axes of what one such kernel computes become one node as well: that may compute
//! it in one pass and store nothing of it.

mod keep;
mod siblings;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::expr::{Expr, RandomDraw, Term, Unary};
use super::{Composite, Graph, Op, Shape, Tape, TensorType, Value};

/// Longer expressions than this are cut, for the compilers' sake.
const MAX_TERMS: usize = 400;
/// Values of so many terms at most are computed again.
const CHEAP: usize = 16;

/// What fusion goes by.
#[derive(Clone, Copy)]
pub struct Fusion<'a> {
    /// A fused node reads and writes no more tensors than this; a state that it overwrites counts once.
    pub max_operands: usize,
    /// The state of which parameters are ranges.
    pub parameters_from: &'a str,
    /// Composites that stay closed.
    pub kept: &'a dyn Fn(&Composite) -> bool,
}

impl Graph {
    /// The same computation with all composites opened and pointwise nodes fused, parameters being ranges of `params`.
    pub fn fused(&self, max_operands: usize) -> Self {
        self.fused_by(&Fusion { max_operands, parameters_from: "params", kept: &|_| false })
    }

    /// The same computation with composites opened and pointwise nodes fused.
    pub fn fused_by(&self, fusion: &Fusion) -> Self {
        let graph = self.expanded_but(fusion.kept);
        let fuser = Fuser::new(&graph, fusion);
        fuser.emit().with_states_kept(fusion.max_operands, fusion.parameters_from)
    }
}

/// A pointwise value written in terms of stored values: inputs are numbers of [`Fuser::stored`].
struct Fused {
    expr: Expr,
    reads: BTreeSet<usize>,
}

struct Fuser<'a> {
    graph: &'a Graph,
    max_operands: usize,
    parameters_from: &'a str,
    /// Values that expressions may read, by number.
    stored: Vec<Value>,
    numbers: HashMap<Value, usize>,
    depth: Vec<usize>,
    fused: HashMap<Value, Fused>,
    /// Values that not only pointwise nodes of their own shape read: these are stored in any case.
    needed: BTreeSet<Value>,
    /// The old values of states that may be overwritten, by the values that replace them.
    replaced: BTreeMap<Value, Value>,
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, fusion: &Fusion<'a>) -> Self {
        let depth = vec![0; graph.nodes().len()];
        let mut fuser = Self {
            graph,
            max_operands: fusion.max_operands,
            parameters_from: fusion.parameters_from,
            stored: Vec::new(),
            numbers: HashMap::new(),
            depth,
            fused: HashMap::new(),
            needed: needed(graph),
            replaced: graph.replaced(fusion.parameters_from),
        };
        let live = graph.live();
        for node in (0..graph.nodes().len()).filter(|node| live[*node]) {
            fuser.visit(node);
        }
        fuser
    }

    fn visit(&mut self, node: usize) {
        let entry = &self.graph.nodes()[node];
        let deepest = entry.inputs.iter().map(|input| self.depth[input.node]).max();
        let Op::Pointwise { tape } = &entry.op else {
            self.depth[node] = deepest.map_or(0, |depth| depth + 1);
            return;
        };
        self.depth[node] = deepest.unwrap_or(0);
        let shape = entry.types[0].shape.clone();
        let exprs = tape.to_exprs();
        let mut fused = self.compose(&exprs, node, &shape, Inline::Again);
        let fits = |fuser: &Self, fused: &[Fused]| {
            (0..exprs.len()).all(|output| fuser.fits(Value { node, output }, &fused[output]))
        };
        if !fits(self, &fused) {
            fused = self.compose(&exprs, node, &shape, Inline::Near);
        }
        if !fits(self, &fused) {
            // Too much for one kernel: what it reads is stored, and it starts a new depth.
            self.depth[node] += 1;
            fused = self.compose(&exprs, node, &shape, Inline::Free);
        }
        for (output, fused) in fused.into_iter().enumerate() {
            self.fused.insert(Value { node, output }, fused);
        }
    }

    /// The node's expressions in terms of stored values.
    fn compose(&mut self, exprs: &[Expr], node: usize, shape: &Shape, inline: Inline) -> Vec<Fused> {
        let graph = self.graph;
        let inputs = &graph.nodes()[node].inputs;
        let mut written: Vec<Option<Expr>> = Vec::new();
        for input in inputs {
            let free = self.fused.get(input).is_some_and(|fused| fused.reads.is_empty());
            let near = inline != Inline::Free && self.depth[input.node] == self.depth[node];
            let again = inline == Inline::Again && self.is_cheap(*input, shape);
            let known = self.fused.get(input).filter(|_| near || free || again);
            written.push(known.and_then(|fused| adapt(&fused.expr, graph.shape(*input), shape)));
        }
        let numbers: Vec<usize> = inputs.iter().map(|input| self.number(*input)).collect();
        exprs
            .iter()
            .map(|expr| {
                let expr = expr.rewrite(&mut HashMap::new(), &mut |term| match term {
                    Term::Input(slot) => Some(written[*slot].clone().unwrap_or_else(|| Expr::input(numbers[*slot]))),
                    // Whoever fuses takes no more derivatives.
                    Term::Unary(Unary::Detached, inner) => Some(inner.clone()),
                    _ if term.inputs().is_empty() => None,
                    _ => Some(Expr::new(term.renumber(|slot| numbers[slot]))),
                });
                let reads = Tape::new(std::slice::from_ref(&expr)).inputs().into_iter().collect();
                Fused { expr, reads }
            })
            .collect()
    }

    /// Whether a value of this shape is computed again for less than storing and reading it costs: from one tensor of
    /// its size that is stored in any case, and smaller ones.
    fn is_cheap(&self, value: Value, shape: &Shape) -> bool {
        let Some(fused) = self.fused.get(&value).filter(|_| !self.needed.contains(&value)) else { return false };
        let reads = fused.reads.iter().map(|number| self.stored[*number]);
        let mut alike = reads.filter(|read| self.graph.shape(*read) == shape);
        let single = alike.next().is_some_and(|read| self.needed.contains(&read)) && alike.next().is_none();
        let terms = || Tape::new(std::slice::from_ref(&fused.expr)).terms;
        single && self.graph.shape(value) == shape && terms().len() <= CHEAP && !terms().iter().any(Term::is_random)
    }

    fn number(&mut self, value: Value) -> usize {
        *self.numbers.entry(value).or_insert_with(|| {
            self.stored.push(value);
            self.stored.len() - 1
        })
    }

    fn fits(&self, value: Value, fused: &Fused) -> bool {
        self.operands(&[value], &fused.reads) <= self.max_operands
            && Tape::new(std::slice::from_ref(&fused.expr)).terms.len() <= MAX_TERMS
    }

    /// Bindings of a kernel that reads `reads` and writes `roots`. Of the states that it may overwrite it is the last
    /// to read: others read a copy, if it has to be ([`keep`]).
    fn operands(&self, roots: &[Value], reads: &BTreeSet<usize>) -> usize {
        let state = |value: Value| self.graph.state_of(self.graph.viewed(value), self.parameters_from);
        let overwritten = |root: &&Value| {
            self.replaced.get(root).is_some_and(|old| {
                let mut showing = reads.iter().map(|number| self.stored[*number]).filter(|v| state(*v) == state(*old));
                showing.next() == Some(*old) && showing.next().is_none()
            })
        };
        reads.len() + roots.len() - roots.iter().filter(overwritten).count()
    }

    /// The pointwise values that have to be stored.
    fn roots(&self) -> BTreeSet<Value> {
        let mut work: Vec<Value> = self.graph.ends().map(|(_, value)| *value).collect();
        let live = self.graph.live();
        for (_, entry) in self.graph.nodes().iter().enumerate().filter(|(node, _)| live[*node]) {
            if !matches!(entry.op, Op::Pointwise { .. }) {
                work.extend(&entry.inputs);
            }
        }
        let mut roots = BTreeSet::new();
        while let Some(value) = work.pop() {
            if let Some(fused) = self.fused.get(&value)
                && roots.insert(value)
            {
                work.extend(fused.reads.iter().map(|number| self.stored[*number]));
            }
        }
        roots
    }

    fn emit(self) -> Graph {
        let graph = self.graph;
        let live = graph.live();
        // At each depth first the other ops, then bundles from small shapes to the large ones they broadcast into.
        let mut order: BTreeMap<(usize, u8, usize, usize), Vec<Unit>> = BTreeMap::new();
        let mut bundles: BTreeMap<(usize, Shape), Vec<Value>> = BTreeMap::new();
        let all_roots = self.roots();
        for &root in &all_roots {
            bundles.entry((self.depth[root.node], graph.shape(root).clone())).or_default().push(root);
        }
        let mut siblings = Vec::new();
        let (readers, reductions) = (self.readers(&all_roots), self.reductions());
        for ((depth, shape), roots) in bundles {
            let size = shape.elements(1 << 16);
            let kernels = self.split(roots);
            siblings.extend(kernels.iter().flat_map(|roots| self.siblings(roots, &readers, &reductions)));
            let units = kernels.into_iter().map(Unit::Bundle);
            order.entry((depth, 1, size, shape.rank())).or_default().extend(units);
        }
        let merged: BTreeSet<usize> = siblings.iter().flatten().copied().collect();
        for nodes in siblings {
            order.entry((self.depth[nodes[0]], 0, nodes[0], 0)).or_default().push(Unit::Reductions(nodes));
        }
        for node in (0..graph.nodes().len()).filter(|node| live[*node] && !merged.contains(node)) {
            if !matches!(graph.nodes()[node].op, Op::Pointwise { .. }) {
                order.entry((self.depth[node], 0, node, 0)).or_default().push(Unit::Other(node));
            }
        }
        let mut result = Graph::with_parameters(graph.parameters().to_vec());
        let mut new: HashMap<Value, Value> = HashMap::new();
        for unit in order.into_values().flatten() {
            match unit {
                Unit::Other(node) => {
                    let entry = &graph.nodes()[node];
                    let inputs = entry.inputs.iter().map(|input| new[input]).collect();
                    let first = result.add_like(entry, inputs);
                    for output in 0..entry.types.len() {
                        new.insert(Value { node, output }, Value { node: first.node, output });
                    }
                }
                Unit::Reductions(nodes) => {
                    let first = &graph.nodes()[nodes[0]];
                    let inputs = nodes.iter().map(|node| new[&graph.nodes()[*node].inputs[0]]).collect();
                    let types = vec![first.types[0].clone(); nodes.len()];
                    let value =
                        result.scoped(first.scope.to_string(), |result| result.add(first.op.clone(), inputs, types));
                    for (output, node) in nodes.into_iter().enumerate() {
                        new.insert(Value { node, output: 0 }, Value { node: value.node, output });
                    }
                }
                Unit::Bundle(roots) => self.emit_bundle(&mut result, &mut new, &roots),
            }
        }
        for (name, value) in graph.outputs() {
            result.output(name.clone(), new[value]);
        }
        for (name, value) in graph.assignments() {
            result.assign(name.clone(), new[value]);
        }
        result
    }

    /// Shares the roots out among kernels that stay within the operand limit.
    fn split(&self, mut roots: Vec<Value>) -> Vec<Vec<Value>> {
        roots.sort_unstable_by_key(|root| (Reverse(self.fused[root].reads.len()), *root));
        let mut kernels: Vec<(Vec<Value>, BTreeSet<usize>)> = Vec::new();
        for root in roots {
            let reads = &self.fused[&root].reads;
            let place = kernels.iter_mut().find(|(others, known)| {
                let union = known.union(reads).copied().collect();
                let all: Vec<Value> = others.iter().copied().chain([root]).collect();
                self.operands(&all, &union) <= self.max_operands
            });
            match place {
                Some((others, known)) => {
                    others.push(root);
                    known.extend(reads);
                }
                None => kernels.push((vec![root], reads.clone())),
            }
        }
        kernels.into_iter().map(|(roots, _)| roots).collect()
    }

    fn emit_bundle(&self, result: &mut Graph, new: &mut HashMap<Value, Value>, roots: &[Value]) {
        let reads: BTreeSet<usize> = roots.iter().flat_map(|root| &self.fused[root].reads).copied().collect();
        let reads: Vec<usize> = reads.into_iter().collect();
        let place = |number: usize| reads.binary_search(&number).expect("reads holds what the roots read");
        let exprs: Vec<Expr> = roots
            .iter()
            .map(|root| {
                self.fused[root].expr.rewrite(&mut HashMap::new(), &mut |term| {
                    (!term.inputs().is_empty()).then(|| Expr::new(term.renumber(place)))
                })
            })
            .collect();
        let inputs = reads.iter().map(|number| new[&self.stored[*number]]).collect();
        let shape = self.graph.shape(roots[0]).clone();
        let types = vec![TensorType::f32(shape); roots.len()];
        let scope = self.graph.node(roots[0]).scope.to_string();
        let op = Op::Pointwise { tape: Arc::new(Tape::new(&exprs)) };
        let value = result.scoped(scope, |result| result.add(op, inputs, types));
        for (output, root) in roots.iter().enumerate() {
            new.insert(*root, Value { node: value.node, output });
        }
    }
}

/// Which pointwise inputs are written into an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inline {
    /// Those that read nothing.
    Free,
    /// Those of the same depth as well.
    Near,
    /// Those as well that are cheap to compute again.
    Again,
}

/// The values that more than pointwise nodes of their own shape read.
fn needed(graph: &Graph) -> BTreeSet<Value> {
    let live = graph.live();
    let mut needed: BTreeSet<Value> = graph.ends().map(|(_, value)| *value).collect();
    for (_, entry) in graph.nodes().iter().enumerate().filter(|(node, _)| live[*node]) {
        let pointwise = matches!(entry.op, Op::Pointwise { .. });
        let other = |input: &&Value| !pointwise || graph.shape(**input) != &entry.types[0].shape;
        needed.extend(entry.inputs.iter().filter(other));
    }
    needed
}

enum Unit {
    Other(usize),
    /// Siblings.
    Reductions(Vec<usize>),
    Bundle(Vec<Value>),
}

/// `expr`, computed at shape `from`, as part of an expression at shape `to`; `None` where that would change its value.
fn adapt(expr: &Expr, from: &Shape, to: &Shape) -> Option<Expr> {
    if from == to {
        return Some(expr.clone());
    }
    let one_per_sample = from.fixed_elements() == 1 && from.batch_axis().is_some();
    let same_columns = from.dims().last() == to.dims().last();
    let mut possible = true;
    let adapted = expr.rewrite(&mut HashMap::new(), &mut |term| {
        match term {
            Term::Random(draw) if !draw.per_sample => {
                possible &= one_per_sample;
                return Some(Expr::new(Term::Random(RandomDraw { per_sample: true, ..*draw })));
            }
            Term::RandomAt(..) => possible = false,
            Term::Column => possible &= same_columns,
            _ => {}
        }
        None
    });
    possible.then_some(adapted)
}

#[cfg(test)]
mod tests {
    use super::super::Reduction;
    use super::*;

    fn pointwise_nodes(graph: &Graph) -> usize {
        graph.nodes().iter().filter(|node| matches!(node.op, Op::Pointwise { .. })).count()
    }

    #[test]
    fn a_chain_becomes_one_node_and_a_product_cuts_it() {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batch(&[4]));
        let w = graph.input("w", Shape::fixed(&[4, 4]));
        let a = graph.map(&[x], &Expr::input(0).exp());
        let b = graph.scale(a, 2.0);
        let c = graph.plus(a, b);
        let d = graph.matmul(super::super::Layout::Nn, c, w);
        let e = graph.plus(d, x);
        let f = graph.map(&[e, b], &(Expr::input(0) * Expr::input(1)));
        graph.output("f", f);
        let fused = graph.fused(8);
        // c and b (needed later) in one node, f in another.
        assert_eq!(pointwise_nodes(&fused), 2);
    }

    #[test]
    fn what_is_cheap_is_computed_again_and_not_stored() {
        let mut graph = Graph::new();
        let shape = Shape::batch(&[4]);
        let [x, w] = [("x", shape), ("w", Shape::fixed(&[4, 4]))].map(|(name, shape)| graph.input(name, shape));
        let bias = graph.input("bias", Shape::fixed(&[4]));
        let first = graph.map(&[x], &Expr::input(0).exp());
        // From what a reduction reads, and one for each sample: again. From a product alone: stored with it.
        let sum = graph.sum(first, &[1]);
        let cheap = graph.map(&[first, sum], &(Expr::input(0) - Expr::input(1)));
        let product = graph.matmul(super::super::Layout::Nn, first, w);
        let stored = graph.map(&[product, bias], &(Expr::input(0) + Expr::input(1)));
        let active = graph.map(&[stored, cheap], &(Expr::input(0).silu() * Expr::input(1)));
        let last = graph.matmul(super::super::Layout::Nn, active, w);
        let sum = graph.map(&[last, stored, cheap], &(Expr::input(0) * Expr::input(1) + Expr::input(2)));
        graph.output("sum", sum);
        let fused = graph.fused(8);
        let outputs: Vec<usize> = fused
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Pointwise { .. }))
            .map(|node| node.types.len())
            .collect();
        // `first`; `stored` and `active`; the last, which reads `first` and its sum once more.
        assert_eq!(outputs, [1, 2, 1]);
    }

    #[test]
    fn reductions_of_one_kernel_become_one() {
        let mut graph = Graph::new();
        let [x, y] = ["x", "y"].map(|name| graph.input(name, Shape::batch(&[6, 4])));
        let centred = graph.map(&[x, y], &(Expr::input(0) - Expr::input(1)));
        let square = graph.map(&[centred], &Expr::input(0).square());
        let cube = graph.map(&[centred, square], &(Expr::input(0) * Expr::input(1)));
        let sums = [centred, square, cube].map(|value| graph.sum(value, &[1]));
        sums.iter().enumerate().for_each(|(i, sum)| graph.output(format!("sum {i}"), *sum));
        // Of another kind, over another axis, of what depends on a sum.
        let largest = graph.reduce(Reduction::Max, square, &[1]);
        let across = graph.sum(square, &[2]);
        let after = graph.map(&[square, sums[0]], &(Expr::input(0) * Expr::input(1)));
        let after = graph.sum(after, &[1]);
        for (name, value) in [("largest", largest), ("across", across), ("after", after)] {
            graph.output(name, value);
        }
        let reductions = |fused: Graph| -> Vec<usize> {
            let all = fused.nodes().iter().filter(|node| matches!(node.op, Op::Reduce { .. }));
            all.map(|node| node.types.len()).collect()
        };
        // Two that are read, three results, and the square for others.
        assert_eq!(reductions(graph.fused(6)), [3, 1, 1, 1]);
        assert_eq!(reductions(graph.fused(5)), [1; 6]);
    }

    #[test]
    fn the_operand_limit_is_kept() {
        let mut graph = Graph::new();
        let shape = Shape::fixed(&[8]);
        let inputs: Vec<Value> = (0..20).map(|i| graph.input(&format!("x{i}"), shape.clone())).collect();
        let sum = inputs[1..].iter().fold(inputs[0], |sum, x| graph.plus(sum, *x));
        graph.output("sum", sum);
        for (i, x) in inputs.iter().enumerate() {
            let square = graph.map(&[*x, sum], &(Expr::input(0) * Expr::input(1)));
            graph.output(format!("y{i}"), square);
        }
        let fused = graph.fused(8);
        for node in fused.nodes() {
            assert!(node.inputs.len() + node.types.len() <= 8 || node.inputs.is_empty());
        }
    }
}
