//! `tweedie devices`: lists what can compute, and what `--device auto` takes.

use super::CliError;

/// List the adapters with their limits, and what --device auto takes
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    list(arguments.json)
}

/// Lists. The list of adapters is not connected to the command line yet.
fn list(json: bool) -> Result<(), CliError> {
    let _ = json;
    Err(CliError::failed("this build cannot list devices yet"))
}
