//! A step taken in micro-batches is the step taken at once: same samples, same noise, same weights up to rounding.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Graph, Storage};
use tweedie::loss::{
    Denoising, RING_COLUMNS, StoredDataset, TrainingStep, accumulation_states, accumulation_step, training_states,
    training_step, update_step,
};
use tweedie::nn::{Conditioning, Mlp, MlpShape, Optimizer, initial_parameters};
use tweedie::sde::{Model, Network, Parameterisation, Vp};

const SHAPE: MlpShape = MlpShape { dims: 3, width: 8, depth: 1, embedding: 4, classes: 0 };
const ROWS: usize = 50;
const STEPS: usize = 5;
const RING: usize = 8;

fn model<'a>(graph: &mut Graph, sde: &'a Vp) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, SHAPE);
    Box::new(Network {
        sde,
        parameterisation: Parameterisation::Preconditioned,
        sigma_data: 1.0,
        network: move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default()),
    })
}

/// A store at the start of training: uneven data, weights that are not 0.
fn store(graph: &Graph) -> Store<f64> {
    let mut store = Store::new();
    let data: Vec<f64> =
        (0..ROWS * SHAPE.dims).map(|i| (i as f64 * 0.7).sin() + 0.1 * i as f64 / ROWS as f64).collect();
    let weights: Vec<f64> =
        (0..).zip(initial_parameters(graph, 4)).map(|(i, w)| f64::from(w) + 0.01 * f64::from(i % 7)).collect();
    store.upload(training_states::DATASET, &data);
    store.upload("params", &weights);
    store.upload("ema", &weights);
    store.upload_words(training_states::CLOCK, &[0, 0, 9, 0]);
    store.upload(accumulation_states::MICRO_BATCHES, &[0.0]);
    store
}

#[test]
fn four_micro_batches_of_sixteen_are_one_batch_of_sixty_four() {
    let (sde, loss, optimizer) = (Vp::default(), Denoising::default(), Optimizer::default());
    let data = StoredDataset { rows: ROWS, dims: SHAPE.dims, storage: Storage::F32 };
    let spec = TrainingStep {
        sde: &sde,
        loss: &loss,
        optimizer: &optimizer,
        data,
        flip: None,
        dequantise: None,
        ring_rows: RING,
    };
    let whole = training_step(&spec, |graph| model(graph, &sde));
    let micro_batch = accumulation_step(&spec, 4, |graph| model(graph, &sde));
    let update = update_step(&spec, |graph| model(graph, &sde));

    let (mut at_once, mut accumulated) = (store(&whole), store(&whole));
    let mut whole = Program::<f64>::new(&whole, "params");
    let (mut micro_batch, mut update) =
        (Program::<f64>::new(&micro_batch, "params"), Program::<f64>::new(&update, "params"));
    for step in 0..STEPS {
        whole.run(&mut at_once, &[], 64).unwrap();
        for done in 0..4 {
            assert_eq!(accumulated.words(training_states::CLOCK).unwrap()[..2], [step as u32, 16 * done]);
            micro_batch.run(&mut accumulated, &[], 16).unwrap();
        }
        update.run(&mut accumulated, &[], 16).unwrap();
        assert_eq!(accumulated.words(training_states::CLOCK).unwrap(), at_once.words(training_states::CLOCK).unwrap());
        for name in ["params", "ema", "adam_m", "adam_v", training_states::RING, training_states::STATUS] {
            let pairs = at_once.get(name).unwrap().iter().zip(accumulated.get(name).unwrap());
            for (i, (a, b)) in pairs.enumerate() {
                assert!((a - b).abs() < 1e-10 * (1.0 + a.abs()), "step {step}, {name}[{i}]: {a}, {b}");
            }
        }
        assert!(at_once.get(training_states::RING).unwrap()[step * RING_COLUMNS] > 0.01, "a loss was recorded");
    }
}

#[test]
fn a_loss_that_overflows_in_one_micro_batch_stops_the_step() {
    let (sde, loss, optimizer) = (Vp::default(), Denoising::default(), Optimizer::default());
    let data = StoredDataset { rows: ROWS, dims: SHAPE.dims, storage: Storage::F32 };
    let spec = TrainingStep {
        sde: &sde,
        loss: &loss,
        optimizer: &optimizer,
        data,
        flip: None,
        dequantise: None,
        ring_rows: RING,
    };
    let micro_batch = accumulation_step(&spec, 5, |graph| model(graph, &sde));
    let update = update_step(&spec, |graph| model(graph, &sde));
    let mut store = store(&micro_batch);
    let mut rows = store.get(training_states::DATASET).unwrap().to_vec();
    rows[7 * SHAPE.dims] = f64::NAN;
    store.upload(training_states::DATASET, &rows);
    let before = store.get("params").unwrap().to_vec();
    let (mut micro_batch, mut update) =
        (Program::<f64>::new(&micro_batch, "params"), Program::<f64>::new(&update, "params"));
    // All rows once: the bad one is in one of the micro-batches.
    (0..5).for_each(|_| micro_batch.run(&mut store, &[], 10).unwrap());
    update.run(&mut store, &[], 10).unwrap();
    assert_eq!(store.get(training_states::STATUS).unwrap(), [1.0]);
    assert_eq!(store.get("params").unwrap(), before);
    let record = &store.get(training_states::RING).unwrap()[..RING_COLUMNS];
    assert!(record[0].is_nan() && record[3] > 0.0, "the time of the bad sample is known: {record:?}");
}
