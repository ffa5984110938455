//! Samplers on a GPU: the same numbers as on the CPU, and steps that the host need not see.

#[path = "common/both.rs"]
mod both;
#[path = "common/gpu.rs"]
mod gpu;

use both::{Case, numbers};
use tweedie::graph::{Expr, Graph};
use tweedie::plan::lower::{Options as LowerOptions, Source, lower};
use tweedie::sampler::{
    Dpm3m, EdmStochastic, Grid, Norms, Options, Pndm, PredictorCorrector, SAMPLERS, Sampler, UniPc,
};
use tweedie::sampler::{flatten, names, sampling_step};
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
    let samplers: [&dyn Sampler; 5] = [&Dpm3m, &UniPc { order: 3 }, &Pndm, &EdmStochastic::DEFAULT, &corrected];
    for sampler in samplers {
        let table = sampler.coefficients(&sde, &Grid::linear(6));
        let graph = sampling_step(sampler, dims, table.len(), |_| gaussian(&sde));
        let mut case = Case::new(sampler.name(), &graph, batch)
            .floats(names::TABLE, flatten(&table, table.len()))
            .floats(names::X, numbers(batch * dims, 3))
            .floats(names::STATUS, vec![0.0])
            .words(names::CLOCK, vec![0, 0, 11, 0]);
        for name in sampler.states() {
            case = case.floats(name, vec![0.0; batch * dims]);
        }
        case.runs = table.len();
        case.check();
    }
}

#[test]
fn a_step_asks_nothing_of_the_host() {
    let sde = Vp::default();
    for (name, make) in SAMPLERS {
        let sampler = make(&Options::default());
        let graph = sampling_step(sampler.as_ref(), 4, 50, |_| gaussian(&sde));
        let options = LowerOptions { max_batch: 8, ..LowerOptions::default() };
        let plan = lower(&[Source { name: "sample", graph: &graph, parameters_from: "params" }], &options).unwrap();
        let program = &plan.programs[0];
        // Dispatches alone: nothing that the host writes before one, nothing that it reads after one.
        assert!(program.inputs.is_empty() && program.outputs.is_empty(), "{name}");
        assert!(!program.dispatches.is_empty(), "{name}");
        let states =
            [names::X, names::TABLE, names::CLOCK, names::STATUS].into_iter().chain(sampler.states().iter().copied());
        let mut expected: Vec<&str> = states.collect();
        let mut found: Vec<&str> =
            plan.store.iter().map(|port| port.name.as_str()).filter(|name| *name != "params").collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}: the store is what the sampler says it is");
    }
}
