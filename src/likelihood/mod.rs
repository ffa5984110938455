//! How probable a model holds data to be: exactly, along the probability flow, or as a bound of its reverse SDE.
//!
//! Both speak of a law with a little noise, that of t_min: [`FlowLikelihood`] of x as the flow leaves it there, [`Bound`] of
//! x / alpha with the noise sigma / alpha once more. [`bits_per_dimension`] turns a density into bits for data of discrete
//! levels, which were spread evenly over their intervals ([`dequantised`](crate::loss::dequantised)) before.

mod bound;
mod divergence;
mod flow;

pub use bound::{Bound, Times, bound_states};
pub use divergence::Divergence;
pub use flow::{FlowLikelihood, flow_states};

/// Bits for each coordinate at this log density (nats) of D coordinates, which stand for intervals of this width (1: none).
pub fn bits_per_dimension(log_density: f64, dims: usize, width: f64) -> f64 {
    -(log_density / dims as f64 + width.ln()) / std::f64::consts::LN_2
}

/// ln of the density of N(0, sigma² I) at x.
pub fn log_normal_density(x: &[f64], sigma: f64) -> f64 {
    let squares: f64 = x.iter().map(|x| (x / sigma).powi(2)).sum();
    -0.5 * squares - x.len() as f64 * (sigma.ln() + 0.5 * std::f64::consts::TAU.ln())
}
