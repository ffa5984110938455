//! What is drawn from a model: samples, scores, likelihoods, and the pictures of a run.

mod adaptive;
#[cfg(feature = "cli")]
pub mod artifacts;
mod equal_work;
pub mod likelihood;
mod particles;
pub mod request;
pub mod samples;
pub mod sampling;
pub mod scoring;
mod start;
mod stepwise;
