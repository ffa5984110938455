//! Forward-mode derivatives: Jacobian-vector products, several tangents at once on a leading axis.

use std::collections::HashMap;

use super::expr::{Expr, RandomDraw, Term};
use super::{ConvLayout, Graph, Layout, Op, Reduction, Shape, Tape, Value};

impl Graph {
    /// For `tangents` of shape `[k, shape of x…]`, one for each `x` in `wrt`: `∂y/∂x · ẋ` summed over the `x`, of shape
    /// `[k, shape of y…]`, for every `y` in `outputs`.
    ///
    /// Every `x` moves by its tangent alone, even if it depends on another.
    ///
    /// The k tangents go through the network together: an exact trace costs one pass of k times the rows, not k passes.
    ///
    /// # Panics
    /// If a tangent's shape is not its input's with a leading axis, or their leading lengths differ.
    pub fn jvp(&mut self, outputs: &[Value], wrt: &[Value], tangents: &[Value]) -> Vec<Value> {
        let count = self.shape(tangents[0]).dims()[0].at(0);
        let mut known: HashMap<Value, Value> = HashMap::new();
        for (x, tangent) in wrt.iter().zip(tangents) {
            assert_eq!(self.shape(*tangent), &self.shape(*x).with_leading(count), "a tangent is [k, shape of x]");
            known.insert(*x, *tangent);
        }
        let depends = self.depends_on(wrt);
        let needed = self.needed_for(outputs, wrt);
        for node in (0..needed.len()).filter(|node| depends[*node] && needed[*node]) {
            self.jvp_node(node, count, &mut known);
        }
        outputs
            .iter()
            .map(|y| {
                let shape = self.shape(*y).with_leading(count);
                known.get(y).copied().unwrap_or_else(|| self.full(0.0, shape))
            })
            .collect()
    }

    fn jvp_node(&mut self, node: usize, count: usize, known: &mut HashMap<Value, Value>) {
        let entry = self.nodes()[node].clone();
        let tangents: Vec<Option<Value>> = entry.inputs.iter().map(|input| known.get(input).copied()).collect();
        if tangents.iter().all(Option::is_none) {
            return;
        }
        let results: Vec<Option<Value>> = match &entry.op {
            Op::Composite(composite) => {
                let before: HashMap<Value, Value> = known.clone();
                let outputs = self.inline(composite, &entry.inputs);
                let wrt: Vec<Value> = entry.inputs.iter().copied().filter(|input| before.contains_key(input)).collect();
                let given: Vec<Value> = wrt.iter().map(|input| before[input]).collect();
                self.jvp(&outputs, &wrt, &given).into_iter().map(Some).collect()
            }
            Op::Pointwise { tape } => self.pointwise_jvp(tape, node, count, &tangents),
            _ => vec![self.linear_jvp(node, count, &tangents)],
        };
        for (output, tangent) in results.into_iter().enumerate() {
            if let Some(tangent) = tangent {
                known.entry(Value { node, output }).or_insert(tangent);
            }
        }
    }

