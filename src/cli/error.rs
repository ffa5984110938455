//! What a command can end with, and the exit codes of that.

use crate::config::ConfigError;
use crate::data::DataError;
use crate::engine::EngineError;
use crate::gpu::GpuError;
use crate::train::error::TrainError;
use crate::train::run::checkpoint::CheckpointError;
use crate::train::run::error::RunError;

/// Why a command did not do what it was asked to. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CliError {
    /// The user's arguments or files are at fault: exit code 2.
    #[error("{0}")]
    BadInput(String),
    /// Something else: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C: exit code 130. The line says how to go on.
    #[error("{0}")]
    Interrupted(String),
}

impl CliError {
    /// The user's arguments or files are at fault; `line` says what would be right.
    pub fn bad_input(line: impl Into<String>) -> Self {
        Self::BadInput(one_line(&line.into()))
    }

    /// Something else went wrong.
    pub fn failed(line: impl Into<String>) -> Self {
        Self::Failed(one_line(&line.into()))
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput(_) => 2,
            Self::Failed(_) => 1,
            Self::Interrupted(_) => 130,
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::bad_input(error.to_string())
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        if error.is_bad_input() { Self::bad_input(error.to_string()) } else { Self::failed(error.to_string()) }
    }
}

impl From<CheckpointError> for CliError {
    fn from(error: CheckpointError) -> Self {
        RunError::from(error).into()
    }
}

impl From<TrainError> for CliError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Interrupted => Self::Interrupted(error.to_string()),
            _ if error.is_bad_input() => Self::bad_input(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<DataError> for CliError {
    fn from(error: DataError) -> Self {
        TrainError::from(error).into()
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        if error.is_bad_input() { Self::bad_input(error.to_string()) } else { Self::failed(error.to_string()) }
    }
}

impl From<GpuError> for CliError {
    fn from(error: GpuError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<clap::Error> for CliError {
    /// clap's first paragraphs, up to the usage, as one line.
    fn from(error: clap::Error) -> Self {
        if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::bad_input(
                "a command is missing: train, sample, score, likelihood, devices, plan, bench or docs; see tweedie --help",
            );
        }
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let lines: Vec<&str> =
            lines.filter(|line| !line.is_empty() && !line.starts_with("For more information")).collect();
        let line = lines.join("; ");
        Self::bad_input(line.strip_prefix("error: ").unwrap_or(&line).replace(":; ", ": "))
    }
}
