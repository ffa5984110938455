//! The table of `--profile`.

use std::fmt::Write;

use crate::gpu::Profile;

/// One line for each kernel, the slowest first.
pub(super) fn table(profile: &Profile) -> String {
    let mut rows = profile.by_label();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let (all, runs) = (profile.seconds().max(1e-12), profile.repetitions.max(1) as f64);
    let mut text = format!("{}: {:.3} ms a run on the GPU\n", profile.program, all / runs * 1e3);
    let _ = writeln!(text, "{:>6} {:>10} {:>9} {:>9}  kernel", "share", "ms", "GFLOP/s", "GB/s");
    for row in rows {
        let _ = writeln!(
            text,
            "{:>5.1}% {:>10.4} {:>9.2} {:>9.2}  {} ({})",
            row.seconds / all * 100.0,
            row.seconds / runs * 1e3,
            row.gflops(),
            row.gigabytes(),
            row.label,
            row.shader
        );
    }
    text
}
