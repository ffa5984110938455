//! Types whose values are words of a config. Each word and what it means stand once: names, serde, the schema that
//! values are checked against and the documentation follow.

use schemars::{Schema, json_schema};

/// A type whose values are words of a config.
pub trait Word: Clone + 'static {
    /// Every value, in the order of the documentation; where a value holds numbers, with those that it has by default.
    fn all() -> Vec<Self>;

    /// The word.
    fn name(&self) -> &'static str;

    /// What it means, for the documentation.
    fn about(&self) -> &'static str;

    /// The value of this word.
    fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|word| word.name() == name)
    }
}

/// The schema of a word, as schemars derives it of an enum.
pub(crate) fn schema<W: Word>() -> Schema {
    let word = |word: W| json_schema!({ "type": "string", "const": word.name(), "description": word.about() });
    let words: Vec<Schema> = W::all().into_iter().map(word).collect();
    json_schema!({ "oneOf": words })
}

/// A type that is a [`Word`] for serde and schemars.
macro_rules! word_in_configs {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::word::Word::name(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                let unknown = || serde::de::Error::custom(format!("unknown word {name}"));
                <Self as $crate::word::Word>::named(&name).ok_or_else(unknown)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::word::schema::<Self>()
            }
        }
    };
}

/// Declares an enum of words, of which some hold a number: `words! { pub enum Name { /// doc  "one" => One, … } }`.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $(
                $(#[doc = $about:literal])+
                $word:literal => $variant:ident $({ $(#[$of_number:meta])* $number:ident: $type:ty = $default:expr })?
            ),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[doc = $about])+ $variant $({ $(#[$of_number])* $number: $type })?),+
        }

        impl $name {
            /// The word.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word),+ }
            }
        }

        impl $crate::word::Word for $name {
            fn all() -> Vec<Self> {
                vec![$(Self::$variant $({ $number: $default })?),+]
            }

            fn name(&self) -> &'static str {
                self.name()
            }

            fn about(&self) -> &'static str {
                match self { $(Self::$variant { .. } => concat!($($about),+).trim()),+ }
            }
        }

        $crate::word::word_in_configs!($name);
    };
}

pub(crate) use {word_in_configs, words};
