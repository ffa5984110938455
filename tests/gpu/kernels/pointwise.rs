//! Each element once, however the grid is folded.

use super::WIDE;
use crate::common::kernel_harness::{bits, floats, run};
use tweedie::kernels::{Binding, Element, Hooks, pointwise};
use tweedie::plan::{Constant, Size};

#[test]
fn pointwise_visits_every_element_once() {
    let hooks = Hooks {
        constants: vec!["offset: u32".to_string()],
        bindings: vec![Binding::write("seen", Element::F32)],
        body: "let at = row * constants.columns + col;\n\
               store_seen(at, valid, load_seen(at, valid) + vec4<f32>(f32(at + constants.offset)));"
            .to_string(),
        ..Hooks::default()
    };
    let shader = pointwise::pointwise(&hooks);
    for (rows, columns, longest) in [(1, 1, WIDE), (5, 3, WIDE), (67, 130, 2), (130, 33, 64), (3, 1030, 3)] {
        let size = Size { fixed: 0, per_sample: rows };
        for (mut constants, groups) in [
            (pointwise::constants(size, columns), pointwise::workgroups(size, columns)),
            (pointwise::flat_constants(size * columns), pointwise::flat_workgroups(size * columns)),
        ] {
            let flat = constants[0] == Constant::U32(Size::fixed(1));
            constants.push(Constant::U32(Size::fixed(7)));
            let before = bits(&vec![0.25; (rows * columns) as usize]);
            let after = run(&shader, &constants, groups, (1, longest), &[before]);
            let columns = if flat { rows * columns } else { columns };
            for (at, value) in (0..).zip(floats(&after[0])) {
                let first = at / columns * columns + at % columns / 4 * 4;
                assert_eq!(value, (first + 7) as f32 + 0.25, "{rows}x{columns} at {at}");
            }
        }
    }
}
