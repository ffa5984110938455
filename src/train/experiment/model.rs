//! The config's model as graphs see it: a network told what its purpose lets it know, or an exact score.

use crate::config;
use crate::data::Dataset;
use crate::graph::{Distribution, Expr, Graph, Order, Shape, Storage, TensorType, Value};
use crate::loss::{
    LearnedEnds, Scheduled, StoredDataset, TimeWarp, Trainee, Uncertain, Uncertainty, WeightingKind, evaluation_states,
    training_states,
};
use crate::nn::{self, Activations, Conditioning, Forward};
use crate::sampler::Guided;
use crate::sde::{Model, Network};
use crate::train::experiment::Experiment;

/// For what a model is built, which decides where it learns a sample's class and whether units are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Classes are those of the batch, some withheld; units are dropped.
    Train,
    /// Classes are those of the held-out samples.
    Evaluate,
    /// Classes are those in the store.
    Draw,
    /// The same, moved away from what the network says of samples of any class: classifier-free guidance.
    DrawGuided,
}

/// Names of the states of a model that knows classes.
pub mod class_states {
    /// `[rows, 1]`: the classes of the training data.
    pub const LABELS: &str = "labels";
    /// `[rows, 1]`: the classes of the held-out data.
    pub const HELD_OUT: &str = "evaluation.labels";
    /// `[Batch, 1]`: the class of each sample to draw; the number of classes stands for any.
    pub const CLASS: &str = "sampler.class";
    /// `[1]`: how far guidance goes. 0 is no class at all, 1 no guidance.
    pub const GUIDANCE: &str = "sampler.guidance";
}

impl Experiment {
    /// Adds the model to a graph, with the parameters of what training learns beside it: all graphs agree on the arena.
    pub(in crate::train) fn model<'a>(&'a self, graph: &mut Graph, purpose: Purpose) -> Box<dyn Model + 'a> {
        self.trainee(graph, purpose).model
    }

    /// The model, and what training learns beside it.
    pub(in crate::train) fn trainee<'a>(&'a self, graph: &mut Graph, purpose: Purpose) -> Trainee<'a> {
        let model = self.bare_model(graph, purpose);
        if let config::Sde::Learned(learned) = &self.config.sde {
            let warp = TimeWarp::new(graph, learned.pieces, [0.0, 1.0]);
            let ends = self.learned_ends().map(|spec| LearnedEnds::new(graph, spec));
            return Trainee { model, auxiliary: Box::new(Scheduled { warp, ends }) };
        }
        if self.config.loss.levels().weighting.kind != WeightingKind::Uncertainty || !self.is_trainable() {
            return model.into();
        }
        let uncertainty = Uncertainty::new(graph);
        Trainee { model, auxiliary: Box::new(Uncertain { sde: self.sde(), uncertainty }) }
    }

    fn bare_model<'a>(&'a self, graph: &mut Graph, purpose: Purpose) -> Box<dyn Model + 'a> {
        let Some(architecture) = &self.architecture else {
            return self.exact().expect("the config was checked: exact models know their mixture");
        };
        let recomputed = self.config.train.checkpoint_activations;
        let forward = architecture.declare(graph, if recomputed { Activations::Recomputed } else { Activations::Kept });
        let conditioning = self.conditioning(graph, purpose);
        let with = self.network(forward.clone(), conditioning);
        if purpose != Purpose::DrawGuided || architecture.classes() == 0 {
            return with;
        }
        let without = self.network(forward, Conditioning { class: None, ..conditioning });
        let weight = graph.state(class_states::GUIDANCE, TensorType::f32(Shape::fixed(&[1])));
        Box::new(Guided { with, without, weight })
    }

    /// The exact score, where the data's density is known.
    pub(in crate::train) fn exact(&self) -> Option<Box<dyn Model + '_>> {
        let mixture = self.mixture.as_ref()?;
        let law = nn::ExactMixture { components: mixture.components(), dims: mixture.dim() };
        Some(Box::new(law.model(self.sde())))
    }

    fn network(&self, forward: Forward, conditioning: Conditioning) -> Box<dyn Model + '_> {
        Box::new(Network {
            sde: self.sde(),
            parameterisation: self.config.loss.levels().parameterisation,
            sigma_data: self.sigma_data,
            network: move |graph: &mut Graph, x, level| forward(graph, x, level, conditioning),
        })
    }

    /// What a network is given for this purpose.
    fn conditioning(&self, graph: &mut Graph, purpose: Purpose) -> Conditioning {
        let classes = self.classes();
        let labels = |graph: &mut Graph, data: &Dataset, name: &str, clock: Value, order: Order| {
            StoredDataset { rows: data.len(), dims: 1, storage: Storage::F32 }.batch(graph, name, clock, order)
        };
        match purpose {
            Purpose::Train => {
                let withheld = self.config.model.label_dropout();
                let clock = graph.clock(training_states::CLOCK);
                let class = (classes > 0).then(|| {
                    let class = labels(graph, &self.train_data, class_states::LABELS, clock, Order::Shuffled);
                    let draw = graph.random(clock, "label_dropout", Distribution::Uniform, Shape::batch(&[1]));
                    let kept = Expr::input(1).less(withheld).select(classes as f64, Expr::input(0));
                    graph.map(&[class, draw], &kept)
                });
                Conditioning { clock: Some(clock), class, augmentation: None }
            }
            Purpose::Evaluate => {
                let class = (classes > 0).then(|| {
                    let clock = graph.clock(evaluation_states::CLOCK);
                    labels(graph, &self.held_out, class_states::HELD_OUT, clock, Order::Sequential)
                });
                Conditioning { class, ..Conditioning::default() }
            }
            Purpose::Draw | Purpose::DrawGuided => {
                let class =
                    (classes > 0).then(|| graph.state(class_states::CLASS, TensorType::f32(Shape::batch(&[1]))));
                Conditioning { class, ..Conditioning::default() }
            }
        }
    }
}
