//! What graphs, processes, objectives, samplers and data compute: closed forms, published values, other programs, f64
//! twins and differences, on the CPU executor.

#[path = "../common/mod.rs"]
mod common;

mod accumulation;
mod cpu_ops;
mod data;
mod derivatives;
mod inpainting;
mod ito_stratonovich;
mod langevin;
mod learned_weights;
mod likelihood;
mod loss;
mod plan;
mod processes;
mod sampler;
mod sampler_adaptive;
mod sampler_ends;
mod sampler_orders;
mod sampler_parity;
mod schedule;
mod score_matching;
mod score_matching_learns;
mod sde;
mod weighting;
