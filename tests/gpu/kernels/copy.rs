//! Boxes copied between views.

use super::{WIDE, noise, unwritten};
use crate::common::kernel_harness::{bits, run};
use tweedie::kernels::copy::{self, Box4, Side};
use tweedie::plan::Size;

#[test]
fn copies_move_what_they_should_and_nothing_else() {
    let fixed = |values: [u64; 4]| values.map(Size::fixed);
    let dense = |sizes: [u64; 4]| [sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1];
    // sizes, input (offset, strides, floats), output likewise.
    type Part = (u64, [u64; 4], u64);
    let cases: [([u64; 4], Part, Part); 4] = [
        // A transposition of the middle dimensions.
        ([3, 5, 2, 7], (0, dense([3, 5, 2, 7]), 210), (0, [70, 7, 35, 1], 210)),
        // Columns 3.. of 17 into columns 1.. of 5.
        ([1, 1, 33, 4], (3, [0, 0, 17, 1], 561), (1, [0, 0, 5, 1], 165)),
        // A broadcast of a row.
        ([1, 1, 9, 5], (0, [0, 0, 0, 1], 5), (0, [0, 0, 5, 1], 45)),
        // Whole vectors: into the right half of rows of 24.
        ([1, 67, 3, 8], (0, [0, 24, 8, 1], 1608), (8, [0, 72, 24, 1], 4824)),
    ];
    for (i, (sizes, (from, from_strides, from_floats), (to, to_strides, to_floats))) in cases.into_iter().enumerate() {
        let job = Box4 {
            sizes: fixed(sizes),
            input: Side { offset: Size::fixed(from), strides: fixed(from_strides) },
            output: Side { offset: Size::fixed(to), strides: fixed(to_strides) },
        };
        assert_eq!(job.quads(), i == 3);
        let input = noise(from_floats, 8);
        let buffers = [bits(&input), unwritten(to_floats)];
        let after = run(&copy::copy(job.quads()), &copy::constants(&job), copy::workgroups(&job), (1, 2), &buffers);
        let mut expected = unwritten(to_floats);
        for element in 0..sizes.iter().product() {
            let (mut rest, mut places) = (element, [from, to]);
            for d in (0..4).rev() {
                places[0] += rest % sizes[d] * from_strides[d];
                places[1] += rest % sizes[d] * to_strides[d];
                rest /= sizes[d];
            }
            expected[places[1] as usize] = input[places[0] as usize].to_bits();
        }
        assert!(after[1] == expected, "copy {i}");
    }
}

#[test]
fn copies_follow_the_batch() {
    let job = Box4 {
        sizes: [Size::per_sample(1), Size::fixed(1), Size::fixed(1), Size::fixed(6)],
        input: Side {
            offset: Size::per_sample(2),
            strides: [Size::fixed(6), Size::fixed(0), Size::fixed(0), Size::fixed(1)],
        },
        output: Side {
            offset: Size::fixed(0),
            strides: [Size::fixed(1), Size::fixed(0), Size::fixed(0), Size::per_sample(1)],
        },
    };
    assert!(!job.quads());
    let buffers = [bits(&noise(5 * 8, 9)), unwritten(30)];
    let after = run(&copy::copy(false), &copy::constants(&job), copy::workgroups(&job), (5, WIDE), &buffers);
    for (b, c) in (0..5).flat_map(|b| (0..6).map(move |c| (b, c))) {
        assert_eq!(after[1][c * 5 + b], buffers[0][10 + b * 6 + c]);
    }
}
