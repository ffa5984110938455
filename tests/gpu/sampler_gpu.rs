//! Samplers on a GPU: the same numbers as on the CPU, and steps that the host need not see.

use crate::common::both::{Case, numbers};
use tweedie::graph::expr::{Distribution, RandomDraw, Term};
use tweedie::graph::{Expr, Graph, Shape, TensorType, random};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::sampler::brownian_tree::{BrownianTree, TICKS};
use tweedie::sampler::dormand_prince::DormandPrince;
use tweedie::sampler::{
    AdaptiveSampler, AdaptiveSde, Dpm3m, EdmStochastic, Grid, Norms, Pndm, PredictorCorrector, Rk45, Sampler,
    SamplerOptions, Twisted, UniPc, adaptive_begin, adaptive_samplers, adaptive_step, states,
};
use tweedie::sampler::{flatten, sampling_step, stepwise_samplers};
use tweedie::sde::{Exact, Model, Sde, Vp};

/// Standard normal data times ½, whose scores are linear.
fn gaussian(sde: &dyn Sde) -> Box<dyn Model + '_> {
    let [x, alpha, sigma] = [0, 1, 2].map(Expr::input);
    let variance = (&alpha * 0.5).square() + sigma.square();
    let (score, denoised) = (-(&x / &variance), alpha * 0.25 / variance * x);
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, alpha, sigma| graph.map(&[x, alpha, sigma], &score),
        denoised: move |graph: &mut Graph, x, alpha, sigma| graph.map(&[x, alpha, sigma], &denoised),
    })
}

#[test]
fn the_gpu_takes_the_same_steps_as_the_cpu() {
    let (sde, batch, dims) = (Vp::default(), 5, 6);
    let corrected = PredictorCorrector { norms: Norms::Batch, ..PredictorCorrector::DEFAULT };
    let samplers: [&dyn Sampler; 5] =
        [&Dpm3m, &UniPc { order: 3 }, &Pndm::default(), &EdmStochastic::DEFAULT, &corrected];
    for sampler in samplers {
        let table = sampler.coefficients(&sde, &Grid::linear(6));
        let graph = sampling_step(sampler, dims, table.len(), |_| gaussian(&sde));
        let mut case = Case::new(sampler.name(), &graph, batch)
            .floats(states::TABLE, flatten(sampler.columns(), &table, &sde, table.len()))
            .floats(states::X, numbers(batch * dims, 3))
            .floats(states::STATUS, vec![0.0])
            .words(states::CLOCK, vec![0, 0, 11, 0]);
        for name in sampler.states() {
            case = case.floats(name, vec![0.0; batch * dims]);
        }
        case.runs = table.len();
        case.check();
    }
}

#[test]
fn the_gpu_moves_and_weighs_particles_as_the_cpu() {
    let (sde, batch, dims) = (Vp::default(), 5, 6);
    let sampler = Twisted { mean_square: 0.5 };
    for steps in [1, 3, 6] {
        let table = sampler.coefficients(&sde, &Grid::linear(6));
        let graph = sampling_step(&sampler, dims, table.len(), |_| gaussian(&sde));
        let mut case = Case::new(sampler.name(), &graph, batch)
            .floats(states::TABLE, flatten(sampler.columns(), &table, &sde, table.len()))
            .floats(states::X, numbers(batch * dims, 3))
            .floats(states::STATUS, vec![0.0])
            .floats(states::KNOWN, numbers(batch * dims, 4))
            .floats(states::MASK, vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
            .floats(states::SHIFT, vec![0.0; batch * dims])
            .words(states::CLOCK, vec![0, 0, 11, 0]);
        case.runs = steps;
        case.check_once();
    }
}

#[test]
fn a_step_asks_nothing_of_the_host() {
    let sde = Vp::default();
    for sampler in stepwise_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        let graph = sampling_step(sampler.as_ref(), 4, 50, |_| gaussian(&sde));
        let options = LowerOptions { max_batch: 8, ..LowerOptions::default() };
        let plan =
            lower(&[ProgramSource { name: "sample", graph: &graph, parameters_from: "params" }], &options).unwrap();
        let program = &plan.programs[0];
        // Dispatches alone: nothing that the host writes before one, nothing that it reads after one.
        assert!(program.inputs.is_empty() && program.outputs.is_empty(), "{name}");
        assert!(!program.dispatches.is_empty(), "{name}");
        let states = [states::X, states::TABLE, states::CLOCK, states::STATUS]
            .into_iter()
            .chain(sampler.states().iter().copied());
        let mut expected: Vec<&str> = states.collect();
        let mut found: Vec<&str> =
            plan.store.iter().map(|port| port.name.as_str()).filter(|name| *name != "params").collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}: the store is what the sampler says it is");
    }
    for sampler in adaptive_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        let graph = adaptive_step(sampler.as_ref(), &sde, 4, |_| gaussian(&sde));
        let options = LowerOptions { max_batch: 8, ..LowerOptions::default() };
        let plan =
            lower(&[ProgramSource { name: "sample", graph: &graph, parameters_from: "params" }], &options).unwrap();
        let program = &plan.programs[0];
        assert!(program.inputs.is_empty() && program.outputs.is_empty() && !program.dispatches.is_empty(), "{name}");
    }
}

