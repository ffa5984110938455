//! Requests for samples that make no sense are errors of the request, on whatever engine.

use tweedie::config::{Config, Overrides};
use tweedie::engine::Device;
use tweedie::sampler::AnySampler;
use tweedie::train::draw::request::{Known, Part, RequestError, SampleRequest};
use tweedie::train::draw::sampling;
use tweedie::train::experiment::{Classes, Experiment};

const CONFIG: &str = "[data]\nkind = \"mixture\"\nweights = [0.5, 0.5]\nmeans = [[-1.0, -1.0], [1.0, 1.0]]\n\
                      widths = [0.5, 0.5]\nn = 600\n[model]\nkind = \"exact\"\n[sde]\nkind = \"vp\"\n\
                      [sample]\nkind = \"ancestral\"\nsteps = 4\n";
/// Samples.
const N: usize = 3;

fn experiment(sampler: &str) -> Experiment {
    let config = Config::parse(&CONFIG.replace("ancestral", sampler), "two.toml", &Overrides::none());
    Experiment::new(&config.expect("a config")).expect("an experiment")
}

/// A request that every sampler answers.
fn plain(experiment: &Experiment) -> SampleRequest {
    SampleRequest {
        n: N,
        grid: experiment.config().grid(),
        seed: 1,
        noise: None,
        step_noise: None,
        classes: Classes::Any,
        guidance: 1.0,
        known: None,
        frames: 0,
    }
}

fn known(particles: Option<usize>) -> Option<Known> {
    Some(Known { values: vec![0.3; 2 * N], mask: vec![1.0, 0.0], particles })
}

/// Loads and draws, which have to agree on what they refuse. Gives the number of values drawn.
fn answer(sampler: &str, change: impl Fn(&mut SampleRequest)) -> Result<usize, RequestError> {
    let experiment = experiment(sampler);
    let sampler: AnySampler = experiment.config().sample.sampler();
    let mut draw = plain(&experiment);
    let mut engine = sampling::load(&experiment, &Device::Cpu, &sampler, &draw).expect("an engine");
    change(&mut draw);
    if let Err(error) = draw.check(&experiment, &sampler) {
        let of_load = sampling::load(&experiment, &Device::Cpu, &sampler, &draw).map(drop);
        let of_draw = sampling::draw(engine.as_mut(), &experiment, &sampler, &draw, &mut |_, _| true).map(drop);
        for refused in [of_load, of_draw].map(|result| result.expect_err("refused")) {
            assert!(refused.is_bad_input());
            assert_eq!(refused.to_string(), error.to_string());
        }
        return Err(error);
    }
    let mut engine = sampling::load(&experiment, &Device::Cpu, &sampler, &draw).expect("an engine");
    let drawn = sampling::draw(engine.as_mut(), &experiment, &sampler, &draw, &mut |_, _| true).expect("samples");
    assert!(drawn.samples.iter().all(|x| x.is_finite()));
    Ok(drawn.samples.len())
}

#[test]
fn what_makes_sense_is_drawn() {
    assert_eq!(answer("ancestral", |draw| draw.known = known(Some(5))), Ok(2 * N));
    assert_eq!(answer("ode-heun", |draw| draw.known = known(None)), Ok(2 * N));
    assert_eq!(answer("ode-heun", |draw| draw.frames = 3), Ok(2 * N));
    assert_eq!(answer("ode-heun", |draw| draw.noise = Some(vec![0.5; 2 * N])), Ok(2 * N));
    assert_eq!(answer("rk45", |draw| draw.noise = Some(vec![0.5; 2 * N])), Ok(2 * N));
    assert_eq!(answer("euler-maruyama", |draw| draw.step_noise = Some(vec![0.5; 4 * 2 * N])), Ok(2 * N));
}

#[test]
fn a_sample_of_particles_has_no_single_path() {
    let with = |part: Part| {
        answer("ancestral", move |draw| {
            draw.known = known(Some(5));
            match part {
                Part::Noise => draw.noise = Some(vec![0.5; 2 * N]),
                Part::StepNoise => draw.step_noise = Some(vec![0.5; 4 * 2 * N]),
                _ => draw.frames = 3,
            }
        })
    };
    for part in [Part::Noise, Part::StepNoise, Part::Frames] {
        assert_eq!(with(part), Err(RequestError::SeveralPaths { part }));
    }
}

#[test]
fn particles_take_ancestral_steps_and_are_not_too_many() {
    for sampler in ["ode-heun", "ddim", "rk45"] {
        let found = answer(sampler, |draw| draw.known = known(Some(5)));
        assert_eq!(found, Err(RequestError::ParticleSteps { wanted: "ancestral", found: sampler }));
    }
    for found in [0, 257] {
        let refused = answer("ancestral", |draw| draw.known = known(Some(found)));
        assert_eq!(refused, Err(RequestError::Particles { found }));
    }
}

#[test]
fn samples_with_steps_of_their_own_have_nothing_in_common() {
    let refused = |part| Err(RequestError::OwnSteps { part, sampler: "rk45" });
    assert_eq!(answer("rk45", |draw| draw.known = known(None)), refused(Part::Known));
    assert_eq!(answer("rk45", |draw| draw.step_noise = Some(Vec::new())), refused(Part::StepNoise));
    assert_eq!(answer("rk45", |draw| draw.frames = 3), refused(Part::Frames));
}

#[test]
fn values_are_as_many_as_the_samples_need() {
    let of = |part, found, wanted| Err(RequestError::Length { part, found, wanted });
    assert_eq!(answer("ode-heun", |draw| draw.noise = Some(vec![0.5; 5])), of(Part::Noise, 5, 6));
    let short = |draw: &mut SampleRequest| draw.step_noise = Some(vec![0.5; 18]);
    assert_eq!(answer("euler-maruyama", short), of(Part::StepNoise, 18, 24));
    // Nothing is drawn in the steps of this one.
    assert_eq!(answer("ode-heun", short), of(Part::StepNoise, 18, 0));
    let one = |values: usize, mask: usize| {
        move |draw: &mut SampleRequest| {
            draw.known = Some(Known { values: vec![0.3; values], mask: vec![1.0; mask], particles: None });
        }
    };
    assert_eq!(answer("ancestral", one(2, 2)), of(Part::Known, 2, 6));
    assert_eq!(answer("ancestral", one(6, 6)), of(Part::Known, 6, 2));
}
