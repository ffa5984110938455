//! Ctrl-C: the first asks the loop to stop where it can say how to go on, one a second or more later ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::CliError;
use super::settings::note;

/// What a shell reports for a process that Ctrl-C has ended.
const EXIT_CODE: i32 = 130;

/// What comes sooner after the first request is the same request: some programs send a signal twice, to a process and to its
/// group.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Whether the user wants the process to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to Ctrl-C and, on Unix, to SIGTERM and SIGHUP, for the rest of the process. To be called once.
    ///
    /// # Errors
    /// The operating system refuses, or it was called before.
    pub fn install() -> Result<Self, CliError> {
        let interrupt = Self::default();
        let requested = interrupt.requested.clone();
        let mut first: Option<Instant> = None;
        let listen = move || match first {
            Some(first) if first.elapsed() > SAME_REQUEST => std::process::exit(EXIT_CODE),
            Some(_) => (),
            None => {
                first = Some(Instant::now());
                requested.store(true, Ordering::SeqCst);
                note("\nstopping after this step; once more, a second later, to end at once");
            }
        };
        ctrlc::set_handler(listen).map_err(|error| CliError::failed(format!("cannot listen to Ctrl-C: {error}")))?;
        Ok(interrupt)
    }

    /// Whether to stop.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }
}
