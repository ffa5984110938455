//! Every objective learns the same score: networks trained by each, judged by the exact one.

use tweedie::cpu::{Program, Store};
use tweedie::data::{Mixture as Density, Width};
use tweedie::graph::{Graph, Storage};
use tweedie::loss::{
    Denoising, EvaluationSpec, Explicit, Implicit, Noise, Objective, Projections, Reduce, ScoreMatching, Sliced,
    SlicedFd, SlicedVr, StoredDataset, TrainingStep, WeightingKind, evaluation_states, evaluation_step,
    training_states, training_step,
};
use tweedie::nn::{Conditioning, ExactMixture, LearningRate, Mlp, MlpShape, Optimizer, initial_parameters};
use tweedie::sde::{Model, Network, Parameterisation, Sde, Ve};

const ROWS: usize = 4000;
const LEVELS: usize = 4;

fn network<'a>(graph: &mut Graph, sde: &'a dyn Sde, parameterisation: Parameterisation) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, MlpShape { dims: 2, width: 24, depth: 1, embedding: 8, classes: 0 });
    let network = move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
    Box::new(Network { sde, parameterisation, sigma_data: 1.0, network })
}

/// The explicit loss of the averaged weights before and after training by `objective`, on data of its own.
fn explicit_loss(objective: &dyn Objective, noise: Noise) -> [f32; 2] {
    let sde = Ve { sigma_min: 0.2, sigma_max: 5.0, t_min: 0.01 };
    let widths = vec![Width::Isotropic(0.5); 2];
    let density = Density::new(&[0.6, 0.4], &[vec![-1.0, 0.3], vec![1.0, -0.3]], &widths).unwrap();
    let parameterisation = match noise {
        Noise::All => Parameterisation::Preconditioned,
        Noise::None => Parameterisation::Score,
    };
    let optimizer = Optimizer { learning_rate: LearningRate::constant(3e-3), ema_decay: 0.98, ..Optimizer::default() };
    let data = StoredDataset { rows: ROWS, dims: 2, storage: Storage::F32 };
    let spec = TrainingStep {
        sde: &sde,
        loss: objective,
        optimizer: &optimizer,
        data,
        flip: None,
        dequantise: None,
        ring_rows: 8,
    };
    let graph = training_step(&spec, |graph| network(graph, &sde, parameterisation));
    let mut store = Store::new();
    for (name, values) in ExactMixture::states(density.weights(), density.means(), density.widths()) {
        store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<f32>>());
    }
    let first = initial_parameters(&graph, 7);
    store.upload("params", &first);
    store.upload("ema", &first);
    store.upload(training_states::DATASET, &density.sample(ROWS, 1).0);
    store.upload_words(training_states::CLOCK, &[0, 0, 7, 0]);

    let mixture = ExactMixture { components: 2, dims: 2 };
    let (weighting, reduce) = (WeightingKind::Sigma2.into(), Reduce::Sum);
    let judge = ScoreMatching { noise, weighting, reduce, ..ScoreMatching::new(Explicit { density: mixture }) };
    let spec = EvaluationSpec { sde: &sde, loss: &judge, data, exact: None, dequantise: None, times: LEVELS };
    let judged = evaluation_step(&spec, |graph| network(graph, &sde, parameterisation));
    store.upload(evaluation_states::DATASET, &density.sample(ROWS, 2).0);
    store.upload(evaluation_states::TIMES, &[0.1, 0.3, 0.5, 0.7]);
    let mut judge = Program::<f32>::new(&judged, "ema");
    let mut loss = |store: &mut Store<f32>| {
        store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
        judge.run(store, &[], ROWS).unwrap();
        judge.output("loss")[0]
    };
    let before = loss(&mut store);
    let mut program = Program::<f32>::new(&graph, "params");
    for _ in 0..400 {
        program.run(&mut store, &[], 64).unwrap();
    }
    [before, loss(&mut store)]
}

#[test]
fn every_objective_brings_the_network_to_the_exact_score() {
    let density = ExactMixture { components: 2, dims: 2 };
    let projections = Projections::default();
    let fd = |step| SlicedFd { projections, step };
    let at_none = |objective: ScoreMatching| ScoreMatching { noise: Noise::None, ..objective };
    let cases: Vec<(&str, Box<dyn Objective>, Noise)> = vec![
        ("denoising", Box::new(Denoising::default()), Noise::All),
        ("explicit", Box::new(ScoreMatching::new(Explicit { density })), Noise::All),
        ("implicit", Box::new(ScoreMatching::new(Implicit)), Noise::All),
        ("sliced", Box::new(ScoreMatching::new(Sliced { projections })), Noise::All),
        ("sliced-vr", Box::new(ScoreMatching::new(SlicedVr { projections })), Noise::All),
        ("sliced-fd", Box::new(ScoreMatching::new(fd(0.05))), Noise::All),
        ("implicit", Box::new(at_none(ScoreMatching::new(Implicit))), Noise::None),
        ("sliced-vr", Box::new(at_none(ScoreMatching::new(SlicedVr { projections }))), Noise::None),
        ("sliced-fd", Box::new(at_none(ScoreMatching::new(fd(0.05)))), Noise::None),
    ];
    for (name, objective, noise) in cases {
        let [before, after] = explicit_loss(objective.as_ref(), noise);
        println!("{name}, noise {noise:?}: {before} before, {after} after");
        // An untrained network leaves the first; what is left is a tenth of that, or less.
        assert!(after < 0.1 * before, "{name}, noise {noise:?}: {before} before, {after} after");
    }
}
