//! `tweedie devices`: lists what can compute, and what `--device auto` takes.

use super::error::CliError;
use super::settings::print;
use crate::gpu::{AdapterReport, Adapters, Choice, Selection};

/// List the adapters with their limits, and what --device auto takes
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    let adapters = Adapters::find();
    let auto = adapters.select(&Choice::Auto)?;
    let reports = adapters.reports();
    print(&if arguments.json { json(&reports, &auto) } else { text(&reports, &auto) })
}

/// One JSON object: `adapters`, and `auto` with the index of the adapter that is taken (`null` for the CPU) and why.
fn json(reports: &[AdapterReport], auto: &Selection) -> String {
    let list = serde_json::json!({
        "adapters": reports,
        "auto": {"adapter": auto.adapter, "reason": auto.reason},
    });
    format!("{list:#}\n")
}

/// A paragraph for each adapter, the CPU, and what auto takes.
fn text(reports: &[AdapterReport], auto: &Selection) -> String {
    let mut text = String::new();
    for report in reports {
        let AdapterReport { name, backend, driver, driver_info, limits, .. } = report;
        let software = if report.is_software() { ", a software driver" } else { "" };
        let yes_no = |yes: bool| if yes { "yes" } else { "no" };
        text += &format!("{name}\n");
        text += &format!("  backend           {backend}, {driver} {driver_info}{software}\n");
        text += &format!(
            "  largest buffer    {} MiB, {} MiB a binding\n",
            limits.buffer_bytes >> 20,
            limits.binding_bytes >> 20
        );
        text += &format!(
            "  workgroup         {} threads, {} KiB; subgroups of {} to {}\n",
            limits.threads,
            limits.workgroup_bytes >> 10,
            report.subgroup_min,
            report.subgroup_max
        );
        text += &format!("  storage buffers   {} a kernel\n", limits.storage_buffers);
        text += &format!(
            "  timestamps        {}; pipeline cache {}\n",
            yes_no(report.timestamps),
            yes_no(report.pipeline_cache)
        );
    }
    text += "CPU\n  always there: --device cpu\n";
    text + &format!("\n--device auto takes {}\n", auto.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_adapters_has_its_cpu() {
        let auto = crate::gpu::select(&[], &Choice::Auto).expect("auto always finds something");
        assert_eq!(
            text(&[], &auto),
            "CPU\n  always there: --device cpu\n\n--device auto takes CPU: no GPU adapter found\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&[], &auto)).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({"adapters": [], "auto": {"adapter": null, "reason": "CPU: no GPU adapter found"}})
        );
    }
}
