//! Which reductions become one: those of one kind over the same axes of what one pointwise kernel computes.

use std::collections::{BTreeSet, HashMap};

use super::super::{MOST_REDUCED, Op, Reduction, Value};
use super::Fuser;

/// Reductions that may become one.
struct Kind<'a> {
    reduction: Reduction,
    axes: &'a [usize],
    /// Each as large as a kernel's bindings allow.
    groups: Vec<Vec<usize>>,
}

impl Fuser<'_> {
    /// How often each value is read once all is fused into `roots`, results counted.
    pub(super) fn readers(&self, roots: &BTreeSet<Value>) -> HashMap<Value, usize> {
        let mut readers: HashMap<Value, usize> = HashMap::new();
        let mut read = |value: Value| *readers.entry(value).or_default() += 1;
        self.graph.outputs().iter().chain(self.graph.assignments()).for_each(|(_, value)| read(*value));
        for root in roots {
            self.fused[root].reads.iter().for_each(|number| read(self.stored[*number]));
        }
        let live = self.graph.live();
        for (_, entry) in self.graph.nodes().iter().enumerate().filter(|(node, _)| live[*node]) {
            if !matches!(entry.op, Op::Pointwise { .. }) {
                entry.inputs.iter().for_each(|input| read(*input));
            }
        }
        readers
    }

    /// The reductions of each value.
    pub(super) fn reductions(&self) -> HashMap<Value, Vec<usize>> {
        let mut reductions: HashMap<Value, Vec<usize>> = HashMap::new();
        let live = self.graph.live();
        for (node, entry) in self.graph.nodes().iter().enumerate().filter(|(node, _)| live[*node]) {
            if let (Op::Reduce { .. }, [input]) = (&entry.op, &entry.inputs[..]) {
                reductions.entry(*input).or_default().push(node);
            }
        }
        reductions
    }

    /// Reductions that become one, of what the kernel of `roots` computes: as many as can compute it themselves.
    pub(super) fn siblings(
        &self,
        roots: &[Value],
        readers: &HashMap<Value, usize>,
        reductions: &HashMap<Value, Vec<usize>>,
    ) -> Vec<Vec<usize>> {
        let reads: BTreeSet<usize> = roots.iter().flat_map(|root| &self.fused[root].reads).copied().collect();
        let operands = self.operands(roots, &reads);
        let mut nodes: Vec<usize> = roots.iter().filter_map(|root| reductions.get(root)).flatten().copied().collect();
        nodes.sort_unstable();
        let mut kinds: Vec<Kind> = Vec::new();
        for node in nodes {
            let Op::Reduce { reduction, axes } = &self.graph.nodes()[node].op else { continue };
            let known = kinds.iter().position(|kind| kind.reduction == *reduction && kind.axes == axes);
            let kind = known.unwrap_or_else(|| {
                kinds.push(Kind { reduction: *reduction, axes, groups: Vec::new() });
                kinds.len() - 1
            });
            let groups = &mut kinds[kind].groups;
            // What is stored as well as reduced takes a binding more.
            let fits = |group: &Vec<usize>| {
                let all = group.iter().copied().chain([node]);
                let stored = all.filter(|node| readers[&self.graph.nodes()[*node].inputs[0]] > 1).count();
                let count = group.len() + 1;
                count <= MOST_REDUCED && (operands + stored).max(2 * count) <= self.max_operands
            };
            match groups.last_mut().filter(|group| fits(group)) {
                Some(group) => group.push(node),
                None => groups.push(vec![node]),
            }
        }
        kinds.into_iter().flat_map(|kind| kind.groups).filter(|group| group.len() > 1).collect()
    }
}
