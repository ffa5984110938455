//! `[model]`: what learns the score.

use super::dit::DiT;
use super::exact::Exact;
use super::mlp::Mlp;
use super::network::{Misfit, ModelKeys};
use super::table::choices;
use super::unet::UNet;
use crate::data::Dataset;
use crate::nn::Architecture;

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
        self.keys().class_keys().map_or(0.0, |keys| keys.label_dropout)
    }

    /// Keys that, as they are set, were once not there and change nothing.
    pub(super) fn idle_keys(&self) -> &'static [&'static str] {
        self.keys().idle_keys()
    }
}
