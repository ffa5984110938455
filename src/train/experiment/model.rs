//! The config's model as graphs see it: a network told what its purpose lets it know, or an exact score.

use crate::config;
use crate::data::Dataset;
use crate::graph::{Distribution, Expr, Graph, Order, Shape, Storage, TensorType, Value};
use crate::loss::{LearnedEnds, Scheduled, Source, TimeWarp, Uncertain, Uncertainty, evaluation_names, names};
use crate::nn::unet::{Told, UNet, UNetShape};
use crate::nn::{self, Mlp, MlpShape};
use crate::sampler::Guided;
use crate::sde::{Model, Network};
use crate::train::error::TrainError;
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
pub mod label_names {
    /// `[rows, 1]`: the classes of the training data.
    pub const LABELS: &str = "labels";
    /// `[rows, 1]`: the classes of the held-out data.
    pub const HELD_OUT: &str = "evaluation.labels";
    /// `[Batch, 1]`: the class of each sample to draw; the number of classes stands for any.
    pub const CLASS: &str = "sampler.class";
    /// `[1]`: how far guidance goes. 0 is no class at all, 1 no guidance.
    pub const GUIDANCE: &str = "sampler.guidance";
}

/// The sizes of the config's U-Net for this data, `None` for other models.
///
/// # Errors
/// When the data are no images, or have no labels where the network wants them, or the levels do not fit.
pub fn unet_shape(model: &config::Model, data: &Dataset) -> Result<Option<UNetShape>, TrainError> {
    let config::Model::UNet(unet) = model else { return Ok(None) };
    let Some(image) = data.image() else {
        let text =
            format!("model.kind = \"unet\": needs images, but {} has samples of shape {:?}", data.name, data.shape);
        return Err(TrainError::unfit("model.kind", text));
    };
    let classes = data.labels.as_ref().and_then(|labels| labels.iter().max()).map_or(0, |most| *most as usize + 1);
    if unet.conditional && classes == 0 {
        let text = format!("model.conditional = true: {} has no labels; must be false", data.name);
        return Err(TrainError::unfit("model.conditional", text));
    }
    let shape = unet.shape(image, classes);
    shape.map(Some).map_err(|(key, wanted)| TrainError::unfit(key, format!("{key}: {wanted}")))
}

impl Experiment {
    /// Adds the model to a graph, with what training learns besides.
    pub(in crate::train) fn model<'a>(&'a self, graph: &mut Graph, purpose: Purpose) -> Box<dyn Model + 'a> {
        let model = self.bare_model(graph, purpose);
        if let config::Sde::Learned(learned) = &self.config.sde {
            let warp = TimeWarp::new(graph, learned.pieces, [0.0, 1.0]);
            let ends = self.learned_ends().map(|spec| LearnedEnds::new(graph, spec));
            return Box::new(Scheduled { model, warp, ends });
        }
        if self.config.loss.levels().weighting != config::Weighting::Uncertainty || !self.is_trainable() {
            return model;
        }
        // In every graph, so that all agree on the arena.
        let uncertainty = Uncertainty::new(graph);
        Box::new(Uncertain { model, sde: self.sde.as_ref(), uncertainty })
    }

    fn bare_model<'a>(&'a self, graph: &mut Graph, purpose: Purpose) -> Box<dyn Model + 'a> {
        match &self.config.model {
            config::Model::Mlp(mlp) => {
                let shape =
                    MlpShape { dims: self.dims(), width: mlp.width, depth: mlp.depth, embedding: mlp.embedding };
                let mlp = Mlp::new(graph, shape);
                self.network(move |graph: &mut Graph, x, level| mlp.forward(graph, x, level))
            }
            config::Model::UNet(unet) => {
                let shape = self.unet.as_ref().expect("made with the experiment");
                let mut network = UNet::new(graph, shape);
                if self.config.train.checkpoint_activations {
                    network = network.checkpointed();
                }
                let told = self.told(graph, purpose, unet.label_dropout, shape.classes);
                let with = network.clone();
                let with = self.network(move |graph: &mut Graph, x, level| with.forward(graph, x, level, told));
                if purpose != Purpose::DrawGuided {
                    return with;
                }
                let told = Told { class: None, ..told };
                let without = self.network(move |graph: &mut Graph, x, level| network.forward(graph, x, level, told));
                let weight = graph.state(label_names::GUIDANCE, TensorType::f32(Shape::fixed(&[1])));
                Box::new(Guided { with, without, weight })
            }
            config::Model::Exact(_) => self.exact().expect("the config was checked: exact models know their mixture"),
        }
    }

    /// The exact score, where the data's density is known.
    pub(in crate::train) fn exact(&self) -> Option<Box<dyn Model + '_>> {
        let mixture = self.mixture.as_ref()?;
        let law = nn::Mixture { components: mixture.components(), dims: mixture.dim() };
        Some(Box::new(law.model(self.sde.as_ref())))
    }

    fn network<'a>(&'a self, network: impl Fn(&mut Graph, Value, Value) -> Value + 'a) -> Box<dyn Model + 'a> {
        Box::new(Network {
            sde: self.sde.as_ref(),
            parameterisation: self.config.loss.levels().parameterisation,
            sigma_data: self.sigma_data,
            network,
        })
    }

    /// What a U-Net is told for this purpose.
    fn told(&self, graph: &mut Graph, purpose: Purpose, withheld: f64, classes: usize) -> Told {
        let labels = |graph: &mut Graph, data: &Dataset, name: &str, clock: Value, order: Order| {
            Source { rows: data.len(), dims: 1, storage: Storage::F32 }.batch(graph, name, clock, order)
        };
        match purpose {
            Purpose::Train => {
                let clock = graph.clock(names::CLOCK);
                let class = (classes > 0).then(|| {
                    let class = labels(graph, &self.train, label_names::LABELS, clock, Order::Shuffled);
                    let draw = graph.random(clock, "label_dropout", Distribution::Uniform, Shape::batch(&[1]));
                    let kept = Expr::input(1).less(withheld).select(classes as f64, Expr::input(0));
                    graph.map(&[class, draw], &kept)
                });
                Told { clock: Some(clock), class, augmentation: None }
            }
            Purpose::Evaluate => {
                let clock = graph.clock(evaluation_names::CLOCK);
                let class = (classes > 0)
                    .then(|| labels(graph, &self.held_out, label_names::HELD_OUT, clock, Order::Sequential));
                Told { class, ..Told::default() }
            }
            Purpose::Draw | Purpose::DrawGuided => {
                let class = (classes > 0).then(|| graph.state(label_names::CLASS, TensorType::f32(Shape::batch(&[1]))));
                Told { class, ..Told::default() }
            }
        }
    }
}
