//! What an experiment puts into a store: data, first weights, classes, the clock.

use crate::data::{Dataset, Values};
use crate::engine::{Engine, EngineError};
use crate::graph::Graph;
use crate::loss::{
    RING_COLUMNS, SecondMoments, TimeSampling, accumulation_states, evaluation_states, second_moment_states,
    training_states,
};
use crate::nn;
use crate::nn::optimizer::states::{ADAM_M, ADAM_V, EMA, PARAMS};
use crate::sampler;
use crate::train::error::TrainError;
use crate::train::experiment::classes::Classes;
use crate::train::experiment::model::{Purpose, class_states};
use crate::train::experiment::{Experiment, RING_ROWS};

/// The words of a clock.
pub fn clock(step: u32, sample_base: u32, seed: u64) -> [u32; 4] {
    [step, sample_base, seed as u32, (seed >> 32) as u32]
}

impl Experiment {
    /// Puts data into the store.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn fill_store(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        upload(engine, training_states::DATASET, &self.train_data)?;
        upload(engine, evaluation_states::DATASET, &self.held_out)?;
        let times = self.evaluation_times();
        let times: Vec<f32> = self.evaluation_levels().into_iter().map(|level| times[level] as f32).collect();
        engine.set_floats(evaluation_states::TIMES, &times)?;
        engine.set_floats(evaluation_states::STATUS, &[0.0])?;
        engine.set_floats(training_states::RING, &vec![0.0; RING_ROWS * RING_COLUMNS])?;
        engine.set_floats(training_states::STATUS, &[0.0])?;
        engine.set_floats(accumulation_states::MICRO_BATCHES, &[0.0])?;
        engine.set_floats(training_states::STRATA, &TimeSampling::strata(self.config.train.batch))?;
        self.fill_labels(engine)?;
        self.fill_drawing(engine)
    }

    pub(in crate::train) fn fill_drawing(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if let Some(mixture) = &self.mixture {
            for (name, values) in nn::ExactMixture::states(mixture.weights(), mixture.means(), mixture.widths()) {
                let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                engine.set_floats(name, &values)?;
            }
        }
        for constant in self.architecture.iter().flat_map(|network| network.constants()) {
            engine.set_floats(constant.name, &constant.values)?;
        }
        engine.set_floats(sampler::states::STATUS, &[0.0])
    }

    /// Which classes samples `first..first + count` are drawn of, for a model that knows classes.
    ///
    /// # Errors
    /// When samples cannot have these classes, or the device is lost.
    pub fn set_classes(
        &self,
        engine: &mut dyn Engine,
        classes: Classes<'_>,
        first: usize,
        count: usize,
    ) -> Result<(), TrainError> {
        self.set_classes_of(engine, classes, first..first + count)
    }

    /// [`set_classes`](Self::set_classes) of these samples, one for each row of a batch.
    ///
    /// # Errors
    /// When samples cannot have these classes, or the device is lost.
    pub fn set_classes_of(
        &self,
        engine: &mut dyn Engine,
        classes: Classes<'_>,
        samples: impl Iterator<Item = usize>,
    ) -> Result<(), TrainError> {
        let known = self.classes();
        let told: Vec<usize> = samples.map(|sample| classes.told(sample, known)).collect::<Result<_, _>>()?;
        if known == 0 {
            return Ok(());
        }
        let values: Vec<f32> = told.into_iter().map(|class| class as f32).collect();
        Ok(engine.set_floats(class_states::CLASS, &values)?)
    }

    /// How far samples are moved towards their class, for programs made for guidance.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_guidance(&self, engine: &mut dyn Engine, guidance: f64) -> Result<(), EngineError> {
        engine.set_floats(class_states::GUIDANCE, &[guidance as f32])
    }

    fn fill_labels(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if self.classes() == 0 {
            return Ok(());
        }
        for (name, data) in [(class_states::LABELS, &self.train_data), (class_states::HELD_OUT, &self.held_out)] {
            let labels: Vec<f32> = data.labels.iter().flatten().map(|label| *label as f32).collect();
            engine.set_floats(name, &labels)?;
        }
        Ok(())
    }

    /// First weights, from the seed; the moments start at zero, the average at the weights.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn initialise(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let mut graph = Graph::new();
        drop(self.model(&mut graph, Purpose::Draw));
        let weights = nn::initial_parameters(&graph, self.config.train.seed);
        let zeros = vec![0.0; weights.len()];
        engine.set_floats(PARAMS, &weights)?;
        engine.set_floats(EMA, &weights)?;
        engine.set_floats(ADAM_M, &zeros)?;
        engine.set_floats(ADAM_V, &zeros)?;
        for (state, elements) in self.learned_states() {
            engine.set_floats(state, &vec![1.0; elements])?;
        }
        Ok(())
    }

    /// States besides the arenas that training changes and a resumed run needs, all 1 at first: name and length.
    pub fn learned_states(&self) -> Vec<(&'static str, usize)> {
        match self.config.loss.levels().time(self.config.train.batch, self.micro_batches()) {
            TimeSampling::LossSecondMoment(SecondMoments { bins }) => {
                vec![(second_moment_states::SECOND_MOMENTS, bins)]
            }
            _ => Vec::new(),
        }
    }

    /// Sets the training clock to `step` steps done.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_clock(&self, engine: &mut dyn Engine, step: u64) -> Result<(), EngineError> {
        engine.set_words(training_states::CLOCK, &clock(step as u32, 0, self.config.train.seed))
    }
}

fn upload(engine: &mut dyn Engine, name: &str, data: &Dataset) -> Result<(), EngineError> {
    match &data.values {
        Values::F32(values) => engine.set_floats(name, values),
        Values::U8 { bytes, .. } => engine.set_bytes(name, bytes),
    }
}
