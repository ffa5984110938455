//! A config made real: data, process, network and the graphs of everything that a device can be asked for.
//!
//! This file holds what an experiment is. The others say what an experiment does:
//!
//! | file | says |
//! |---|---|
//! | `checks`, `advice` | what of the config does not fit the data, and what is seldom meant |
//! | `sizes`, `memory` | how much is done at a time, and whether the host has memory for it |
//! | `model`, `objective` | the model as graphs see it, and what training minimises |
//! | `programs` | the programs of training, drawing and scoring |
//! | `store`, `classes` | what is put into a device's store, and the classes of samples there |
//! | `levels`, `evaluation_levels` | the noise levels at which the model is asked, and those of an evaluation |
//! | `schedule` | the process along a schedule that is learned |

pub mod advice;
mod checks;
mod classes;
pub mod evaluation_levels;
mod levels;
pub mod memory;
pub(super) mod model;
mod objective;
mod programs;
mod schedule;
mod sizes;
mod store;

pub use classes::Classes;
pub use programs::{Drawing, DrawingPrograms, TrainingPrograms};
pub use sizes::FRAMES;
pub use store::clock;

use crate::config::{self, Config};
use crate::data::{DataError, Dataset, Mixture};
use crate::graph::{Graph, Parameter};
use crate::nn::Architecture;
use crate::sde::Sde;
use crate::train::error::TrainError;
use crate::train::experiment::model::Purpose;

/// Steps that the ring of losses remembers.
pub const RING_ROWS: usize = 512;
/// Noise levels at which the held-out loss is measured.
pub const LEVELS: usize = 10;

/// A config made real.
pub struct Experiment {
    config: Config,
    train_data: Dataset,
    held_out: Dataset,
    mixture: Option<Mixture>,
    sde: Box<dyn Sde>,
    sigma_data: f64,
    architecture: Option<Box<dyn Architecture>>,
    parameters: Vec<Parameter>,
    arena_elements: usize,
}

impl Experiment {
    /// Draws or reads the data and sizes the network.
    ///
    /// # Errors
    /// When the data cannot be had, or a key of the config does not fit them.
    pub fn new(config: &Config) -> Result<Self, TrainError> {
        let named = |error: DataError| match &config.data {
            config::Data::File(file) => {
                TrainError::unfit("data.path", format!("data.path: {}", error.in_file(&file.path)))
            }
            _ => TrainError::from(error),
        };
        let dataset = config.data.dataset().map_err(named)?;
        let split = dataset.split().map_err(named)?;
        let sde = config.sde.process();
        checks::check(config, &dataset, sde.as_ref())?;
        let (mean, std) = split.train.mean_std();
        let architecture = config.model.architecture(&dataset)?;
        let mut experiment = Self {
            config: config.clone(),
            train_data: split.train,
            held_out: split.held_out,
            mixture: dataset.exact,
            sde,
            sigma_data: mean.hypot(std).max(1e-6),
            architecture,
            parameters: Vec::new(),
            arena_elements: 0,
        };
        let mut graph = Graph::new();
        drop(experiment.model(&mut graph, Purpose::Draw));
        experiment.parameters = graph.parameters().to_vec();
        experiment.arena_elements = graph.arena_elements();
        Ok(experiment)
    }

    /// The same with another forward process than the config's, such as one of your own: samplers, scores and
    /// likelihoods go by it. An exact score is exact along it; a network has to have been trained along it.
    ///
    /// # Errors
    /// When the config's sampler cannot go along it.
    pub fn with_sde(self, sde: Box<dyn Sde>) -> Result<Self, TrainError> {
        checks::sampler(&self.config, sde.as_ref())?;
        Ok(Self { sde, ..self })
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes `train.steps`, say to train on. Programs that are loaded keep their learning rates: a cosine falls to 0
    /// where it did before.
    pub fn set_steps(&mut self, steps: u64) {
        self.config.train.steps = steps;
    }

    /// What is learned; of an exact model, samples of its law.
    pub fn train_data(&self) -> &Dataset {
        &self.train_data
    }

    /// What is kept out of training.
    pub fn held_out(&self) -> &Dataset {
        &self.held_out
    }

    /// The data's density, where it is known.
    pub fn mixture(&self) -> Option<&Mixture> {
        self.mixture.as_ref()
    }

    /// The forward process. Of a schedule that is learned it is the one followed last.
    pub fn sde(&self) -> &dyn Sde {
        self.sde.as_ref()
    }

    /// Root mean square of the data's coordinates; of a model that was restored, of the data that it was trained on.
    pub fn sigma_data(&self) -> f64 {
        self.sigma_data
    }

    /// Preconditions the network for data of this root mean square: that of the data that its weights were trained on.
    pub(super) fn set_sigma_data(&mut self, sigma_data: f64) {
        self.sigma_data = sigma_data;
    }

    /// The network; `None` for an exact score.
    pub fn architecture(&self) -> Option<&dyn Architecture> {
        self.architecture.as_deref()
    }

    /// Whether there is a network.
    pub fn is_trainable(&self) -> bool {
        self.architecture.is_some()
    }

    /// The network's parameters in the order of the arena.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.parameters.iter().map(Parameter::elements).sum()
    }

    /// Length of the parameter arena.
    pub fn arena_elements(&self) -> usize {
        self.arena_elements
    }

    /// Classes that the network knows; 0 where it is told none.
    pub fn classes(&self) -> usize {
        self.architecture.as_ref().map_or(0, |network| network.classes())
    }

    /// Whether the model knows samples of which no class is said: as in training, where a share of classes is withheld.
    pub fn knows_any_class(&self) -> bool {
        self.classes() == 0 || self.config.model.label_dropout() > 0.0
    }
}
