//! The CPU executor, op by op, against naive twins in f64, definitions and published properties.

mod draw;
mod functions;
mod gather;
mod matmul;
mod pointwise;
mod program;
mod reduce;
mod states;
mod views;

use tweedie::graph::Expr;

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}
