//! Sizes that depend on the batch, which is known only at run time.

use serde::{Deserialize, Serialize};

/// `fixed + per_sample * batch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// The part that does not depend on the batch.
    pub fixed: u64,
    /// What every sample of the batch adds.
    pub per_sample: u64,
}

impl Size {
    /// A size without the batch in it.
    pub const fn fixed(fixed: u64) -> Self {
        Self { fixed, per_sample: 0 }
    }

    /// A size proportional to the batch.
    pub const fn per_sample(per_sample: u64) -> Self {
        Self { fixed: 0, per_sample }
    }

    /// Its value for `batch` samples.
    pub const fn at(self, batch: u64) -> u64 {
        self.fixed + self.per_sample * batch
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { fixed: self.fixed + other.fixed, per_sample: self.per_sample + other.per_sample }
    }
}

impl std::ops::Mul<u64> for Size {
    type Output = Self;

    fn mul(self, by: u64) -> Self {
        Self { fixed: self.fixed * by, per_sample: self.per_sample * by }
    }
}

/// `ceil(items / per_workgroup) * times` workgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workgroups {
    /// What is shared out among workgroups.
    pub items: Size,
    /// How many of them one workgroup takes.
    pub per_workgroup: u64,
    /// The second factor, say the number of column tiles.
    pub times: u64,
}

impl Workgroups {
    /// The number of workgroups for `batch` samples.
    pub const fn count(self, batch: u64) -> u64 {
        self.items.at(batch).div_ceil(self.per_workgroup) * self.times
    }

    /// The grid `(x, y)` with `x <= longest` that holds [`count`](Self::count) workgroups.
    /// A shader finds its own number as `y * num_workgroups.x + x` and leaves when that is past the end.
    pub const fn grid(self, batch: u64, longest: u32) -> (u32, u32) {
        let count = self.count(batch);
        if count <= longest as u64 {
            return (count as u32, 1);
        }
        let y = count.div_ceil(longest as u64);
        (count.div_ceil(y) as u32, y as u32)
    }
}
