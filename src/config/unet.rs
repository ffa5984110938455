//! `[model] kind = "unet"`: a convolutional network for images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::network::{ClassKeys, Misfit, ModelKeys, image, preset};
use super::table::Keys;
use crate::data::Dataset;
use crate::nn::Architecture;
use crate::nn::unet::{self, Family, Preset};

/// A U-Net for images, told the noise level in every residual block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
// serde does not refuse unknown keys beside flattened ones; the schema does, which every config is checked against
// first.
#[serde(default)]
pub struct UNet {
    /// A published network: the keys from here to `dropout` are by default its own. Of any image that its levels fit.
    pub preset: Option<Preset>,
    /// How blocks are arranged.
    pub family: Family,
    /// Channels that the multipliers multiply; even. The embedding of the noise level has four times as many numbers.
    #[schemars(range(min = 2, max = 4096))]
    pub channels: usize,
    /// One factor of the channels for each level, the finest first. Each level halves height and width.
    #[schemars(length(min = 1, max = 12), extend("items" = {"type": "integer", "minimum": 1, "maximum": 64}))]
    pub multipliers: Vec<usize>,
    /// How the noise level is embedded.
    pub embedding: Embedding,
    /// Standard deviation of the random frequencies of `embedding = "fourier"`; of no effect on others.
    #[schemars(range(min = 1e-3, max = 1e3))]
    pub fourier_scale: f64,
    /// Residual blocks of a level on the way down; on the way up there is one more.
    #[schemars(range(min = 1, max = 64))]
    pub blocks: usize,
    /// Heights in pixels of the levels that have self-attention. The middle always has it.
    #[schemars(extend("items" = {"type": "integer", "minimum": 1}))]
    pub attention: Vec<usize>,
    /// Heads of the attention; they divide the channels.
    #[schemars(range(min = 1, max = 256))]
    pub heads: usize,
    /// Groups of the normalisations; where they do not divide a layer's channels, the next smaller number that does.
    #[schemars(range(min = 1, max = 4096))]
    pub groups: usize,
    /// Added to the variance in the normalisations.
    #[schemars(range(min = 1e-30, max = 1.0))]
    pub group_eps: f64,
    /// Probability of a unit to be dropped in training, in each residual block.
    #[schemars(range(min = 0.0, max = 0.999))]
    pub dropout: f64,
    /// Whether it is told classes.
    #[serde(flatten)]
    pub classes: ClassKeys,
}

impl Default for UNet {
    fn default() -> Self {
        Self {
            preset: None,
            family: Family::Ddpm,
            channels: 32,
            multipliers: vec![1, 2],
            embedding: Embedding::Sinusoidal,
            fourier_scale: 16.0,
            blocks: 1,
            attention: Vec::new(),
            heads: 1,
            groups: 32,
            group_eps: 1e-6,
            dropout: 0.0,
            classes: ClassKeys::default(),
        }
    }
}

impl Keys for UNet {
    fn check(&self) -> Result<(), Violation> {
        if !self.channels.is_multiple_of(2) {
            return Err(Violation::new("channels", "must be even: the noise level becomes as many sines as cosines"));
        }
        if let Some(factor) =
            self.multipliers.iter().find(|factor| !(*factor * self.channels).is_multiple_of(self.heads))
        {
            let wanted = format!("must divide the channels of every level, {} among them", factor * self.channels);
            return Err(Violation::new("heads", &wanted));
        }
        Ok(())
    }
}

impl UNet {
    /// The sizes of a published network.
    fn published(preset: Preset) -> Self {
        let shape = preset.shape();
        let (embedding, fourier_scale) = match shape.features {
            unet::Features::Sinusoidal => (Embedding::Sinusoidal, Self::default().fourier_scale),
            unet::Features::Fourier { scale } => (Embedding::Fourier, scale),
        };
        Self {
            preset: Some(preset),
            family: shape.family,
            channels: shape.channels,
            multipliers: shape.multipliers,
            embedding,
            fourier_scale,
            blocks: shape.blocks,
            attention: shape.attention,
            heads: shape.heads,
            groups: shape.groups,
            group_eps: shape.group_eps,
            dropout: shape.dropout,
            ..Self::default()
        }
    }

    /// The network for images of this height, width and number of channels, with so many classes in the data.
    ///
    /// # Errors
    /// The levels do not fit the image.
    pub fn shape(&self, image: [usize; 3], classes: usize) -> Result<unet::UNetShape, Misfit> {
        let [height, width, _] = image;
        let halvings = self.multipliers.len() - 1;
        let fits = |length: usize| length.trailing_zeros() as usize >= halvings;
        if !fits(height) || !fits(width) {
            let most = 1 + height.trailing_zeros().min(width.trailing_zeros());
            let what = format!(
                "model.multipliers: {} levels do not fit images of {height} x {width}, which halve {} times: must have at most {most} entries",
                halvings + 1,
                most - 1
            );
            return Err(Misfit { key: "model.multipliers", what });
        }
        let heights: Vec<usize> = (0..=halvings).map(|level| height >> level).collect();
        if let Some(stray) = self.attention.iter().find(|wanted| !heights.contains(wanted)) {
            let what = format!("model.attention: no level is {stray} pixels high: must be of {heights:?}");
            return Err(Misfit { key: "model.attention", what });
        }
        Ok(unet::UNetShape {
            family: self.family,
            image,
            features: match self.embedding {
                Embedding::Sinusoidal => unet::Features::Sinusoidal,
                Embedding::Fourier => unet::Features::Fourier { scale: self.fourier_scale },
            },
            channels: self.channels,
            multipliers: self.multipliers.clone(),
            blocks: self.blocks,
            attention: self.attention.clone(),
            heads: self.heads,
            groups: self.groups,
            group_eps: self.group_eps,
            dropout: self.dropout,
            classes: if self.classes.conditional { classes } else { 0 },
            augment_dim: 0,
        })
    }
}

impl ModelKeys for UNet {
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        Ok(Some(Box::new(self.shape(image("unet", data)?, self.classes.classes(data)?)?)))
    }

    fn class_keys(&self) -> Option<&ClassKeys> {
        Some(&self.classes)
    }

    fn preset(name: &str) -> Option<toml::Table> {
        preset(name, Self::published)
    }
}

/// How a U-Net's noise level is embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Embedding {
    /// Sines and cosines at frequencies in geometric progression.
    Sinusoidal,
    /// Sines and cosines at random frequencies, the same for every network of the same size.
    Fourier,
}
