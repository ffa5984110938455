//! The program as its user meets it, and the repository as its reader does.

#[path = "../common/mod.rs"]
mod common;

mod bad_input_cli;
mod cli;
mod inpainting_cli;
mod likelihood_cli;
mod readme;
mod rooms;
mod sample_cli;
mod sampler_cli;
mod score_cli;

#[cfg(not(unix))]
#[test]
fn what_needs_unix_is_skipped() {
    common::skip::skip("symbolic links and device files (bad_input_cli)", "they need Unix");
}
