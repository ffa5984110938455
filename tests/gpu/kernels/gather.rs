//! Rows of a data set that lies on the device.

use super::unwritten;
use crate::common::kernel_harness::{floats, run};
use tweedie::graph::random;
use tweedie::kernels::gather::{self, Gather, Stored};
use tweedie::plan::Size;

/// Runs a gather for each chunk of a set of `n` rows.
fn gathered(stored: Stored, job: Gather, chunk: u64, clock: [u32; 4], batch: u64, data: &[u8]) -> Vec<u32> {
    let mut out = unwritten(batch * job.columns);
    let shader = gather::gather(stored, job.columns.is_multiple_of(4));
    let per_sample = Size::per_sample(1);
    for first_row in (0..job.n).step_by(chunk as usize) {
        let chunk_rows = chunk.min(job.n - first_row);
        let job = Gather { first_row, chunk_rows, ..job };
        let range = (first_row * job.columns) as usize..((first_row + chunk_rows) * job.columns) as usize;
        let words: Vec<u32> = match stored {
            Stored::Floats => data[range].iter().map(|b| (*b as f32).to_bits()).collect(),
            Stored::Bytes => {
                let word = |quad: &[u8]| quad.iter().rev().fold(0, |word, byte| word << 8 | *byte as u32);
                data[range].chunks(4).map(word).collect()
            }
        };
        let groups = gather::workgroups(&job, per_sample);
        let buffers = [clock.to_vec(), words, out];
        out = run(&shader, &gather::constants(&job, per_sample), groups, (batch, 3), &buffers).swap_remove(2);
    }
    out
}

#[test]
fn gather_reads_the_rows_that_the_host_names() {
    for (stored, columns) in [(Stored::Bytes, 68), (Stored::Bytes, 7), (Stored::Floats, 12), (Stored::Floats, 3)] {
        for (n, chunk, batch, clock) in [
            (23, 23, 50, [0, 0, 5, 6]),
            (37, 10, 13, [9, 4, 5, 6]),
            (1, 1, 3, [2, 0, 5, 6]),
            (97, 97, 9, [u32::MAX - 1, u32::MAX - 3, 7, 8]),
        ] {
            let data: Vec<u8> = (0..n * columns).map(|i| (i * 37 + i / columns * 11) as u8).collect();
            for shuffled in [true, false] {
                let total_batch = if clock[0] > 100 { 1 << 20 } else { batch };
                let job = Gather {
                    columns,
                    total_batch: Size::fixed(total_batch),
                    n,
                    first_row: 0,
                    chunk_rows: n,
                    shuffled,
                    scale: 0.5,
                    shift: -3.0,
                };
                let out = floats(&gathered(stored, job, chunk, clock, batch, &data));
                for b in 0..batch {
                    let position = clock[0] as u64 * total_batch + clock[1] as u64 + b;
                    let row = match shuffled {
                        true => random::row(position, n as u32, [clock[2], clock[3]]) as u64,
                        false => position % n,
                    };
                    for c in 0..columns {
                        let expected = 0.5 * data[(row * columns + c) as usize] as f32 - 3.0;
                        assert_eq!(
                            out[(b * columns + c) as usize],
                            expected,
                            "{stored:?} n = {n}, sample {b}, column {c}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_epoch_of_gathers_reads_each_row_once() {
    let (n, columns, batch) = (101u64, 1, 20);
    let data: Vec<u8> = (0..n).map(|i| i as u8).collect();
    let job = Gather {
        columns,
        total_batch: Size::per_sample(1),
        n,
        first_row: 0,
        chunk_rows: n,
        shuffled: true,
        scale: 1.0,
        shift: 0.0,
    };
    let steps = (0..11).flat_map(|step| gathered(Stored::Bytes, job, n, [step, 0, 3, 4], batch, &data));
    let rows: Vec<u32> = steps.map(|word| f32::from_bits(word) as u32).collect();
    let (first, second) = (&rows[..101], &rows[101..202]);
    for epoch in [first, second] {
        let mut sorted = epoch.to_vec();
        sorted.sort();
        assert_eq!(sorted, (0..101).collect::<Vec<_>>());
    }
    assert_ne!(first, second, "each epoch has an order of its own");
}
