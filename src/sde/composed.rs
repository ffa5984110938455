//! Processes that are made of others.

use std::fmt::Debug;

use super::{Marginal, OutOfRange, Sde};
use crate::graph::Expr;

/// A process whose numbers say of what other processes it is made.
pub trait Composed: Debug + Send + Sync {
    /// What it is made of, in one.
    fn composed(&self) -> Box<dyn Sde>;
}

impl<T: Composed> Sde for T {
    fn name(&self) -> &'static str {
        self.composed().name()
    }

    fn alpha(&self, t: &Expr) -> Expr {
        self.composed().alpha(t)
    }

    fn sigma(&self, t: &Expr) -> Expr {
        self.composed().sigma(t)
    }

    fn log_snr(&self, t: &Expr) -> Expr {
        self.composed().log_snr(t)
    }

    fn noise_to_signal(&self, t: &Expr) -> Expr {
        self.composed().noise_to_signal(t)
    }

    fn drift_rate(&self, t: &Expr) -> Expr {
        self.composed().drift_rate(t)
    }

    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.composed().diffusion_squared(t)
    }

    fn velocity(&self, alpha: &Expr, sigma: &Expr) -> [Expr; 2] {
        self.composed().velocity(alpha, sigma)
    }

    fn loses_all_signal(&self) -> bool {
        self.composed().loses_all_signal()
    }

    fn t_min(&self) -> f64 {
        self.composed().t_min()
    }

    fn t_max(&self) -> f64 {
        self.composed().t_max()
    }

    fn scheduled(&self, share: f64) -> f64 {
        self.composed().scheduled(share)
    }

    fn prior_sigma(&self) -> f64 {
        self.composed().prior_sigma()
    }

    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        self.composed().t_of_noise_to_signal(ratio)
    }

    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        self.composed().t_of_sigma(sigma)
    }

    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        self.composed().t_of_log_snr(log_snr)
    }

    fn at(&self, t: f64) -> Marginal {
        self.composed().at(t)
    }
}
