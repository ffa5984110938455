//! Experiments: a config made real, the training loop, the folder that a run leaves behind, and what is drawn from it.

pub mod draw;
pub mod error;
pub mod evaluation;
pub mod experiment;
pub mod program_names;
pub mod request_error;
pub mod run;
pub mod saved_state;
pub mod training;
