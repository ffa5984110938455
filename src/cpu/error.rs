//! What can go wrong when a program runs.

/// Why a program could not run. The store is unchanged by the run that fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// The graph reads an input that was not given.
    #[error("input `{name}` is missing: this program needs {expected} elements under that name")]
    MissingInput {
        /// Its name.
        name: String,
        /// How many elements it needs.
        expected: usize,
    },
    /// An input has the wrong length.
    #[error("input `{name}` has {found} elements, but {expected} are needed for a batch of {batch}")]
    InputLength {
        /// Its name.
        name: String,
        /// How many elements it needs.
        expected: usize,
        /// How many were given.
        found: usize,
        /// The batch of this run.
        batch: usize,
    },
    /// The store lacks parameters or a data set, for which zeros would be no meaningful start.
    #[error("the store holds no `{name}`: upload it before the program runs")]
    MissingState {
        /// Its name.
        name: String,
    },
    /// A state in the store has the wrong length.
    #[error("state `{name}` has {found} elements in the store, but {expected} are needed for a batch of {batch}")]
    StateLength {
        /// Its name.
        name: String,
        /// How many elements the graph gives it.
        expected: usize,
        /// How many the store holds.
        found: usize,
        /// The batch of this run.
        batch: usize,
    },
    /// A state in the store has another element type than the graph gives it.
    #[error("state `{name}` holds {found} in the store, but the graph reads {expected}")]
    StateType {
        /// Its name.
        name: String,
        /// What the graph reads.
        expected: &'static str,
        /// What the store holds.
        found: &'static str,
    },
    /// More than the machine has memory for.
    #[error(
        "a batch of {batch} needs {bytes} bytes of memory, more than this machine gives: use a smaller batch or network"
    )]
    OutOfMemory {
        /// What it needs.
        bytes: usize,
        /// The batch.
        batch: usize,
    },
    /// A batch of no samples.
    #[error("the batch has 0 samples, but a run needs at least 1")]
    EmptyBatch,
}
