//! The experiment's configuration: a TOML file with the tables `[data] [model] [sde] [loss] [train] [sample]`.
//!
//! Each table is a plain struct (or, where there is a choice, an enum of structs named by the key `kind`).
//! Types, ranges and documentation of a key stand once, at its field: the checks, the error messages and
//! `docs/configuration.md` are all derived from there.

mod data;
mod dit;
mod docs;
mod document;
mod error;
mod exact;
mod loss;
mod mlp;
mod model;
mod network;
mod overrides;
mod sample;
mod schema;
mod sde;
mod table;
mod train;
mod unet;

use std::io::Read;
use std::path::Path;

use serde::Serialize;

pub use data::{Checkerboard, Data, Digits, EightGaussians, File, Mixture, SwissRoll, TwoMoons};
pub use dit::DiT;
pub use docs::markdown;
pub use error::{ConfigError, word};
pub use exact::Exact;
pub use loss::{Denoising, Explicit, Implicit, Levels, Loss, Sliced, SlicedFd, SlicedVr, Time};
pub use mlp::{Activation, Mlp};
pub use model::Model;
pub use network::{ClassKeys, Misfit};
pub use overrides::{Origin, Overrides};
pub use sample::Sample;
pub use sde::Sde;
pub use train::{Schedule, Train};
pub use unet::{Embedding, UNet};

use crate::loss::{Noise, WeightingKind};
use crate::sampler::{Grid, Spacing};
use crate::sde::Ends;
use document::Document;
use table::{Choice, Single};

/// Keys that a resumed run may change: they say how long to train, what to write and what to draw, and do not
/// enter a single training step (`train.steps` does where the schedule is `cosine`, whose end it is).
const FREE_WHEN_RESUMING: [&str; 7] = [
    "train.steps",
    "train.checkpoint_every",
    "train.evaluate_every",
    "train.sample_every",
    "train.log_every",
    "train.keep",
    "sample.",
];

/// A whole experiment, every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// What is learned.
    pub data: Data,
    /// What learns it.
    pub model: Model,
    /// How data becomes noise.
    pub sde: Sde,
    /// What is minimised.
    pub loss: Loss,
    /// How it is minimised.
    pub train: Train,
    /// How samples are drawn unless the command line says otherwise.
    pub sample: Sample,
}

/// Bytes of the longest config.
const LONGEST: u64 = 1 << 24;

