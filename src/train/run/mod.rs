//! The folder that a run leaves behind: its checkpoints, its metrics, and where they come from.

pub mod checkpoint;
pub mod checkpoint_folder;
pub mod error;
mod lock;
pub mod log;
pub mod origin;
pub mod run_folder;
pub mod training_folder;
