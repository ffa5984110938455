//! `[model]`: what learns the score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dit::DiT;
use super::error::Violation;
use super::table::{Keys, choices};
use super::unet::UNet;
use crate::data::Dataset;
use crate::nn::{Architecture, MlpShape};

/// What a kind of `[model]` makes of its keys.
pub(super) trait ModelKeys {
    /// The network for samples like these; `None` where nothing is learned.
    ///
    /// # Errors
    /// The keys do not fit the data.
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit>;

    /// Share of the training samples whose class is withheld from a network that knows classes.
    fn label_dropout(&self) -> f64 {
        0.0
    }

    /// Keys that are younger than the kind and, as they are set, change nothing: a run from before is resumed with them.
    fn idle_keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// All keys of the published network of this name, if there is one: the defaults where the key `preset` names it.
    fn preset(_name: &str) -> Option<toml::Table>
    where
        Self: Sized,
    {
        None
    }
}

/// A key of the config that does not fit the data. `Display` is one line that begins with the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Misfit {
    /// `table.key`
    pub key: &'static str,
    /// One line.
    pub what: String,
}

/// The number of classes in the data for a network with this value of `model.conditional`, 0 where that is false.
///
/// # Errors
/// The data have no labels.
pub(super) fn classes(conditional: bool, data: &Dataset) -> Result<usize, Misfit> {
    if !conditional {
        return Ok(0);
    }
    match data.labels.as_ref().and_then(|labels| labels.iter().max()) {
        Some(most) => Ok(*most as usize + 1),
        None => {
            let what = format!("model.conditional = true: {} has no labels; must be false", data.name);
            Err(Misfit { key: "model.conditional", what })
        }
    }
}

/// Height, width and channels of the data, which a network of this `model.kind` needs.
///
/// # Errors
/// The data are no images.
pub(super) fn image(kind: &str, data: &Dataset) -> Result<[usize; 3], Misfit> {
    data.image().ok_or_else(|| {
        let shape = &data.shape;
        let what = format!("model.kind = \"{kind}\": needs images, but {} has samples of shape {shape:?}", data.name);
        Misfit { key: "model.kind", what }
    })
}

/// Declares [`Model`] and what is asked of every kind.
macro_rules! models {
    ($($(#[doc = $doc:literal])* $kind:literal => $variant:ident),+ $(,)?) => {
        choices! {
            /// What stands for the score.
            Model in "model" default None, { $($(#[doc = $doc])* $kind => $variant),+ }
        }

        impl Model {
            fn keys(&self) -> &dyn ModelKeys {
                match self {
                    $(Self::$variant(keys) => keys),+
                }
            }

            /// The defaults that the key `preset` of this kind gives, where it names a published network.
            pub(super) fn preset(kind: &str, name: &str) -> Option<toml::Table> {
                match kind {
                    $($kind => $variant::preset(name),)+
                    _ => None,
                }
            }
        }
    };
}

models! {
    /// A time-conditioned multilayer perceptron.
    "mlp" => Mlp,
    /// A convolutional network for images.
    "unet" => UNet,
    /// A transformer for images.
    "dit" => DiT,
    /// The data's own score.
    "exact" => Exact,
}

impl Model {
    /// The network for samples like these; `None` for the exact score, of which nothing is learned.
    ///
    /// # Errors
    /// The key that does not fit the data.
    pub fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        self.keys().architecture(data)
    }

    /// Share of the training samples whose class is withheld from a network that knows classes.
    pub fn label_dropout(&self) -> f64 {
        self.keys().label_dropout()
    }

    /// Keys that, as they are set, were once not there and change nothing.
    pub(super) fn idle_keys(&self) -> &'static [&'static str] {
        self.keys().idle_keys()
    }
}

/// A multilayer perceptron with residual blocks that knows the noise level. Images are flattened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units of a hidden layer.
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// Number of residual blocks.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// Size of the embedding of the noise level; even, half of it sines and half cosines.
    #[schemars(range(min = 2, max = 65536))]
    pub embedding: usize,
    /// Nonlinearity.
    pub activation: Activation,
    /// Whether the network is told the class of a sample. The data must have labels.
    pub conditional: bool,
    /// Share of the training samples whose class is withheld, so that the network also learns to do without, which
    /// guidance needs. Of effect where `conditional` is true.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_dropout: f64,
}

impl Default for Mlp {
    fn default() -> Self {
        Self {
            width: 128,
            depth: 3,
            embedding: 64,
            activation: Activation::Silu,
            conditional: false,
            label_dropout: 0.1,
        }
    }
}

impl Keys for Mlp {
    fn check(&self) -> Result<(), Violation> {
        if !self.embedding.is_multiple_of(2) {
            return Err(Violation::new("embedding", "must be even: half of it are sines, half cosines"));
        }
        Ok(())
    }
}

impl ModelKeys for Mlp {
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        let Self { width, depth, embedding, activation: Activation::Silu, conditional, label_dropout: _ } = *self;
        let classes = classes(conditional, data)?;
        Ok(Some(Box::new(MlpShape { dims: data.dim(), width, depth, embedding, classes })))
    }

    fn label_dropout(&self) -> f64 {
        self.label_dropout
    }

    fn idle_keys(&self) -> &'static [&'static str] {
        if self.conditional { &[] } else { &["conditional", "label_dropout"] }
    }
}

/// Nonlinearity of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
}

/// No network: the exact score of the data at every noise level. Only for data that knows it (`mixture`,
/// `eight-gaussians`, `two-moons`, `swiss-roll`). Nothing is trained; `tweedie sample` and `tweedie score` take the config file itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {}

impl Keys for Exact {}

impl ModelKeys for Exact {
    fn architecture(&self, _: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        Ok(None)
    }
}
