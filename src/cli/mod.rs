//! The command line: one thin file per command. What it does stands in the library.

mod bench;
mod class;
mod devices;
mod docs;
mod drawing_bar;
mod error;
pub mod interrupt;
mod known;
mod likelihood;
mod plan;
mod profile;
pub mod progress;
mod sample;
mod score;
mod settings;
mod source;
mod step_noise;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

/// Train and sample score-based diffusion models on any GPU.
#[derive(Debug, Parser)]
#[command(name = "tweedie", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Arguments),
    Sample(sample::Arguments),
    Score(score::Arguments),
    Likelihood(likelihood::Arguments),
    Devices(devices::Arguments),
    Plan(plan::Arguments),
    Bench(bench::Arguments),
    Docs(docs::Arguments),
}

/// Runs the command that the process was called with.
///
/// The exit code is 0, or 2 for bad input, 130 after Ctrl-C, 1 for everything else that went wrong; then one line on
/// stderr, `error: …`, says what (after Ctrl-C, without `error:`, how to go on).
pub fn main() -> ExitCode {
    let result = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        // `--help` and `--version` are errors to clap, and go to stdout.
        Err(answer) if !answer.use_stderr() => settings::print(&answer.to_string()),
        Err(wrong) => Err(CliError::from(wrong)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who has pressed Ctrl-C gets what was asked for.
            let word = if matches!(error, CliError::Interrupted(_)) { "" } else { "error: " };
            settings::note(format_args!("{word}{error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Train(arguments) => train::run(arguments),
        Command::Sample(arguments) => sample::run(arguments),
        Command::Score(arguments) => score::run(arguments),
        Command::Likelihood(arguments) => likelihood::run(arguments),
        Command::Devices(arguments) => devices::run(arguments),
        Command::Plan(arguments) => plan::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Docs(arguments) => docs::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        super::Arguments::command().debug_assert();
    }
}
