//! What is minimised, and the whole training step around it.
//!
//! An objective's mathematical value is ½ · sum over dimensions, averaged over samples: identities and closed forms
//! hold for that one ([`Reduce::Sum`]). What is optimised and logged by default is the mean over dimensions without the
//! ½ ([`Reduce::Mean`]), which is 2 / D times the mathematical value.

mod accumulation;
mod auxiliary;
mod batch;
mod denoising;
mod dequantise;
mod directions;
mod ends;
mod evaluation;
mod explicit;
mod field;
mod flip;
mod implicit;
mod loss_value;
mod matching;
mod objective;
mod projection;
mod record;
mod scheduled;
mod scheduled_time;
mod second_moment;
mod sliced;
mod sliced_fd;
mod sliced_vr;
mod step;
mod time;
mod time_warp;
pub mod training_states;
mod uncertainty;
mod weighting;

pub use accumulation::{accumulation_states, accumulation_step, update_step};
pub use auxiliary::{Auxiliary, Trainee};
pub use batch::{Batch, StoredDataset};
pub use denoising::Denoising;
pub use dequantise::dequantised;
pub use directions::Directions;
pub use ends::{EndsSpec, LearnedEnds};
pub use evaluation::{EvaluationSpec, evaluation_states, evaluation_step};
pub use explicit::Explicit;
pub use field::Field;
pub use flip::flip_half;
pub use implicit::Implicit;
pub use loss_value::{Loss, Reduce};
pub use matching::{Matching, Noise, ScoreMatching};
pub use objective::Objective;
pub use projection::{Projection, Projections};
pub use record::{RING_COLUMNS, Record};
pub use scheduled::Scheduled;
pub use scheduled_time::{ScheduledEnds, ScheduledTime};
pub use second_moment::{SecondMoments, second_moment_states};
pub use sliced::Sliced;
pub use sliced_fd::SlicedFd;
pub use sliced_vr::SlicedVr;
pub use step::{TrainingStep, training_step};
pub use time::{DrawnTimes, TimeSampling};
pub use time_warp::{TimeWarp, WarpedLoss};
pub use uncertainty::{Uncertain, Uncertainty};
pub use weighting::{Weighting, WeightingKind};
