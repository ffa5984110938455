//! What a U-Net consists of, block by block: the only place where the two families differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How blocks are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Strided convolutions between the levels, attention after every block of its levels (Ho, Jain and Abbeel 2020).
    Ddpm,
    /// Blocks that resample, residuals scaled by √½, attention on the way up after the last block of its levels only
    /// (Song et al. 2021, as in Karras et al. 2022).
    #[serde(rename = "ddpm++")]
    DdpmPlusPlus,
}

/// What becomes of the noise level before the network's first layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Features {
    /// Sines and cosines at frequencies in geometric progression.
    Sinusoidal,
    /// Sines and cosines at random frequencies, which are in the [state](super::FREQUENCIES) of that name.
    Fourier {
        /// Standard deviation of the frequencies.
        scale: f64,
    },
}

/// The sizes and kinds of a [`UNet`](super::UNet).
#[derive(Clone, Debug, PartialEq)]
pub struct UNetShape {
    /// How blocks are arranged.
    pub family: Family,
    /// Height, width and channels of the image.
    pub image: [usize; 3],
    /// How the noise level is embedded.
    pub features: Features,
    /// Channels that the multipliers multiply.
    pub channels: usize,
    /// One for each level, the finest first; each level halves height and width.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level on the way down; on the way up there is one more.
    pub blocks: usize,
    /// Heights of the levels that attend.
    pub attention: Vec<usize>,
    /// Heads of the attention.
    pub heads: usize,
    /// Groups of the normalisations, where the channels allow it.
    pub groups: usize,
    /// Added to the variance in the normalisations.
    pub group_eps: f64,
    /// Probability of a unit to be dropped before the second convolution of a block in training.
    pub dropout: f64,
    /// Classes that the network can be told; 0 is none. One more, the null class, stands for "any".
    pub classes: usize,
    /// Numbers that describe an augmentation of the image; 0 is none. Outside of training they are 0.
    pub augment_dim: usize,
}

/// What a residual block does to height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Nothing.
    Keep,
    /// Halves them: the mean of 2 x 2 pixels.
    Halve,
    /// Doubles them: each pixel four times.
    Double,
}

/// A residual block, and the attention after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Channels that it reads, those of a skip included.
    pub inputs: usize,
    /// Channels that it gives.
    pub outputs: usize,
    /// What it does to height and width.
    pub resample: Resample,
    /// Whether attention follows.
    pub attention: bool,
}

/// One step from the image to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first convolution.
    Enter,
    /// A block.
    Block(BlockShape),
    /// A convolution of every second pixel.
    Down(usize),
    /// A convolution of the doubled image.
    Up(usize),
}

/// A stage, its name, and what it has to do with skips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `down0.block1`, `middle.block0`, `up1.resample`, …
    pub name: String,
    /// What happens.
    pub stage: Stage,
    /// Whether its result is kept as a skip.
    pub keeps: bool,
    /// Whether the newest skip is concatenated to what it reads.
    pub joins: bool,
}

impl UNetShape {
    /// Channels of level `level`.
    pub fn width(&self, level: usize) -> usize {
        self.channels * self.multipliers[level]
    }

    /// Length of the embedding of the noise level.
    pub const fn embedding(&self) -> usize {
        4 * self.channels
    }

    /// Groups of a normalisation of so many channels: the greatest number up to [`groups`](Self::groups) (in DDPM++
    /// also up to a quarter of the channels) that divides them.
    pub fn groups_of(&self, channels: usize) -> usize {
        let most = match self.family {
            Family::Ddpm => self.groups,
            Family::DdpmPlusPlus => self.groups.min(channels / 4),
        };
        (1..=most.max(1)).rev().find(|groups| channels.is_multiple_of(*groups)).unwrap_or(1)
    }

    /// The steps from the image to the last block.
    pub fn steps(&self) -> Vec<Step> {
        let mut walk = Walk { shape: self, steps: Vec::new(), skips: Vec::new(), channels: 0 };
        walk.keep("enter".into(), Stage::Enter, self.channels);
        for level in 0..self.multipliers.len() {
            walk.descend(level);
        }
        walk.middle();
        for level in (0..self.multipliers.len()).rev() {
            walk.ascend(level);
        }
        debug_assert!(walk.skips.is_empty(), "every skip is used once");
        walk.steps
    }
}

/// The way through the network: what is there so far, and the channels of the skips that wait.
struct Walk<'a> {
    shape: &'a UNetShape,
    steps: Vec<Step>,
    skips: Vec<usize>,
    channels: usize,
}

impl Walk<'_> {
    fn attends(&self, level: usize) -> bool {
        self.shape.attention.contains(&(self.shape.image[0] >> level))
    }

    /// A step whose result, of so many channels, is kept.
    fn keep(&mut self, name: String, stage: Stage, channels: usize) {
        self.steps.push(Step { name, stage, keeps: true, joins: false });
        self.skips.push(channels);
        self.channels = channels;
    }

    /// A step that keeps nothing.
    fn pass(&mut self, name: String, stage: Stage, channels: usize, joins: bool) {
        self.steps.push(Step { name, stage, keeps: false, joins });
        self.channels = channels;
    }

    fn block(&self, outputs: usize, resample: Resample, attention: bool) -> Stage {
        Stage::Block(BlockShape { inputs: self.channels, outputs, resample, attention })
    }

    fn descend(&mut self, level: usize) {
        let (width, attends) = (self.shape.width(level), self.attends(level));
        if level > 0 {
            let name = format!("down{level}.resample");
            let stage = match self.shape.family {
                Family::Ddpm => Stage::Down(self.channels),
                Family::DdpmPlusPlus => self.block(self.channels, Resample::Halve, false),
            };
            self.keep(name, stage, self.channels);
        }
        for i in 0..self.shape.blocks {
            let stage = self.block(width, Resample::Keep, attends);
            self.keep(format!("down{level}.block{i}"), stage, width);
        }
    }

    fn middle(&mut self) {
        for (i, attention) in [true, false].into_iter().enumerate() {
            let stage = self.block(self.channels, Resample::Keep, attention);
            self.pass(format!("middle.block{i}"), stage, self.channels, false);
        }
    }

    fn ascend(&mut self, level: usize) {
        let (width, attends, count) = (self.shape.width(level), self.attends(level), self.shape.blocks + 1);
        if level + 1 < self.shape.multipliers.len() {
            let stage = match self.shape.family {
                Family::Ddpm => Stage::Up(self.channels),
                Family::DdpmPlusPlus => self.block(self.channels, Resample::Double, false),
            };
            self.pass(format!("up{level}.resample"), stage, self.channels, false);
        }
        for i in 0..count {
            let skip = self.skips.pop().expect("there is a skip for every block on the way up");
            let attention = attends && (self.shape.family == Family::Ddpm || i + 1 == count);
            let shape =
                BlockShape { inputs: self.channels + skip, outputs: width, resample: Resample::Keep, attention };
            self.pass(format!("up{level}.block{i}"), Stage::Block(shape), width, true);
        }
    }
}
