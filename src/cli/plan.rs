//! `tweedie plan`: shows what a config becomes on a device, without running it.

use std::path::PathBuf;

use super::CliError;
use super::settings::{ConfigArguments, expect_folder_of, extension};
use crate::train::config::Config;

/// Show the dispatches, bytes, FLOPs and peak memory of a training step
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Write each kernel's final WGSL into this folder
    #[arg(long, value_name = "FOLDER")]
    wgsl: Option<PathBuf>,
    /// Write the plan into this file
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
}

/// All that planning needs, checked.
#[derive(Debug)]
struct Request {
    config: Config,
    wgsl: Option<PathBuf>,
    json: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    plan(arguments.check()?)
}

impl Arguments {
    fn check(self) -> Result<Request, CliError> {
        let config = self.config.read(&self.config.overrides()?)?;
        if let Some(json) = &self.json {
            extension("--json", json, &["json"])?;
            expect_folder_of("--json", json)?;
        }
        if let Some(wgsl) = self.wgsl.as_ref().filter(|wgsl| wgsl.exists() && !wgsl.is_dir()) {
            return Err(CliError::bad_input(format!("--wgsl {}: is a file, and should be a folder", wgsl.display())));
        }
        Ok(Request { config, wgsl: self.wgsl, json: self.json })
    }
}

/// Plans and shows. The planner is not connected to the command line yet.
fn plan(request: Request) -> Result<(), CliError> {
    let Request { config, wgsl, json } = request;
    let _ = (wgsl, json);
    Err(CliError::failed(format!("this build cannot plan a {} model yet", config.model.kind())))
}
