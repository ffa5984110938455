//! What makes a process one that configs can name.

use super::Sde;
use crate::violation::Violation;

/// The numbers of a process as keys of a config's `[sde]`: fields with ranges and meanings.
pub trait ProcessKeys {
    /// The process.
    fn process(&self) -> Box<dyn Sde>;

    /// Whether the keys fit together.
    ///
    /// # Errors
    /// The first key that does not fit another one.
    fn check(&self) -> Result<(), Violation> {
        Ok(())
    }
}

/// A key that has to be above another one.
pub(super) fn above(key: &str, value: f64, other: &str, least: f64) -> Result<(), Violation> {
    if value > least { Ok(()) } else { Err(Violation::new(key, &format!("must be above sde.{other} = {least}"))) }
}

/// A last β that is not below the first.
pub(super) fn rising(beta_min: f64, beta_max: f64) -> Result<(), Violation> {
    if beta_max >= beta_min {
        return Ok(());
    }
    Err(Violation::new("beta_max", &format!("must be at least sde.beta_min = {beta_min}")))
}
