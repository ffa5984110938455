//! Whole runs through the library: configs, training, checkpoints, evaluation, pictures, and what devices agree on.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod config;
mod devices_agree;
mod evaluation;
mod flow_ends;
mod objective_runs;
mod picture;
mod run;
mod training;
