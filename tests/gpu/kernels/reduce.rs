//! Reductions, their prologues, and sums that keep their digits.

use super::{WIDE, assert_near, noise, unwritten};
use crate::common::kernel_harness::{bits, floats, run};
use tweedie::graph::Reduction;
use tweedie::kernels::reduce::{self, Over, Shape};
use tweedie::kernels::{Binding, Element, Hooks};
use tweedie::plan::Size;

/// Reduces `values[rows, columns]` with this many chunks, and the partial results after that.
fn reduced(
    over: Over,
    op: Reduction,
    shape: Shape,
    values: &[f32],
    (rows, columns): (u64, u64),
    chunks: u64,
    longest: u32,
) -> Vec<f32> {
    let aligned = columns.is_multiple_of(4);
    let left = if over == Over::Columns { rows } else { columns };
    let once = |values: Vec<u32>, rows: u64, columns: u64, chunks: u64, aligned: bool| {
        // Rows that depend on the batch.
        let size = Size { fixed: rows - 1, per_sample: 1 };
        let groups = reduce::workgroups(over, shape, size, columns, chunks);
        let constants = reduce::constants(size, Size::fixed(columns), chunks);
        let shader = reduce::reduce(over, op, shape, 1, &reduce::load(aligned, 1));
        run(&shader, &constants, groups, (1, longest), &[unwritten(left * chunks), values]).swap_remove(0)
    };
    let mut result = once(bits(values), rows, columns, chunks, aligned);
    if chunks > 1 {
        let (rows, columns) = if over == Over::Columns { (rows, chunks) } else { (chunks, columns) };
        // Shapes as before, so that this needs few more pipelines.
        result = once(result, rows, columns, 1, aligned && columns.is_multiple_of(4));
    }
    floats(&result)
}

#[test]
fn reductions_agree_with_their_definition() {
    for (over, op, software) in [
        (Over::Columns, Reduction::Sum, false),
        (Over::Columns, Reduction::Max, true),
        (Over::Rows, Reduction::Max, false),
        (Over::Rows, Reduction::Sum, true),
    ] {
        for shape in reduce::shapes(over, software) {
            let sizes = [((1, 1), 1), ((5, 3), 1), ((67, 130), 3), ((3, 1028), 2), ((130, 17), 5), ((33, 68), 1)];
            for ((rows, columns), chunks) in sizes {
                let values = noise(rows * columns, 4);
                let actual = reduced(over, op, *shape, &values, (rows, columns), chunks, 3);
                let at = |r: u64, c: u64| values[(r * columns + c) as usize] as f64;
                for (i, actual) in (0..).zip(actual) {
                    let line: Vec<f64> = match over {
                        Over::Columns => (0..columns).map(|c| at(i, c)).collect(),
                        Over::Rows => (0..rows).map(|r| at(r, i)).collect(),
                    };
                    let (expected, scale) = match op {
                        Reduction::Sum => (line.iter().sum(), line.iter().map(|x| x.abs()).sum()),
                        Reduction::Max => (line.iter().copied().fold(f64::MIN, f64::max), 0.0),
                    };
                    assert_near(
                        actual,
                        expected,
                        scale,
                        1e-6,
                        &format!("{op:?} {over:?} {shape:?} {rows}x{columns} at {i}"),
                    );
                }
            }
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    // A million times 0.1: one running f32 sum would be wrong by about 1 %.
    let count = 1_000_000;
    let values = vec![0.1; count as usize];
    for software in [false, true] {
        let shape = reduce::choose(Over::Columns, count, software);
        let chunks = reduce::chunks(Over::Columns, shape, 1, count);
        assert!(chunks > 1, "a long sum is cut");
        let sum = reduced(Over::Columns, Reduction::Sum, shape, &values, (1, count), chunks, WIDE)[0];
        assert_near(sum, count as f64 * 0.1f32 as f64, count as f64 * 0.1, 1e-6, "long sum");
    }
}

#[test]
fn a_prologue_runs_once_for_each_quad_may_store_and_gives_several_sums() {
    for (over, shape) in
        [(Over::Columns, Shape { threads: 64, lanes: 8 }), (Over::Rows, Shape { threads: 8, lanes: 8 })]
    {
        let hooks = Hooks {
            bindings: vec![Binding::write("visits", Element::F32)],
            body: "let at = row * constants.columns + col;\n\
                   store_visits(at, valid, load_visits(at, valid) + vec4<f32>(f32(row)));\n\
                   let value_0 = vec4<f32>(f32(col)) + vec4<f32>(0.0, 1.0, 2.0, 3.0);\n\
                   let value_1 = vec4<f32>(f32(row * row));\n\
                   let value_2 = value_0 * value_0;"
                .to_string(),
            ..Hooks::default()
        };
        let (rows, columns) = (9, 39);
        let left = if over == Over::Columns { rows } else { columns };
        let after = run(
            &reduce::reduce(over, Reduction::Sum, shape, 3, &hooks),
            &reduce::constants(Size::fixed(rows), Size::fixed(columns), 1),
            reduce::workgroups(over, shape, Size::fixed(rows), columns, 1),
            (1, WIDE),
            &[unwritten(left), unwritten(left), unwritten(left), bits(&vec![0.5; (rows * columns) as usize])],
        );
        for (at, visits) in (0..).zip(floats(&after[3])) {
            assert_eq!(visits, (at / columns) as f32 + 0.5);
        }
        for i in 0..left {
            let line = |value: &dyn Fn(u64, u64) -> u64| -> u64 {
                match over {
                    Over::Columns => (0..columns).map(|column| value(i, column)).sum(),
                    Over::Rows => (0..rows).map(|row| value(row, i)).sum(),
                }
            };
            let expected = [line(&|_, column| column), line(&|row, _| row * row), line(&|_, column| column * column)];
            let sums = [0, 1, 2].map(|output| floats(&after[output])[i as usize] as u64);
            assert_eq!(sums, expected, "{over:?} at {i}");
        }
    }
}
