//! `tweedie docs`: prints `docs/configuration.md`, made from the config's own types.

use super::error::CliError;
use super::settings::print;

/// Print docs/configuration.md
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Runs the command.
pub(super) fn run(_: Arguments) -> Result<(), CliError> {
    print(&crate::config::markdown())
}
