//! The samplers that a config and the command line can name.

use super::{AdaptiveSampler, AnySampler, SAMPLERS, Sampler, SamplerOptions};
use crate::violation::Violation;
use crate::word::{Word, word_in_configs};

/// A sampler before its options are known.
#[derive(Clone, Copy, Debug)]
pub struct SamplerKind {
    /// The name in configs and on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    options: &'static [&'static [&'static str]],
    make: fn(&SamplerOptions) -> AnySampler<'static>,
    check: fn(&SamplerOptions) -> Result<(), Violation>,
}

impl PartialEq for SamplerKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl SamplerKind {
    /// A sampler that takes no options.
    pub(super) const fn new(
        name: &'static str,
        about: &'static str,
        make: fn(&SamplerOptions) -> AnySampler<'static>,
    ) -> Self {
        Self { name, about, options: &[], make, check: |_| Ok(()) }
    }

    /// The same, taking these groups of options.
    pub(super) const fn taking(self, options: &'static [&'static [&'static str]]) -> Self {
        Self { options, ..self }
    }

    /// The same, with what its options have to be beside their ranges.
    pub(super) const fn checked(self, check: fn(&SamplerOptions) -> Result<(), Violation>) -> Self {
        Self { check, ..self }
    }

    /// The names of the options that it takes.
    pub fn options(&self) -> Vec<&'static str> {
        self.options.concat()
    }

    /// The sampler with these options; those that it does not take are ignored.
    pub fn make(&self, options: &SamplerOptions) -> AnySampler<'static> {
        (self.make)(options)
    }

    /// Whether these options are for it, and fit together.
    ///
    /// # Errors
    /// The first that is not, or does not.
    pub fn check(&self, options: &SamplerOptions) -> Result<(), Violation> {
        let own = self.options();
        let Some(other) = options.given().into_iter().find(|option| !own.contains(option)) else {
            return (self.check)(options);
        };
        let name = self.name;
        let takes = if own.is_empty() { "takes no options".to_string() } else { format!("takes {}", own.join(", ")) };
        let owners = SAMPLERS.iter().filter(|kind| kind.options().contains(&other)).map(|kind| kind.name);
        let owners = owners.collect::<Vec<_>>().join(", ");
        Err(Violation::new(other, &format!("must be left out: {name} {takes}; {other} belongs to {owners}")))
    }
}

impl Word for SamplerKind {
    fn all() -> Vec<Self> {
        SAMPLERS.to_vec()
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }
}

word_in_configs!(SamplerKind);

/// Every sampler whose steps are laid down beforehand, with these options.
pub fn stepwise_samplers(options: &SamplerOptions) -> Vec<Box<dyn Sampler>> {
    let made = SAMPLERS.iter().map(|kind| kind.make(options));
    made.filter_map(|sampler| if let AnySampler::Stepwise(sampler) = sampler { Some(sampler) } else { None }).collect()
}

/// Every adaptive sampler, with these options.
pub fn adaptive_samplers(options: &SamplerOptions) -> Vec<Box<dyn AdaptiveSampler>> {
    let made = SAMPLERS.iter().map(|kind| kind.make(options));
    made.filter_map(|sampler| if let AnySampler::Adaptive(sampler) = sampler { Some(sampler) } else { None }).collect()
}

/// The stepwise sampler of this name with its own options.
pub fn sampler(name: &str) -> Option<Box<dyn Sampler>> {
    sampler_with(name, &SamplerOptions::default())
}

/// The stepwise sampler of this name with these options; those that it does not take are ignored.
pub fn sampler_with(name: &str, options: &SamplerOptions) -> Option<Box<dyn Sampler>> {
    match SamplerKind::named(name)?.make(options) {
        AnySampler::Stepwise(sampler) => Some(sampler),
        AnySampler::Adaptive(_) => None,
    }
}
