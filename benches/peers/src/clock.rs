//! Times.

use std::time::Instant;

/// Milliseconds that `run` takes.
pub fn milliseconds(run: impl FnOnce()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64() * 1e3
}

/// The median.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Waits for a line on the standard input, if `wanted`.
pub fn pause(wanted: bool) {
    if wanted {
        println!("tuned; a line starts the timed runs");
        std::io::stdin().read_line(&mut String::new()).expect("standard input is open");
    }
}
