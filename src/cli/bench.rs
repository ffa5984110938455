//! `tweedie bench`: measures kernels against what the device can do.

use std::io::IsTerminal;

use super::error::CliError;
use super::settings::{DeviceArguments, cache_folder, note, note_in_place, print};
use crate::bench::{self, Suite};
use crate::engine::Device;
use crate::train::error::TrainError;

/// Measure kernels: time, GFLOP/s, GB/s, share of this device's own measured peak
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which cases
    #[arg(long, default_value = "all", value_name = "kernels|train|unet|all")]
    suite: Suite,
    /// Of those, the ones in whose "name, shape" this stands
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    let (device, reason) =
        Device::open(&arguments.device.device, cache_folder().as_deref()).map_err(TrainError::from)?;
    note(format_args!("device: {reason}"));
    let shown = std::io::stderr().is_terminal();
    let mut before = |name: &str| {
        if shown {
            note_in_place(format_args!("measuring: {name}"));
        }
    };
    let report =
        bench::measure(&device, arguments.suite, arguments.only.as_deref(), &mut before).map_err(TrainError::from)?;
    if shown {
        note_in_place("");
    }
    if let Some(text) = &arguments.only {
        let measured = report.rows.iter().map(|row| format!("{}, {}", row.name, row.shape));
        if !measured.chain(report.left_out.iter().cloned()).any(|case| case.contains(text)) {
            return Err(CliError::bad_input(format!(
                "--only {text}: in no case's \"name, shape\"; tweedie bench without --only shows them"
            )));
        }
    }
    if arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| CliError::failed(error.to_string()))?;
        print(&format!("{json}\n"))
    } else {
        print(&report.to_string())
    }
}
