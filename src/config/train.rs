//! `[train]`: how the loss is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, Single};

/// How the loss is minimised (Adam, or AdamW where `weight_decay` is above 0), and what is written on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Train {
    /// Training steps of the whole run.
    #[schemars(range(min = 1, max = 4294967295u32))]
    pub steps: u64,
    /// Samples per step.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch: usize,
    /// Micro-batches in which a step's batch is taken, one after the other, their gradients added: less memory, the
    /// same samples and noise. It divides `batch`.
    #[schemars(range(min = 1, max = 65536))]
    pub accumulate: usize,
    /// Whether the backward pass computes each block of a U-Net or a transformer again instead of keeping what is in
    /// it: less memory for more work. Of no effect on `mlp`.
    pub checkpoint_activations: bool,
    /// Whether half of the images, drawn anew each time, are mirrored left to right.
    pub flip: bool,
    /// Whether the values of data with discrete levels are spread evenly over their intervals, anew in every step: what
    /// a likelihood in bits per dimension is about.
    pub dequantise: bool,
    /// Step size of the optimizer once it is warm.
    #[schemars(range(min = 1e-30, max = 1e30))]
    pub learning_rate: f64,
    /// Steps in which the learning rate grows linearly to its full size.
    pub warmup_steps: u64,
    /// What the learning rate does after that.
    pub schedule: Schedule,
    /// Decay per step of Adam's mean of the gradient.
    #[schemars(range(min = 0.0, max = 0.999999))]
    pub beta1: f64,
    /// Decay per step of Adam's mean of the squared gradient.
    #[schemars(range(min = 0.0, max = 0.999999))]
    pub beta2: f64,
    /// What Adam adds to the root of the squared gradient's mean.
    #[schemars(range(min = 1e-30, max = 1e30))]
    pub epsilon: f64,
    /// Decoupled weight decay (AdamW); each step takes `learning_rate * weight_decay` of a weight. 0 is off.
    #[schemars(range(min = 0.0, max = 1e30))]
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; a longer one is shortened to it. 0 is off.
    #[schemars(range(min = 0.0, max = 1e30))]
    pub clip_norm: f64,
    /// Decay per step of the moving average of the weights, which is what samples are drawn with. After n steps it is
    /// `min(ema_decay, (1 + n) / (10 + n))`, so that the average forgets the first weights.
    #[schemars(range(min = 0.0, max = 0.999999))]
    pub ema_decay: f64,
    /// Seed of the first weights, the order of the data, the times and the noise.
    #[schemars(range(min = 0, max = 9223372036854775807u64))]
    pub seed: u64,
    /// Steps between two checkpoints. The last step always has one.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
    /// Steps between two evaluations of the held-out loss.
    #[schemars(range(min = 1))]
    pub evaluate_every: u64,
    /// Steps between two pictures of samples, `samples/step-N.png` in the run's folder; 0 is never.
    pub sample_every: u64,
    /// Steps between two lines of the training loss in metrics.jsonl.
    #[schemars(range(min = 1))]
    pub log_every: u64,
    /// How many checkpoints stay; older ones are removed.
    #[schemars(range(min = 1))]
    pub keep: usize,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 256,
            accumulate: 1,
            checkpoint_activations: false,
            flip: false,
            dequantise: false,
            learning_rate: 1e-3,
            warmup_steps: 0,
            schedule: Schedule::Constant,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            ema_decay: 0.999,
            seed: 0,
            checkpoint_every: 1000,
            evaluate_every: 500,
            sample_every: 0,
            log_every: 10,
            keep: 3,
        }
    }
}

impl Keys for Train {
    fn check(&self) -> Result<(), Violation> {
        if !self.batch.is_multiple_of(self.accumulate) {
            return Err(Violation::new("accumulate", &format!("must divide batch = {}", self.batch)));
        }
        Ok(())
    }
}

impl Single for Train {
    const TABLE: &'static str = "train";
}

/// The learning rate after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Stays as it is.
    Constant,
    /// Falls to 0 at `steps` along half a cosine.
    Cosine,
}
