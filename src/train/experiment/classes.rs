//! The classes of samples.

use crate::train::request_error::ClassesError;

/// The classes of samples, where a network knows classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes<'a> {
    /// The network is told none.
    Any,
    /// All of this one.
    One(u32),
    /// Sample i is of class i, beginning again after the last class.
    InTurn,
    /// The class of every sample.
    Each(&'a [u32]),
}

impl Classes<'_> {
    /// Whether `samples` samples can have these classes, with a network that knows `known` classes.
    ///
    /// # Errors
    /// The network knows no such class, or there is not one for each sample.
    pub fn check(self, known: usize, samples: usize) -> Result<(), ClassesError> {
        match self {
            Self::Any | Self::InTurn => Ok(()),
            Self::One(class) => expect_known(class, known).map(drop),
            Self::Each(classes) if classes.len() != samples => {
                Err(ClassesError::Count { found: classes.len(), wanted: samples })
            }
            Self::Each(classes) => classes.iter().try_for_each(|class| expect_known(*class, known).map(drop)),
        }
    }

    /// What a network of `known` classes is told of a sample: its class, or `known` for any.
    ///
    /// # Errors
    /// The network knows no such class, or the class of the sample is not said.
    pub(super) fn told(self, sample: usize, known: usize) -> Result<usize, ClassesError> {
        match self {
            Self::Any => Ok(known),
            Self::One(class) => expect_known(class, known),
            Self::InTurn => Ok(sample.checked_rem(known).unwrap_or(known)),
            Self::Each(classes) => {
                let missing = ClassesError::Count { found: classes.len(), wanted: sample + 1 };
                expect_known(*classes.get(sample).ok_or(missing)?, known)
            }
        }
    }
}

fn expect_known(class: u32, known: usize) -> Result<usize, ClassesError> {
    let number = class as usize;
    if number < known { Ok(number) } else { Err(ClassesError::Unknown { found: class, classes: known }) }
}
