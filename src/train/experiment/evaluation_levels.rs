//! At which noise level each sample of an evaluation is seen.

use crate::graph::random::permute;
use crate::train::experiment::{Experiment, LEVELS};

/// Keeps what an evaluation draws apart from what training draws with the same seed.
const SEED: u64 = 0x7477_6565_6469_6500;

impl Experiment {
    /// The seed of a run's evaluations: samples, levels and noise are the same in all of them.
    pub(in crate::train) fn evaluation_seed(&self) -> u64 {
        self.config.train.seed ^ SEED
    }
}

/// The number of the level, below [`LEVELS`], of each of `samples` samples, which are held-out row i mod `rows` for
/// sample i.
///
/// Each level has its turn equally often, where `samples` is a multiple of [`LEVELS`]. Of ten neighbouring rows, the
/// seed says which is seen at which level. A row that is seen ten times is seen at each level once.
///
/// In a round over the rows, each has a place: rows change places within stretches of ten, and none crosses the end of
/// the last round. So sample i of the evaluation becomes number j of the same count, and has level j mod 10, plus 1
/// from each multiple of both `rows` and 10 on, where the same levels would come to the same rows again.
pub fn levels_of_samples(rows: usize, samples: usize, seed: u64) -> Vec<usize> {
    let last_round = samples % rows;
    let key = [seed as u32, (seed >> 32) as u32];
    let place = |row: usize| {
        let mut start = row - row % LEVELS;
        let mut end = (start + LEVELS).min(rows);
        if (start + 1..end).contains(&last_round) {
            (start, end) = if row < last_round { (start, last_round) } else { (last_round, end) };
        }
        start + permute((row - start) as u32, (end - start) as u32, key, start as u32) as usize
    };
    let shared = common_divisor(rows, LEVELS);
    let level = |sample: usize| {
        let (round, row) = (sample / rows, sample % rows);
        (round * rows + place(row) + round * shared / LEVELS) % LEVELS
    };
    (0..samples).map(level).collect()
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held-out samples, and samples of an evaluation: fewer, as many and more than the rounds are long.
    const CASES: [(usize, usize); 12] = [
        (1, 1030),
        (3, 1030),
        (5, 1030),
        (6, 1030),
        (10, 1030),
        (50, 1030),
        (105, 1030),
        (299, 1030),
        (512, 1030),
        (1024, 1030),
        (2000, 2000),
        (10_007, 10_010),
    ];

    #[test]
    fn every_level_has_its_turn_equally_often() {
        for (rows, samples) in CASES {
            let levels = levels_of_samples(rows, samples, 7);
            for level in 0..LEVELS {
                let count = levels.iter().filter(|found| **found == level).count();
                assert_eq!(count, samples / LEVELS, "level {level} of {samples} samples, {rows} rows");
            }
            // And in each whole round as nearly as its length allows.
            for (round, levels) in levels.chunks_exact(rows).enumerate() {
                for level in 0..LEVELS {
                    let count = levels.iter().filter(|found| **found == level).count();
                    assert!(
                        count.abs_diff(rows / LEVELS) <= 1,
                        "level {level} in round {round} of {rows} rows: {count}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_row_is_seen_at_another_level_in_each_of_ten_rounds() {
        for (rows, samples) in CASES {
            let levels = levels_of_samples(rows, samples, 7);
            for row in 0..rows {
                let seen: Vec<usize> = levels[row..].iter().step_by(rows).copied().collect();
                for seen in seen.chunks(LEVELS) {
                    let mut distinct = seen.to_vec();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert_eq!(distinct.len(), seen.len(), "row {row} of {rows} is seen at {seen:?}");
                }
            }
        }
    }

    #[test]
    fn another_seed_pairs_rows_and_levels_otherwise() {
        let (rows, samples, seeds) = (2000, 2000, 200);
        let all: Vec<Vec<usize>> = (0..seeds).map(|seed| levels_of_samples(rows, samples, seed)).collect();
        assert_eq!(all[3], levels_of_samples(rows, samples, 3));
        // Of each row, all levels are equally likely: chi-square with 9 degrees of freedom, over all rows together.
        let mut total = 0.0;
        for row in 0..rows {
            let count = |level| all.iter().filter(|levels| levels[row] == level).count() as f64;
            let expected = seeds as f64 / LEVELS as f64;
            total += (0..LEVELS).map(|level| (count(level) - expected).powi(2) / expected).sum::<f64>();
        }
        let freedom = 9.0 * rows as f64;
        assert!((total - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "chi-square {total} of {freedom}");
        // Neighbouring blocks go by permutations of their own.
        let alike = all.iter().filter(|levels| levels[..10] == levels[10..20]).count();
        assert!(alike < 2, "{alike}");
    }
}
