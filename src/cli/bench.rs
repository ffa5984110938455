//! `tweedie bench`: measures kernels against what the device can do.

use super::CliError;
use super::settings::DeviceArguments;
use crate::gpu::Choice;

/// Measure kernels: time, GFLOP/s, GB/s, share of this device's own measured peak
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which kernels [default: all]
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    measure(arguments.suite.as_deref(), &arguments.device.device, arguments.json)
}

/// Measures. The suites are not connected to the command line yet.
fn measure(suite: Option<&str>, device: &Choice, json: bool) -> Result<(), CliError> {
    let _ = (suite, device, json);
    Err(CliError::failed("this build cannot measure kernels yet"))
}
