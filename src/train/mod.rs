//! Experiments: their configuration, the devices they run on, the folder that a run leaves behind.

mod adaptive;
pub mod advice;
#[cfg(feature = "cli")]
pub mod artifacts;
pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod engine;
mod equal_work;
pub mod error;
pub mod evaluation;
pub mod evaluation_levels;
pub mod experiment;
pub mod likelihood;
pub mod log;
mod model;
mod objective;
pub mod origin;
mod particles;
#[cfg(feature = "cli")]
pub mod picture;
pub mod room;
pub mod run_folder;
pub mod sampling;
mod schedule;
pub mod scoring;
pub mod training;
