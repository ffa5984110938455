//! Whole runs through the library: configs, training, checkpoints, evaluation, pictures, and what devices agree on.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod config;

#[cfg(feature = "cpu")]
mod devices_agree;
#[cfg(feature = "cpu")]
mod evaluation;
#[cfg(feature = "cpu")]
mod flow_ends;
#[cfg(feature = "cli")]
mod objective_runs;
#[cfg(feature = "cli")]
mod picture;
#[cfg(feature = "cpu")]
mod request;
#[cfg(feature = "cli")]
mod run;
#[cfg(feature = "cli")]
mod training;

#[cfg(not(unix))]
#[test]
fn what_needs_unix_is_skipped() {
    common::skip::skip("runs that are stopped by signals (run)", "they need Unix");
}
