//! Reverse-mode derivatives: vector-Jacobian products, as more nodes of the same graph.

use std::collections::{BTreeMap, HashMap};

use super::expr::{Expr, Term};
use super::matrices::inverse;
use super::{Graph, KnownComposite, Layout, Op, Reduction, Shape, Tape, Value};

impl Graph {
    /// For outputs `y` and cotangents `u` of the same shapes: `uᵀ ∂y/∂x` for every `x` in `wrt`, in its shape.
    ///
    /// Random draws, data, tables and clocks are constants. Differentiates through every primitive and into composites.
    ///
    /// # Panics
    /// If a cotangent has not the shape of its output.
    pub fn vjp(&mut self, outputs: &[Value], cotangents: &[Value], wrt: &[Value]) -> Vec<Value> {
        let depends = self.depends_on(wrt);
        let mut results: HashMap<Value, Value> = HashMap::new();
        // Pending cotangents by node. The highest node is taken first, so that all its users have had their say;
        // should a composite's body share a node that was taken already, that node is taken again, which is right
        // because the rules are linear in the cotangent.
        let mut pending: BTreeMap<usize, Vec<Option<Value>>> = BTreeMap::new();
        for (output, cotangent) in outputs.iter().zip(cotangents) {
            assert_eq!(self.shape(*output), self.shape(*cotangent), "a cotangent has the shape of its output");
            self.push_cotangent(&mut pending, &mut results, wrt, *output, *cotangent);
        }
        while let Some((node, cotangents)) = pending.pop_last() {
            if depends.get(node).is_some_and(|depends| !depends) {
                continue;
            }
            if let Some(output) = self.again(node, &cotangents, wrt) {
                let cotangent = cotangents[output.output].expect("of the output that was built again");
                self.push_cotangent(&mut pending, &mut results, wrt, output, cotangent);
                continue;
            }
            for (input, cotangent) in self.vjp_rule(node, &cotangents) {
                self.push_cotangent(&mut pending, &mut results, wrt, input, cotangent);
            }
        }
        wrt.iter().map(|x| results.get(x).copied().unwrap_or_else(|| self.full(0.0, self.shape(*x).clone()))).collect()
    }

    /// The gradient of a scalar (one element) with respect to `wrt`.
    pub fn gradient(&mut self, scalar: Value, wrt: &[Value]) -> Vec<Value> {
        let one = self.full(1.0, self.shape(scalar).clone());
        self.vjp(&[scalar], &[one], wrt)
    }

    /// Which of the nodes there are now depend on one of `sources`.
    pub(super) fn depends_on(&self, sources: &[Value]) -> Vec<bool> {
        let mut depends = vec![false; self.nodes().len()];
        for source in sources {
            depends[source.node] = true;
        }
        for (node, entry) in self.nodes().iter().enumerate() {
            depends[node] |= entry.inputs.iter().any(|input| depends[input.node]);
        }
        depends
    }

    fn push_cotangent(
        &mut self,
        pending: &mut BTreeMap<usize, Vec<Option<Value>>>,
        results: &mut HashMap<Value, Value>,
        wrt: &[Value],
        value: Value,
        cotangent: Value,
    ) {
        if wrt.contains(&value) {
            let sum = results.get(&value).copied().map_or(cotangent, |sum| self.add_cotangents(sum, cotangent));
            results.insert(value, sum);
        }
        if self.node(value).inputs.is_empty() {
            return;
        }
        let outputs = self.node(value).types.len();
        let slot = pending.entry(value.node).or_insert_with(|| vec![None; outputs])[value.output];
        let sum = slot.map_or(cotangent, |sum| self.add_cotangents(sum, cotangent));
        pending.get_mut(&value.node).expect("just inserted")[value.output] = Some(sum);
    }

