//! How a table becomes a struct: by its `kind` where there is a choice, directly where there is none.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Violation;
use super::schema::{self, TableSchema};

/// The keys of one kind of table. Types and ranges are checked by the schema; `check` is for what concerns several
/// keys together.
pub(super) trait Keys: DeserializeOwned + JsonSchema {
    /// Relations between keys, in the struct's own terms.
    fn check(&self) -> Result<(), Violation> {
        Ok(())
    }
}

/// A table without a choice. It may be left out: every key has a default.
pub(super) trait Single: Keys + Serialize {
    /// The table's name in the file.
    const TABLE: &'static str;
}

/// A table whose key `kind` says which struct it is.
pub(super) trait Choice: Sized {
    /// The table's name in the file.
    const TABLE: &'static str;
    /// The kind of a table that does not say; without one, the table must be there.
    const DEFAULT_KIND: Option<&'static str>;
    /// What the table is for, for the docs.
    const ABOUT: &'static str;
    /// All that can be chosen.
    fn kinds() -> Vec<Kind<Self>>;
}

/// One choice of a table.
pub(super) struct Kind<T> {
    /// The value of `kind`.
    pub name: &'static str,
    /// Its keys.
    pub schema: TableSchema,
    /// From a table without `kind`, checked against `schema`.
    pub build: fn(toml::Table) -> Result<T, Violation>,
}

/// From a table that has passed its schema to the struct.
pub(super) fn build<T: Keys>(table: toml::Table) -> Result<T, Violation> {
    let keys: T = serde_path_to_error::deserialize(toml::Value::Table(table))
        .map_err(|error| Violation::new(&error.path().to_string(), error.inner().message()))?;
    keys.check()?;
    Ok(keys)
}

/// The schema of `T`, for [`choices`].
pub(super) fn schema_of<T: Keys>() -> TableSchema {
    schema::of::<T>()
}

/// Declares the enum of a table's kinds: `choices! { /// doc  Sde in "sde" default None { "vp" => Vp, … } }`.
macro_rules! choices {
    ($(#[doc = $about:literal])* $name:ident in $table:literal default $default:expr, {
        $($(#[doc = $doc:literal])* $kind:literal => $variant:ident),+ $(,)?
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(tag = "kind")]
        pub enum $name {
            $($(#[doc = $doc])* #[serde(rename = $kind)] $variant($variant)),+
        }

        impl $name {
            /// The value of the table's key `kind`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind),+
                }
            }
        }

        impl $crate::config::table::Choice for $name {
            const TABLE: &'static str = $table;
            const DEFAULT_KIND: Option<&'static str> = $default;
            const ABOUT: &'static str = concat!($($about, "\n"),*);
            fn kinds() -> Vec<$crate::config::table::Kind<Self>> {
                use $crate::config::table::{Kind, build, schema_of};
                vec![$(Kind {
                    name: $kind,
                    schema: schema_of::<$variant>(),
                    build: |table| build::<$variant>(table).map(Self::$variant),
                }),+]
            }
        }
    };
}
pub(super) use choices;
