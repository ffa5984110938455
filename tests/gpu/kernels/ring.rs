//! Losses through the ring, and the clock.

use super::{UNWRITTEN, WIDE, unwritten};
use crate::common::kernel_harness::{bits, run};
use tweedie::graph::Tick;
use tweedie::kernels::{ring, tick};
use tweedie::plan::{Size, Workgroups};

#[test]
fn ring_and_clock_stop_when_the_status_is_not_zero() {
    let one = Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 };
    assert_eq!((ring::workgroups(), tick::workgroups()), (one, one));
    for (status, runs) in
        [(0.0, true), (-0.0, true), (1.0, false), (f32::NAN, false), (f32::INFINITY, false), (1e-40, false)]
    {
        let clock = vec![u32::MAX, 1, 2, 3];
        let after = run(&tick::tick(), &tick::constants(Tick::Step), one, (1, WIDE), &[bits(&[status]), clock.clone()]);
        assert_eq!(after[1], if runs { vec![0, 1, 2, 3] } else { clock.clone() }, "status {status}");
        for (by, next) in [(Tick::MicroBatch, [u32::MAX, 6, 2, 3]), (Tick::Last, [0, 0, 2, 3])] {
            let after = run(&tick::tick(), &tick::constants(by), one, (5, WIDE), &[bits(&[status]), clock.clone()]);
            assert_eq!(after[1], if runs { next.to_vec() } else { clock.clone() }, "{by:?}, status {status}");
        }

        for record in [1, 3] {
            let mut buffers = vec![vec![9, 0, 0, 0], bits(&[status]), unwritten(7 * record as u64)];
            buffers.extend((0..record).map(|i| bits(&[i as f32 + 0.5])));
            let after = run(&ring::ring(record), &ring::constants(7), one, (1, WIDE), &buffers);
            for (place, word) in (0..).zip(&after[2]) {
                let hit = runs && place / record == 9 % 7;
                assert_eq!(*word, if hit { ((place % record) as f32 + 0.5).to_bits() } else { UNWRITTEN });
            }
        }
    }
}
