//! What the kinds of `[model]` have in common.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::nn::Architecture;

/// What a kind of `[model]` makes of its keys.
pub(super) trait ModelKeys {
    /// The network for samples like these; `None` where nothing is learned.
    ///
    /// # Errors
    /// The keys do not fit the data.
    fn architecture(&self, data: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit>;

    /// The keys about classes, of a network that can be told them.
    fn class_keys(&self) -> Option<&ClassKeys> {
        None
    }

    /// Keys that are younger than the kind and, as they are set, change nothing: a run from before is resumed with
    /// them.
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

/// The keys of every network that can be told classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClassKeys {
    /// Whether the network is told the class of a sample. The data must have labels.
    pub conditional: bool,
    /// Share of the training samples whose class is withheld, so that the network also learns to do without, which
    /// guidance needs. Of effect where `conditional` is true.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_dropout: f64,
}

impl Default for ClassKeys {
    fn default() -> Self {
        Self { conditional: false, label_dropout: 0.1 }
    }
}

impl ClassKeys {
    /// The number of classes in the data, 0 where the network is not told them.
    ///
    /// # Errors
    /// The data have no labels.
    pub(super) fn classes(&self, data: &Dataset) -> Result<usize, Misfit> {
        if !self.conditional {
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
}

/// All keys of the published network of this name, if there is one; `published` makes them of what names it.
pub(super) fn preset<P: DeserializeOwned, K: Serialize>(name: &str, published: fn(P) -> K) -> Option<toml::Table> {
    let preset = P::deserialize(toml::Value::String(name.to_owned())).ok()?;
    toml::Table::try_from(published(preset)).ok()
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
