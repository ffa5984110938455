//! Properties that hold for every mixture, drawn afresh: scores, paths and laws in f32, on CPU and GPU, against plain
//! f64 twins.
//!
//! The twins know nothing of the library: processes by their definitions (`common/forward.rs`), scores by sums over
//! components, the flow by a solver of their own, stochastic samplers by the formulas of docs/sampling.md. What f32 can
//! hold of a number is worked out by the twin as well, from how much the roundings of its inputs move it.
//!
//! Mixtures have 1 to 6 dimensions, up to 40 components, widths from 1e-3 to 1e3, weights down to 1e-6. A run of CI
//! draws few. For a long sweep, and for other mixtures:
//!
//! ```sh
//! TWEEDIE_PROPERTY_CASES=50 TWEEDIE_PROPERTY_SEED=7 sh tests/all.sh --test properties
//! ```
//!
//! A failure names the seed of its case; with that seed, and one case, it comes again.

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod chains;
mod flow;
mod flows;
mod laws;
mod mixture;
mod scores;
