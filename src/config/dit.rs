//! `[model] kind = "dit"`: a transformer for images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::network::{ClassKeys, Misfit, ModelKeys, image, preset};
use super::table::Keys;
use crate::data::Dataset;
use crate::nn::Architecture;
use crate::nn::dit::{DiTShape, Preset};

/// A diffusion transformer for images, told noise level and class in every block (Peebles and Xie 2023).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
// serde does not refuse unknown keys beside flattened ones; the schema does, which every config is checked against
// first.
#[serde(default)]
pub struct DiT {
    /// A published network: the keys from here to `mlp_ratio` are by default its own. Of any image that its patches
    /// fit.
    pub preset: Option<Preset>,
    /// Height and width of a patch in pixels; it divides height and width of the image. Each patch is a token.
    #[schemars(range(min = 1, max = 256))]
    pub patch: usize,
    /// Numbers of a token; a multiple of 4, as its place becomes sines and cosines in two directions.
    #[schemars(range(min = 4, max = 16384))]
    pub width: usize,
    /// Number of blocks.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// Heads of the attention; they divide the width.
    #[schemars(range(min = 1, max = 256))]
    pub heads: usize,
    /// Hidden units of each block's perceptron, as a multiple of the width.
    #[schemars(range(min = 1, max = 64))]
    pub mlp_ratio: usize,
    /// Whether it is told classes.
    #[serde(flatten)]
    pub classes: ClassKeys,
}

impl Default for DiT {
    fn default() -> Self {
        Self { preset: None, patch: 2, width: 128, depth: 4, heads: 4, mlp_ratio: 4, classes: ClassKeys::default() }
    }
}

impl Keys for DiT {
    fn check(&self) -> Result<(), Violation> {
        if !self.width.is_multiple_of(4) {
            let wanted = "must be a multiple of 4: places become sines and cosines in two directions";
            return Err(Violation::new("width", wanted));
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Violation::new("heads", &format!("must divide model.width, which is {}", self.width)));
        }
        Ok(())
    }
}

impl DiT {
    /// The sizes of a published network.
    fn published(preset: Preset) -> Self {
        let DiTShape { patch, width, depth, heads, mlp_ratio, .. } = preset.shape();
        Self { preset: Some(preset), patch, width, depth, heads, mlp_ratio, ..Self::default() }
    }

    /// The network for images of this height, width and number of channels, with so many classes in the data.
    ///
    /// # Errors
    /// The patches do not fit the image.
    pub fn shape(&self, image: [usize; 3], classes: usize) -> Result<DiTShape, Misfit> {
        let Self { patch, width, depth, heads, mlp_ratio, .. } = *self;
        let [rows, columns, _] = image;
        let fits = |patch: &usize| rows.is_multiple_of(*patch) && columns.is_multiple_of(*patch);
        if !fits(&patch) {
            let fitting: Vec<usize> = (1..=rows.min(columns)).filter(fits).collect();
            let what =
                format!("model.patch = {patch}: does not divide images of {rows} x {columns}; must be of {fitting:?}");
            return Err(Misfit { key: "model.patch", what });
        }
        let classes = if self.classes.conditional { classes } else { 0 };
        Ok(DiTShape { image, patch, width, depth, heads, mlp_ratio, classes })
    }
}

impl ModelKeys for DiT {
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        Ok(Some(Box::new(self.shape(image("dit", data)?, self.classes.classes(data)?)?)))
    }

    fn class_keys(&self) -> Option<&ClassKeys> {
        Some(&self.classes)
    }

    fn preset(name: &str) -> Option<toml::Table> {
        preset(name, Self::published)
    }
}
