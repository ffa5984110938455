//! Experiments: their configuration, the folder that a run leaves behind, checkpoints and metrics.

pub mod checkpoint;
pub mod config;
pub mod log;
pub mod run_folder;