impl Config {
    /// Reads a file and applies the overrides to it.
    ///
    /// # Errors
    /// The file cannot be read, or what [`Config::parse`] says.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        if path.is_dir() {
            let inside = path.join("config.toml");
            let hint = if inside.is_file() { format!(", such as {}", inside.display()) } else { String::new() };
            return Err(ConfigError::file(&name, &format!("is a folder; a config is a .toml file{hint}")));
        }
        let mut text = String::new();
        // A device may have no end.
        let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => ConfigError::file(&name, "is not UTF-8 text; a config is a .toml file"),
            std::io::ErrorKind::NotFound => ConfigError::file(&name, "no such file; should be a config, a .toml file"),
            _ => ConfigError::file(&name, &error.to_string()),
        })?;
        if text.len() as u64 > LONGEST {
            return Err(ConfigError::file(&name, &format!("is longer than {LONGEST} bytes; a config is a .toml file")));
        }
        Self::parse(&text, &name, overrides)
    }

    /// Parses the text of a config; `name` is what errors call the file.
    ///
    /// # Errors
    /// One line that names the file, the key, its value and what would be right: for broken TOML, a table, key or
    /// kind that is unknown or missing, a value of a wrong type or out of range, and tables that do not fit together.
    pub fn parse(text: &str, name: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut document = Document::parse(text, name)?;
        let choices = [
            (Data::TABLE, Data::DEFAULT_KIND),
            (Model::TABLE, Model::DEFAULT_KIND),
            (Sde::TABLE, Sde::DEFAULT_KIND),
            (Loss::TABLE, Loss::DEFAULT_KIND),
        ];
        document.apply(overrides, &choices)?;
        document.expect_tables(&[Data::TABLE, Model::TABLE, Sde::TABLE, Loss::TABLE, Train::TABLE, Sample::TABLE])?;
        let data: Data = document.choice()?;
        document.resolve((Sde::TABLE, "sigma_max"), "visible", || data.visible_sigma())?;
        if let Some(kind) = document.kind(Model::TABLE).map(str::to_owned) {
            document.fill((Model::TABLE, "preset"), |name| Model::preset(&kind, name));
        }
        let config = Self {
            data,
            model: document.choice()?,
            sde: document.choice()?,
            loss: document.choice()?,
            train: document.single()?,
            sample: document.single()?,
        };
        config.check().map_err(|violation| document.violated("", violation))?;
        Ok(config)
    }

    /// What concerns more than one table.
    fn check(&self) -> Result<(), error::Violation> {
        if matches!(self.model, Model::Exact(_)) && !self.data.knows_its_score() {
            return Err(error::Violation::new(
                "model.kind",
                "needs data that knows its own score: data.kind must be mixture, eight-gaussians, two-moons or swiss-roll, or choose another model",
            ));
        }
        if matches!(self.loss, Loss::Explicit(_)) && !self.data.knows_its_score() {
            return Err(error::Violation::new(
                "loss.kind",
                "needs data that knows its own score: data.kind must be mixture, eight-gaussians, two-moons or swiss-roll, or choose another loss",
            ));
        }
        if let Some(wanted) = self.data.dims().and_then(|dims| self.too_large_a_trace(dims)) {
            return Err(error::Violation::new("loss.kind", &wanted));
        }
        self.loss.check()?;
        if self.loss.levels().noise == Noise::None && self.train.sample_every > 0 {
            return Err(error::Violation::new(
                "train.sample_every",
                "must be 0 where loss.noise = \"none\": samples need the score at every noise level",
            ));
        }
        if let Sde::Learned(learned) = &self.sde {
            self.check_schedule()?;
            if learned.ends == Ends::Learned {
                self.check_ends()?;
            }
        }
        if matches!(self.model, Model::Exact(_)) {
            return Ok(());
        }
        self.check_noise_levels()
    }

    /// Whether the ends of a schedule have a bound to be learned by.
    fn check_ends(&self) -> Result<(), error::Violation> {
        let violation = |key: &str, wanted: &str| {
            Err(error::Violation::new(
                key,
                &format!("{wanted} with sde.ends = \"learned\", which are learned by the bound"),
            ))
        };
        match (&self.data, &self.loss) {
            (data, _) if !matches!(data, Data::Digits(_) | Data::File(_)) => Err(error::Violation::new(
                "sde.ends",
                "needs data of discrete levels: of continuous data less noise always makes the bound better; must be fixed, \
                 or data.kind digits or a file of u8",
            )),
            (_, loss) if !matches!(loss, Loss::Denoising(_)) => violation("loss.kind", "must be denoising"),
            (_, loss) if loss.levels().weighting.kind != WeightingKind::Likelihood => {
                violation("loss.weighting", "must be likelihood")
            }
            _ if self.train.dequantise => violation("train.dequantise", "must be false"),
            _ => Ok(()),
        }
    }

    /// What is wrong with an exact trace of samples of `dims` coordinates, if it does not fit any device.
    pub fn too_large_a_trace(&self, dims: usize) -> Option<String> {
        const LARGEST: f64 = 4.294_967_296e9;
        let samples = self.train.batch / self.train.accumulate.max(1);
        let bytes = 4.0 * (dims as f64).powi(2) * samples as f64;
        (matches!(self.loss, Loss::Implicit(_)) && bytes > LARGEST).then(|| {
            format!(
                "takes {dims} derivatives of {dims} coordinates for {samples} samples at a time, {:.1} GB, and no device holds \
                 more than 4.3 GB in one piece; choose sliced-vr, which takes one, or a larger train.accumulate",
                bytes / 1e9
            )
        })
    }

    /// Whether there is something that a schedule can be learned by.
    fn check_schedule(&self) -> Result<(), error::Violation> {
        let violation = |key: &str, wanted: &str| Err(error::Violation::new(key, wanted));
        let loss = self.loss.levels();
        match loss {
            _ if matches!(self.model, Model::Exact(_)) => {
                violation("sde.kind", "is learned with a network: choose another process for model.kind = \"exact\"")
            }
            _ if loss.noise == Noise::None => violation(
                "sde.kind",
                "is learned by the noise levels: choose another process where loss.noise = \"none\"",
            ),
            _ if !matches!(loss.time, Time::Uniform | Time::Stratified) => violation(
                "loss.time",
                "must be uniform or stratified with sde.kind = \"learned\", whose schedule says how often a time is drawn",
            ),
            _ if loss.weighting.kind == WeightingKind::Uncertainty => violation(
                "loss.weighting",
                "must be another with sde.kind = \"learned\": it changes the loss that the schedule is learned by",
            ),
            _ => Ok(()),
        }
    }

    /// Whether training sees the noise levels that samplers ask for, and can learn from all that it sees.
    fn check_noise_levels(&self) -> Result<(), error::Violation> {
        let loss = self.loss.levels();
        let process = self.sde.process();
        // Within a percent of the noise, a network knows what it was not shown.
        let [trained, sampled] = [loss.t_min, process.t_min()].map(|t| process.at(t).noise_to_signal());
        if loss.t_min > process.t_min() && trained > 1.01 * sampled {
            return Err(error::Violation::new(
                "loss.t_min",
                &format!(
                    "must be at most sde.t_min = {}, where samplers end: below loss.t_min the network learns nothing",
                    process.t_min()
                ),
            ));
        }
        if loss.time == Time::LossSecondMoment && self.train.accumulate > 1 {
            return Err(error::Violation::new(
                "loss.time",
                "learns from whole steps: train.accumulate must be 1, or choose uniform, stratified or importance",
            ));
        }
        self.loss.check_process(process.as_ref(), self.sde.kind())
    }

    /// The steps of samplers, and where they go.
    pub fn grid(&self) -> Grid {
        self.sample.grid(Spacing::of(self.sde.process().as_ref()))
    }

    /// What is said where neighbouring levels of that grid are not told apart.
    pub fn indistinct_levels(&self) -> String {
        self.sample.indistinct_levels(self.grid().spacing)
    }

    /// The whole config as TOML, defaults included. Parsing it gives an equal config.
    pub fn to_toml(&self) -> String {
        self.tables().to_string()
    }

    /// The tables, their keys in the order of the docs.
    fn tables(&self) -> toml::Table {
        toml::Table::try_from(self).expect("tables of numbers, strings and arrays always have a TOML form")
    }

    /// The name of the first key in which a run with config `other` could not go on as `self`, and both values:
    /// `(key, own value, other's value)`. `None` where one can be resumed as the other.
    pub fn obstacle_to_resuming(&self, other: &Self) -> Option<(String, String, String)> {
        let (own, others) = (self.leaves(), other.leaves());
        let absent = || "absent".to_string();
        let of = |leaves: &[(String, String)], key: &str| {
            leaves.iter().find(|(name, _)| name == key).map_or_else(absent, |(_, value)| value.clone())
        };
        let bound = [self.binding_leaves(), other.binding_leaves()].concat();
        let keys = bound.iter().map(|(key, _)| key);
        // A differing kind explains all other differences in its table.
        let differing: Vec<&String> = keys.filter(|key| of(&own, key) != of(&others, key)).collect();
        let first = differing.iter().find(|key| key.ends_with(".kind")).or(differing.first())?;
        Some(((*first).clone(), of(&own, first), of(&others, first)))
    }

    /// 16 hexadecimal digits that are equal for configs which can resume each other's runs.
    pub fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325; // FNV-1a, 64 bits
        for (key, value) in self.binding_leaves() {
            for byte in key.bytes().chain([b'=']).chain(value.bytes()).chain([b'\n']) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }

    /// `table.key` and value of everything that a resumed run has to share, sorted by key.
    fn binding_leaves(&self) -> Vec<(String, String)> {
        let is_free = |key: &str| {
            FREE_WHEN_RESUMING.iter().any(|free| key == *free || (free.ends_with('.') && key.starts_with(free)))
        };
        let idle = self.model.idle_keys();
        let is_idle = |key: &str| key.strip_prefix("model.").is_some_and(|key| idle.contains(&key));
        let mut binding = self.leaves();
        binding.retain(|(key, _)| !is_free(key) && !is_idle(key));
        binding.sort();
        binding
    }

    /// `table.key` and value of everything.
    fn leaves(&self) -> Vec<(String, String)> {
        let leaves = self.tables().into_iter().flat_map(|(table, keys)| match keys {
            toml::Value::Table(keys) => {
                keys.into_iter().map(|(key, value)| (format!("{table}.{key}"), value.to_string())).collect::<Vec<_>>()
            }
            other => vec![(table, other.to_string())],
        });
        leaves.collect()
    }
}