    /// The cotangents of the inputs of `node`, given those of its outputs.
    fn vjp_rule(&mut self, node: usize, cotangents: &[Option<Value>]) -> Vec<(Value, Value)> {
        let entry = self.nodes()[node].clone();
        let cotangent = cotangents[0];
        let inputs = &entry.inputs;
        match (&entry.op, cotangent) {
            (Op::Pointwise { tape }, _) => self.pointwise_vjp(tape, inputs, &entry.types[0].shape, cotangents),
            (Op::Composite(composite), _) => {
                if let (Some(KnownComposite::Attention(attention)), Some(u)) = (composite.known, cotangent) {
                    return inputs.iter().copied().zip(self.attention_vjp(composite, attention, inputs, u)).collect();
                }
                let outputs = self.inline(composite, inputs);
                outputs.into_iter().zip(cotangents).filter_map(|(output, u)| u.map(|u| (output, u))).collect()
            }
            (_, None) => Vec::new(),
            (Op::MatMul { layout }, Some(u)) => {
                let (a, b) = (inputs[0], inputs[1]);
                let (da, db) = match layout {
                    Layout::Nn => (self.matmul(Layout::Nt, u, b), self.matmul(Layout::Tn, a, u)),
                    Layout::Nt => (self.matmul(Layout::Nn, u, b), self.matmul(Layout::Tn, u, a)),
                    Layout::Tn => (self.matmul(Layout::Nt, b, u), self.matmul(Layout::Nn, a, u)),
                };
                vec![(a, da), (b, db)]
            }
            (Op::Conv { layout, geometry }, Some(u)) => {
                let (a, b) = (inputs[0], inputs[1]);
                let [da, db] = self.conv_vjp(*layout, *geometry, [a, b], u);
                vec![(a, da), (b, db)]
            }
            (Op::BatchMatMul { layout }, Some(u)) => self.batch_matmul_vjp(*layout, inputs[0], inputs[1], u),
            (Op::Permute { axes }, Some(u)) => vec![(inputs[0], self.permute(u, &inverse(axes)))],
            (Op::Reduce { reduction, .. }, Some(u)) => {
                assert!(inputs.len() == 1, "only fusion puts several together, after all derivatives");
                let x = inputs[0];
                let shape = self.shape(x).clone();
                let dx = match reduction {
                    Reduction::Sum => self.map_to(&[u], &Expr::input(0), &shape),
                    Reduction::Max => {
                        let y = Value { node, output: 0 };
                        let largest = Expr::input(0).less(Expr::input(1)).select(0.0, Expr::input(2));
                        self.map(&[x, y, u], &largest)
                    }
                };
                vec![(x, dx)]
            }
            (Op::Reshape, Some(u)) => {
                let shape = self.shape(inputs[0]).clone();
                vec![(inputs[0], self.reshape(u, shape))]
            }
            (Op::After, Some(u)) => vec![(inputs[0], u)],
            (Op::Slice { axis, start, length }, Some(u)) => {
                let whole = self.shape(inputs[0]).clone();
                let total = whole.dims()[*axis].at(0);
                let mut parts = Vec::new();
                if *start > 0 {
                    parts.push(self.full(0.0, whole.with_axis(*axis, (*start).into())));
                }
                parts.push(u);
                if start + length < total {
                    parts.push(self.full(0.0, whole.with_axis(*axis, (total - start - length).into())));
                }
                vec![(inputs[0], self.concat(&parts, *axis))]
            }
            (Op::Concat { axis }, Some(u)) => {
                let mut start = 0;
                let mut result = Vec::new();
                for input in inputs {
                    let length = self.shape(*input).dims()[*axis].at(0);
                    result.push((*input, self.slice(u, *axis, start, length)));
                    start += length;
                }
                result
            }
            (Op::Pack { offsets }, Some(u)) => {
                let mut result = Vec::new();
                for (input, offset) in inputs.iter().zip(offsets) {
                    let shape = self.shape(*input).clone();
                    let part = self.slice(u, 0, *offset, shape.fixed_elements());
                    result.push((*input, self.reshape(part, shape)));
                }
                result
            }
            (Op::Input { .. } | Op::Parameter { .. } | Op::State { .. }, _) => Vec::new(),
            // Data, counters and records are constants.
            (Op::Gather { .. } | Op::RingPush | Op::Tick { .. }, _) => Vec::new(),
        }
    }

    fn pointwise_vjp(
        &mut self,
        tape: &Tape,
        inputs: &[Value],
        shape: &Shape,
        cotangents: &[Option<Value>],
    ) -> Vec<(Value, Value)> {
        let exprs = tape.to_exprs();
        let given: Vec<(usize, Value)> =
            cotangents.iter().enumerate().filter_map(|(output, u)| u.map(|u| (output, u))).collect();
        let mut operands = inputs.to_vec();
        operands.extend(given.iter().map(|(_, u)| *u));
        let mut result = Vec::new();
        for slot in tape.elementwise() {
            let mut sum = Expr::constant(0.0);
            for (i, (output, _)) in given.iter().enumerate() {
                sum = sum + Expr::input(inputs.len() + i) * exprs[*output].derivative(slot);
            }
            if sum.as_constant() == Some(0.0) {
                continue;
            }
            let wide = self.compact_map(&operands, &sum, shape);
            let target = self.shape(inputs[slot]).clone();
            result.push((inputs[slot], self.unbroadcast(wide, &target)));
        }
        result
    }

    /// [`map_to`](Self::map_to) that leaves out the operands that the expression does not read, and makes no copy of
    /// one.
    pub(super) fn compact_map(&mut self, operands: &[Value], expr: &Expr, shape: &Shape) -> Value {
        if let Term::Input(slot) = expr.term()
            && self.shape(operands[*slot]) == shape
        {
            return operands[*slot];
        }
        let tape = Tape::new(std::slice::from_ref(expr));
        let used = tape.inputs();
        let place = |slot: usize| used.binary_search(&slot).expect("used holds every input");
        let renumbered = Tape { terms: tape.terms.iter().map(|term| term.renumber(place)).collect(), ..tape };
        let operands: Vec<Value> = used.iter().map(|slot| operands[*slot]).collect();
        self.map_to(&operands, &renumbered.to_exprs()[0], shape)
    }

    /// The transpose of broadcasting: sums over the axes that `target` does not have.
    fn unbroadcast(&mut self, wide: Value, target: &Shape) -> Value {
        let shape = self.shape(wide).clone();
        let padded = target.padded_to(shape.rank());
        let axes: Vec<usize> = (0..shape.rank()).filter(|axis| padded.dims()[*axis] != shape.dims()[*axis]).collect();
        let sum = self.sum(wide, &axes);
        self.reshape(sum, target.clone())
    }
}