#[test]
fn the_gpu_tries_the_same_adaptive_steps_as_the_cpu() {
    let (sde, batch, dims) = (Vp::default(), 5, 6);
    let rk45 = Rk45 { solver: DormandPrince { absolute: 1e-3, relative: 1e-3 } };
    let samplers: [&dyn AdaptiveSampler; 2] = [&rk45, &AdaptiveSde::default()];
    for sampler in samplers {
        let begin = adaptive_begin(sampler, &sde, dims, |_| gaussian(&sde));
        let start = numbers(batch * dims, 3);
        let clock = vec![0, 0, 11, 0];
        let first = Case::new(sampler.name(), &begin, batch)
            .floats(states::X, start.clone())
            .words(states::CLOCK, clock.clone());
        first.check_once();
        let step = adaptive_step(sampler, &sde, dims, |_| gaussian(&sde));
        let mut case = Case::new(sampler.name(), &step, batch).words(states::CLOCK, clock);
        let begun: Vec<(String, Vec<f32>)> = first
            .on_cpu::<f32>()
            .into_iter()
            .map(|(name, values)| (name["state ".len()..].to_string(), values.iter().map(|x| *x as f32).collect()))
            .collect();
        // A sampler that leaves x where it is does not assign it.
        if begun.iter().all(|(name, _)| name != states::X) {
            case = case.floats(states::X, start);
        }
        for (name, values) in &begun {
            case = case.floats(name, values.clone());
        }
        case.runs = 4;
        // How long the next step is hangs on the small difference of two solutions.
        case.tolerance = 1e-3;
        case.check_once();
        let tries = &case.on_cpu::<f64>()[&format!("state {}", states::TRIES)];
        assert_eq!(*tries, [4.0; 5], "{}: all are on their way", sampler.name());
    }
}

#[test]
fn draws_at_steps_of_their_own_are_those_of_the_cpu() {
    for dims in [1, 6] {
        let mut graph = Graph::new();
        let clock = graph.clock("clock");
        let tick = graph.state("tick", TensorType::f32(Shape::batch(&[1])));
        let shape = Shape::batch(&[dims]);
        let path = BrownianTree { growth: 9.0 }.at(&mut graph, clock, tick, &shape);
        graph.output("path", path);
        // One step for each element, not for each sample.
        let draw = RandomDraw {
            clock: 0,
            stream: random::stream("at"),
            distribution: Distribution::Normal,
            per_sample: false,
        };
        let at = Expr::new(Term::RandomAt(draw, Expr::column() * 3.0 + 70_000.0));
        let drawn = graph.map_to(&[clock], &at, &shape);
        graph.output("drawn", drawn);
        let ticks = [0.0, 1.0, 4097.0, 32768.0, 65535.0, TICKS as f32];
        let case = Case::new("draws", &graph, ticks.len()).floats("tick", ticks.to_vec());
        case.words("clock", vec![3, 1000, 11, 5]).check_once();
    }
}
