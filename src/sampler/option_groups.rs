//! How options of samplers are declared: in groups of those that belong together, with ranges and meanings.

/// Declares a group of options: a struct of `Option`s, which are keys of a config's `[sample]`, and their names. `None`
/// is the sampler's own value.
macro_rules! options {
    ($(#[doc = $about:literal])* $group:ident { $($(#[$attribute:meta])* $option:ident: $type:ty,)+ }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $group {
            $($(#[$attribute])* #[serde(skip_serializing_if = "Option::is_none")] pub $option: Option<$type>,)+
        }

        impl $group {
            /// The names of the options.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($option)),+];

            /// The names of those that are given.
            pub(super) fn given(&self) -> Vec<&'static str> {
                let options = [$((stringify!($option), self.$option.is_some())),+];
                options.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
            }
        }
    };
}

/// Declares [`SamplerOptions`](super::SamplerOptions), in the order of the documentation.
macro_rules! options_in_groups {
    ($($name:ident: $group:ty,)+) => {
        /// Options of samplers, in groups. Each sampler says which it takes
        /// ([`SamplerKind`](super::SamplerKind)).
        #[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct SamplerOptions {
            $(#[doc = concat!("[`", stringify!($group), "`]")] #[serde(flatten)] pub $name: $group,)+
        }

        impl SamplerOptions {
            /// The names of those that are given.
            pub fn given(&self) -> Vec<&'static str> {
                [$(self.$name.given()),+].concat()
            }
        }
    };
}

pub(super) use {options, options_in_groups};
