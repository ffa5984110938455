//! `tweedie plan`: shows what a config becomes on a device, without running it.

use std::path::PathBuf;

use super::error::CliError;
use super::settings::{ConfigArguments, expect_output, extension, note, print};
use crate::config::{Config, Origin};
use crate::data;
use crate::lower::LowerOptions;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;

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
    origin: Origin,
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
        let (config, origin) = self.config.read(&self.config.overrides()?)?;
        if let Some(json) = &self.json {
            extension("--json", json, &["json"])?;
            expect_output("--json", json, &[])?;
        }
        if let Some(wgsl) = self.wgsl.as_ref().filter(|wgsl| wgsl.exists() && !wgsl.is_dir()) {
            return Err(CliError::bad_input(format!("--wgsl {}: is a file, and should be a folder", wgsl.display())));
        }
        Ok(Request { origin, config, wgsl: self.wgsl, json: self.json })
    }
}

fn plan(request: Request) -> Result<(), CliError> {
    let Request { origin, config, wgsl, json } = request;
    let experiment = Experiment::new(&config).map_err(|error| error.in_config(&origin))?;
    let plan = experiment.plan(&LowerOptions::default()).map_err(TrainError::from)?;
    print(&plan.report(experiment.batch().min(plan.max_batch)).to_string())?;
    if let Some(folder) = wgsl {
        let io = |error: std::io::Error| CliError::failed(format!("--wgsl {}: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(io)?;
        for (number, shader) in plan.shaders.iter().enumerate() {
            let name: String = shader.key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            std::fs::write(folder.join(format!("{number:02}-{name}.wgsl")), &shader.wgsl).map_err(io)?;
        }
        note(format_args!("{}: {} kernels", folder.display(), plan.shaders.len()));
    }
    if let Some(file) = json {
        data::write_whole(&file, |out| Ok(serde_json::to_writer_pretty(out, &plan)?))?;
        note(format_args!("{}: the plan", file.display()));
    }
    Ok(())
}