    /// Which of the nodes there are now are computed on the way from `sources` to `outputs`.
    fn needed_for(&self, outputs: &[Value], sources: &[Value]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes().len()];
        let mut pending = outputs.to_vec();
        while let Some(value) = pending.pop() {
            if !sources.contains(&value) && !needed[value.node] {
                needed[value.node] = true;
                pending.extend(&self.node(value).inputs);
            }
        }
        needed
    }

    fn pointwise_jvp(
        &mut self,
        tape: &Tape,
        node: usize,
        count: usize,
        tangents: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        let entry = self.nodes()[node].clone();
        let shape = entry.types[0].shape.clone();
        let mut operands = entry.inputs.clone();
        let mut moving = Vec::new();
        for slot in tape.elementwise() {
            if let Some(tangent) = tangents[slot] {
                // [k, …] aligned with the output's axes: [k, 1, …, axes of the input].
                let aligned = self.shape(entry.inputs[slot]).padded_to(shape.rank()).with_leading(count);
                moving.push((slot, operands.len()));
                operands.push(self.reshape(tangent, aligned));
            }
        }
        let exprs = self.draws_once(tape, &mut operands, &shape, count);
        exprs
            .iter()
            .map(|expr| {
                let sum = moving.iter().fold(Expr::constant(0.0), |sum, (slot, operand)| {
                    sum + expr.derivative(*slot) * Expr::input(*operand)
                });
                (sum.as_constant() != Some(0.0)).then(|| self.compact_map(&operands, &sum, &shape.with_leading(count)))
            })
            .collect()
    }

    /// The tape's expressions for several tangents, which share the random numbers of their primal: these become
    /// operands, for what is drawn at `[k, …]` differs along k.
    fn draws_once(&mut self, tape: &Tape, operands: &mut Vec<Value>, shape: &Shape, count: usize) -> Vec<Expr> {
        let exprs = tape.to_exprs();
        if count == 1 {
            return exprs;
        }
        let rewritten = |expr: &Expr| {
            expr.rewrite(&mut HashMap::new(), &mut |term| {
                let drawn = match term {
                    Term::Random(draw) if !draw.per_sample => {
                        let alone = Expr::new(Term::Random(RandomDraw { clock: 0, ..*draw }));
                        self.map_to(&[operands[draw.clock]], &alone, shape)
                    }
                    Term::RandomAt(..) => self.compact_map(operands, &Expr::new(term.clone()), shape),
                    _ => return None,
                };
                operands.push(drawn);
                Some(Expr::input(operands.len() - 1))
            })
        };
        exprs.iter().map(rewritten).collect()
    }

    /// Ops that are linear in each input alone: the sum over inputs of the op with that input's tangent in its place.
    fn linear_jvp(&mut self, node: usize, count: usize, tangents: &[Option<Value>]) -> Option<Value> {
        let entry = self.nodes()[node].clone();
        let inputs = &entry.inputs;
        match &entry.op {
            Op::MatMul { layout } => {
                let mut sum = None;
                for (side, tangent) in tangents.iter().enumerate() {
                    let Some(tangent) = *tangent else { continue };
                    let part = if side == 0 && *layout != Layout::Tn {
                        // The tangents are more rows of the same product.
                        self.matmul(*layout, tangent, inputs[1])
                    } else {
                        self.each_tangent(tangent, count, |graph, single| {
                            let (a, b) = if side == 0 { (single, inputs[1]) } else { (inputs[0], single) };
                            graph.matmul(*layout, a, b)
                        })
                    };
                    sum = Some(sum.map_or(part, |sum| self.plus(sum, part)));
                }
                sum
            }
            Op::Conv { layout, geometry } => {
                let mut sum = None;
                for (side, tangent) in tangents.iter().enumerate() {
                    let Some(tangent) = *tangent else { continue };
                    let part = if side == 0 && *layout != ConvLayout::WeightGradient {
                        // The tangents are more images.
                        self.conv(*layout, *geometry, tangent, inputs[1])
                    } else {
                        self.each_tangent(tangent, count, |graph, single| {
                            let (a, b) = if side == 0 { (single, inputs[1]) } else { (inputs[0], single) };
                            graph.conv(*layout, *geometry, a, b)
                        })
                    };
                    sum = Some(sum.map_or(part, |sum| self.plus(sum, part)));
                }
                sum
            }
            Op::BatchMatMul { layout } => self.batch_matmul_jvp(*layout, inputs, tangents, count),
            Op::Permute { axes } => {
                let shifted: Vec<usize> = std::iter::once(0).chain(axes.iter().map(|axis| axis + 1)).collect();
                tangents[0].map(|tangent| self.permute(tangent, &shifted))
            }
            Op::Reduce { reduction, axes } => {
                assert!(inputs.len() == 1, "only fusion puts several together, after all derivatives");
                let (x, tangent) = (inputs[0], tangents[0]?);
                let shifted: Vec<usize> = axes.iter().map(|axis| axis + 1).collect();
                match reduction {
                    Reduction::Sum => Some(self.sum(tangent, &shifted)),
                    Reduction::Max => {
                        let y = Value { node, output: 0 };
                        let largest = Expr::input(0).less(Expr::input(1)).select(0.0, Expr::input(2));
                        let chosen = self.map(&[x, y, tangent], &largest);
                        Some(self.sum(chosen, &shifted))
                    }
                }
            }
            Op::Reshape => {
                let shape = entry.types[0].shape.with_leading(count);
                tangents[0].map(|tangent| self.reshape(tangent, shape))
            }
            Op::After => tangents[0].map(|tangent| self.after(tangent, inputs[1])),
            Op::Slice { axis, start, length } => {
                tangents[0].map(|tangent| self.slice(tangent, axis + 1, *start, *length))
            }
            Op::Concat { axis } => {
                let parts = self.tangents_or_zero(inputs, tangents, count);
                Some(self.concat(&parts, axis + 1))
            }
            Op::Pack { .. } => {
                let parts = self.tangents_or_zero(inputs, tangents, count);
                let rows: Vec<Value> = (0..count)
                    .map(|k| {
                        let single: Vec<Value> = parts.iter().map(|part| self.tangent(*part, k)).collect();
                        let packed = self.pack(&single);
                        let shape = self.shape(packed).with_leading(1);
                        self.reshape(packed, shape)
                    })
                    .collect();
                Some(self.concat(&rows, 0))
            }
            // Data, counters and records are constants; the rest has no inputs or its own rule.
            _ => None,
        }
    }

    fn tangents_or_zero(&mut self, inputs: &[Value], tangents: &[Option<Value>], count: usize) -> Vec<Value> {
        let mut parts = Vec::new();
        for (input, tangent) in inputs.iter().zip(tangents) {
            let shape = self.shape(*input).with_leading(count);
            parts.push(tangent.unwrap_or_else(|| self.full(0.0, shape)));
        }
        parts
    }

    /// Tangent `k` alone, without the leading axis.
    fn tangent(&mut self, tangents: Value, k: usize) -> Value {
        let single = self.slice(tangents, 0, k, 1);
        let shape = self.shape(single).clone();
        self.reshape(single, Shape::new(shape.dims()[1..].iter().copied()))
    }

    /// Applies `rule` to each tangent and stacks the results on a leading axis.
    fn each_tangent(
        &mut self,
        tangents: Value,
        count: usize,
        mut rule: impl FnMut(&mut Self, Value) -> Value,
    ) -> Value {
        let mut rows = Vec::new();
        for k in 0..count {
            let single = self.tangent(tangents, k);
            let result = rule(self, single);
            let shape = self.shape(result).with_leading(1);
            rows.push(self.reshape(result, shape));
        }
        self.concat(&rows, 0)
    }
}
