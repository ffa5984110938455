//! What graphs, processes, objectives, samplers and data compute: closed forms, published values, other programs, f64
//! twins and differences, on the CPU executor.

#[path = "../common/mod.rs"]
mod common;

mod data;
mod plan;
mod sde;

#[cfg(feature = "cpu")]
mod accumulation;
#[cfg(feature = "cpu")]
mod cpu_ops;
#[cfg(feature = "cpu")]
mod derivatives;
#[cfg(feature = "cpu")]
mod inpainting;
#[cfg(feature = "cpu")]
mod ito_stratonovich;
#[cfg(feature = "cpu")]
mod langevin;
#[cfg(feature = "cpu")]
mod learned_weights;
#[cfg(feature = "cpu")]
mod likelihood;
#[cfg(feature = "cpu")]
mod loss;
#[cfg(feature = "cpu")]
mod processes;
#[cfg(feature = "cpu")]
mod sampler;
#[cfg(feature = "cpu")]
mod sampler_adaptive;
#[cfg(feature = "cpu")]
mod sampler_ends;
#[cfg(feature = "cpu")]
mod sampler_orders;
#[cfg(feature = "cpu")]
mod sampler_parity;
#[cfg(feature = "cpu")]
mod schedule;
#[cfg(feature = "cpu")]
mod score_matching;
#[cfg(feature = "cpu")]
mod score_matching_learns;
#[cfg(feature = "cpu")]
mod weighting;

#[cfg(not(unix))]
#[test]
fn what_needs_unix_is_skipped() {
    common::skip::skip("symbolic links (data::files)", "they need Unix");
}
