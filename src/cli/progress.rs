//! A progress bar on stderr; plain lines now and then where stderr is no terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::settings::note;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Step, loss, steps per second and time left of a loop.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    first: u64,
    total: u64,
    start: Instant,
    last_line: Instant,
    /// Whether the plain line of the last step has been written.
    ended: bool,
}

impl Progress {
    /// For a loop that goes from `first` steps done to `total`; `label` says what it does: `train`.
    pub fn new(label: &str, first: u64, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}  {per_sec}  {eta} left")
                .expect("the template is fixed, and the tests parse it");
            let bar = ProgressBar::new(total).with_position(first).with_prefix(label.to_string());
            bar.set_style(style.with_key(
                "per_sec",
                move |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
                    let done = state.pos().saturating_sub(first) as f64;
                    // A writer that fails is the terminal's affair.
                    let _ = write!(text, "{:.1} steps/s", done / state.elapsed().as_secs_f64().max(1e-3));
                },
            ));
            // Steps of an earlier process say nothing about this one's speed.
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { bar, label: label.to_string(), first, total, start: now, last_line: now, ended: false }
    }

    /// `step` steps are done; `loss` is the newest that is known.
    pub fn update(&mut self, step: u64, loss: Option<f32>) {
        let message = loss.map(|loss| format!("loss {loss:.4}")).unwrap_or_default();
        match &self.bar {
            Some(bar) => {
                bar.set_message(message);
                bar.set_position(step);
            }
            None if !self.ended && (self.last_line.elapsed() >= LINE_EVERY || step >= self.total) => {
                (self.last_line, self.ended) = (Instant::now(), step >= self.total);
                note(line(&self.label, (self.first, step, self.total), &message, self.start.elapsed()));
            }
            None => {}
        }
    }

    /// The loop is over, finished or not; the bar stays as it is, and what follows begins a line of its own.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            note("");
        }
    }
}

/// `train 200/1000  loss 0.1234  50.0 steps/s  16 s left`
fn line(label: &str, (first, step, total): (u64, u64, u64), message: &str, elapsed: Duration) -> String {
    let done = step.saturating_sub(first) as f64;
    let per_sec = done / elapsed.as_secs_f64().max(1e-9);
    let left = total.saturating_sub(step) as f64 / per_sec.max(1e-9);
    let parts = [
        format!("{label} {step}/{total}"),
        message.to_string(),
        format!("{per_sec:.1} steps/s"),
        format!("{left:.0} s left"),
    ];
    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_counts_this_process_only() {
        let text = line("train", (100, 200, 1000), "loss 0.5000", Duration::from_secs(2));
        assert_eq!(text, "train 200/1000  loss 0.5000  50.0 steps/s  16 s left");
    }

    #[test]
    fn the_template_is_good() {
        assert!(ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}  {per_sec}  {eta} left").is_ok());
        Progress::new("train", 3, 10).finish();
    }
}
