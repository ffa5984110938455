//! Symbolic derivatives of pointwise expressions.

use std::collections::HashMap;

use super::expr::{Binary, Expr, Term, Unary};

impl Expr {
    /// The partial derivative with respect to input `slot`, again an expression. Random draws, tables, steps and
    /// comparisons do not depend on an input: their derivative is 0.
    pub fn derivative(&self, slot: usize) -> Self {
        derivative(self, slot, &mut HashMap::new())
    }
}

fn derivative(expr: &Expr, slot: usize, done: &mut HashMap<usize, Expr>) -> Expr {
    if let Some(known) = done.get(&expr.address()) {
        return known.clone();
    }
    let zero = || Expr::constant(0.0);
    let result = match expr.term() {
        Term::Input(input) => Expr::constant(f64::from(u8::from(*input == slot))),
        Term::Constant(_) | Term::Batch | Term::Column | Term::Step(_) | Term::Table { .. } => zero(),
        Term::Random(_) | Term::RandomAt(..) => zero(),
        Term::Unary(op, x) => {
            let dx = derivative(x, slot, done);
            if dx.as_constant() == Some(0.0) { zero() } else { unary(*op, x, expr) * dx }
        }
        Term::Binary(op, a, b) => {
            let (da, db) = (derivative(a, slot, done), derivative(b, slot, done));
            match op {
                Binary::Add => da + db,
                Binary::Sub => da - db,
                Binary::Mul => da * b + a * db,
                // (a/b)′ = (a′ − (a/b) b′) / b, which reuses the quotient.
                Binary::Div => (da - expr * &db) / b,
                Binary::Max => a.less(b).select(db, da),
                Binary::Min => b.less(a).select(db, da),
                Binary::Less => zero(),
            }
        }
        Term::Select(condition, yes, no) => {
            let (dyes, dno) = (derivative(yes, slot, done), derivative(no, slot, done));
            if dyes.as_constant() == Some(0.0) && dno.as_constant() == Some(0.0) {
                zero()
            } else {
                condition.select(dyes, dno)
            }
        }
    };
    done.insert(expr.address(), result.clone());
    result
}

/// The derivative of `y = op(x)` at x, written with y where that saves work.
fn unary(op: Unary, x: &Expr, y: &Expr) -> Expr {
    match op {
        Unary::Neg => Expr::constant(-1.0),
        Unary::Abs => x.less(0.0).select(-1.0, 1.0),
        Unary::Exp => y.clone(),
        Unary::Expm1 => y + 1.0,
        Unary::Ln => 1.0 / x,
        Unary::Log1p => 1.0 / (x + 1.0),
        Unary::Sqrt => 0.5 / y,
        Unary::Sin => x.cos(),
        Unary::Cos => -x.sin(),
        Unary::Tanh => 1.0 - y.square(),
        Unary::Sigmoid => y * &(1.0 - y),
        Unary::Softplus => x.sigmoid(),
        Unary::IsFinite | Unary::Detached => Expr::constant(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Tape;

    fn value(expr: &Expr, x: f64, y: f64) -> f64 {
        Tape::new(std::slice::from_ref(expr)).evaluate(&[x, y])[0]
    }

    #[test]
    fn every_rule_agrees_with_central_differences() {
        let (x, y) = (Expr::input(0), Expr::input(1));
        let cases = [
            -&x,
            (&x - 1.0).abs(),
            (&x * &y).exp(),
            (&x * &y).expm1(),
            (&x + &y).ln(),
            (&x * &y).log1p(),
            (&x + 2.0 * &y).sqrt(),
            (&x * 3.0).sin() * &y,
            (&x * &y).cos(),
            (&x - &y).tanh(),
            (&x * 2.0).sigmoid() / &y,
            (&x - 1.0).softplus(),
            &x / (&y + x.square()),
            x.max(&y * 2.0),
            x.min(&y * 2.0),
            x.less(&y).select(&x * 3.0, x.square()),
            x.silu(),
            x.is_finite() * &x,
        ];
        for (i, case) in cases.iter().enumerate() {
            for (slot, (a, b)) in [(0, (0.7, 0.4)), (1, (0.7, 0.4)), (0, (0.3, 1.1)), (1, (0.3, 1.1))] {
                let h = 1e-5;
                let (da, db) = if slot == 0 { (h, 0.0) } else { (0.0, h) };
                let numeric = (value(case, a + da, b + db) - value(case, a - da, b - db)) / (2.0 * h);
                let symbolic = value(&case.derivative(slot), a, b);
                assert!((numeric - symbolic).abs() < 1e-8, "case {i} input {slot}: {symbolic} against {numeric}");
            }
        }
    }
}
