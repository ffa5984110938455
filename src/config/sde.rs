//! `[sde]`: how data becomes noise. The processes themselves say their keys.

use super::error::Violation;
use super::table::{Keys, choices};
use crate::sde::*;

/// Declares the kinds of the table, which are the processes that there are.
macro_rules! kinds {
    ($($name:literal => $process:ident,)+) => {
        choices! {
            /// How data becomes noise while time runs from 0 (data) to 1 (noise).
            Sde in "sde" default None, { $(#[doc = $name] $name => $process,)+ }
        }

        impl Sde {
            /// The process.
            pub fn process(&self) -> Box<dyn crate::sde::Sde> {
                match self { $(Self::$process(keys) => keys.process()),+ }
            }
        }

        $(impl Keys for $process {
            fn check(&self) -> Result<(), Violation> {
                ProcessKeys::check(self)
            }
        })+
    };
}
processes!(kinds);
