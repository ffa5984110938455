//! Requests for samples that make no sense are errors of the request, on whatever engine.

use tweedie::config::{Config, Overrides};
use tweedie::engine::{Device, Engine};
use tweedie::sampler::AnySampler;
use tweedie::sde::Quantity;
use tweedie::train::draw::request::{ClassesError, Known, Part, RequestError, SampleRequest, Unguided};
use tweedie::train::draw::{sampling, scoring};
use tweedie::train::error::TrainError;
use tweedie::train::experiment::{Classes, Experiment};

const CONFIG: &str = "[data]\nkind = \"mixture\"\nweights = [0.5, 0.5]\nmeans = [[-1.0, -1.0], [1.0, 1.0]]\n\
                      widths = [0.5, 0.5]\nn = 600\n[model]\nkind = \"exact\"\n[sde]\nkind = \"vp\"\n\
                      [sample]\nkind = \"ancestral\"\nsteps = 4\n";
/// In place of the exact score: a network that knows the two classes.
const NETWORK: &str = "kind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 4\nconditional = true";
/// Samples.
const N: usize = 3;

fn parse(text: &str) -> Experiment {
    let config = Config::parse(text, "two.toml", &Overrides::none());
    Experiment::new(&config.expect("a config")).expect("an experiment")
}

fn experiment(sampler: &str) -> Experiment {
    parse(&CONFIG.replace("ancestral", sampler))
}

/// A network with further keys in `[model]`.
fn classed(sampler: &str, further: &str) -> Experiment {
    let network = format!("{NETWORK}\n{further}");
    parse(&CONFIG.replace("ancestral", sampler).replace("kind = \"exact\"", &network))
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

/// An engine for the request; a network has its first weights.
fn engine(experiment: &Experiment, draw: &SampleRequest) -> Box<dyn Engine> {
    let sampler = experiment.config().sample.sampler();
    let mut engine = sampling::load(experiment, &Device::Cpu, &sampler, draw).expect("an engine");
    if experiment.is_trainable() {
        experiment.initialise(engine.as_mut()).expect("weights");
    }
    engine
}

/// Loads and draws, which have to agree on what they refuse. Gives the number of values drawn.
fn answer_of(experiment: &Experiment, change: impl Fn(&mut SampleRequest)) -> Result<usize, RequestError> {
    let sampler: AnySampler = experiment.config().sample.sampler();
    let mut draw = plain(experiment);
    let mut loaded = engine(experiment, &draw);
    change(&mut draw);
    if let Err(error) = draw.check(experiment, &sampler) {
        let of_load = sampling::load(experiment, &Device::Cpu, &sampler, &draw).map(drop);
        let of_draw = sampling::draw(loaded.as_mut(), experiment, &sampler, &draw, &mut |_, _| true).map(drop);
        for refused in [of_load, of_draw].map(|result| result.expect_err("refused")) {
            assert!(refused.is_bad_input());
            assert_eq!(refused.to_string(), error.to_string());
            assert!(matches!(refused, TrainError::Request(found) if found == error), "{refused:?}");
        }
        return Err(error);
    }
    let mut loaded = engine(experiment, &draw);
    let drawn = sampling::draw(loaded.as_mut(), experiment, &sampler, &draw, &mut |_, _| true).expect("samples");
    assert!(drawn.samples.iter().all(|x| x.is_finite()));
    Ok(drawn.samples.len())
}

fn answer(sampler: &str, change: impl Fn(&mut SampleRequest)) -> Result<usize, RequestError> {
    answer_of(&experiment(sampler), change)
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

#[test]
fn there_are_samples_and_steps_to_draw_them_in() {
    assert_eq!(answer("ode-heun", |draw| draw.n = 0), Err(RequestError::Empty));
    for found in [usize::MAX, usize::MAX / 16] {
        assert_eq!(answer("ode-heun", |draw| draw.n = found), Err(RequestError::TooMany { found }));
    }
    for (sampler, wanted) in [("ancestral", 1), ("ode-heun", 1), ("dpm++3m", 3)] {
        let found = wanted - 1;
        for denoise in [true, false] {
            let few = |draw: &mut SampleRequest| (draw.grid.steps, draw.grid.denoise) = (found, denoise);
            assert_eq!(answer(sampler, few), Err(RequestError::Steps { found, wanted, sampler }));
        }
    }
    // Adaptive steps are as many as it takes.
    assert_eq!(answer("rk45", |draw| draw.grid.steps = 0), Ok(2 * N));
}

#[test]
fn samples_have_classes_that_the_network_knows() {
    let unknown = |found, classes| Err(RequestError::Classes(ClassesError::Unknown { found, classes }));
    let count = |found| Err(RequestError::Classes(ClassesError::Count { found, wanted: N }));
    let exact = experiment("ode-heun");
    let asked = |experiment: &Experiment, classes| answer_of(experiment, |draw| draw.classes = classes);
    assert_eq!(asked(&exact, Classes::InTurn), Ok(2 * N));
    assert_eq!(asked(&exact, Classes::One(0)), unknown(0, 0));
    assert_eq!(asked(&exact, Classes::Each(&[0, 0, 0])), unknown(0, 0));
    for sampler in ["ode-heun", "rk45"] {
        let network = classed(sampler, "");
        for classes in [Classes::Any, Classes::InTurn, Classes::One(1), Classes::Each(&[0, 1, 1])] {
            assert_eq!(asked(&network, classes), Ok(2 * N));
        }
        assert_eq!(asked(&network, Classes::One(2)), unknown(2, 2));
        assert_eq!(asked(&network, Classes::Each(&[0, 1, 2])), unknown(2, 2));
        assert_eq!(asked(&network, Classes::Each(&[0, 1])), count(2));
        assert_eq!(asked(&network, Classes::Each(&[0, 1, 1, 0])), count(4));
    }
}

#[test]
fn points_have_classes_that_the_network_knows() {
    let network = classed("ode-heun", "");
    let mut engine = network.scoring_engine(&Device::Cpu, N).expect("an engine");
    network.initialise(engine.as_mut()).expect("weights");
    let mut score = |classes| {
        scoring::evaluate(engine.as_mut(), &network, &[0.5; 2 * N], classes, 0.5, Quantity::Score)
            .map(|score| score.len())
    };
    assert_eq!(score(Classes::Each(&[0, 1, 1])).expect("scores"), 2 * N);
    for (classes, wanted) in [
        (Classes::Each(&[0, 1]), "2 classes for 3 samples: must be one for each"),
        (Classes::Each(&[0, 1, 5]), "class 5: must be from 0 to 1"),
        (Classes::One(2), "class 2: must be from 0 to 1"),
    ] {
        let error = score(classes).expect_err("refused");
        assert!(matches!(error, TrainError::Classes(_)) && error.is_bad_input(), "{error:?}");
        assert_eq!(error.to_string(), wanted);
    }
    // The store takes no class that is not there either.
    let short = network.set_classes_of(engine.as_mut(), Classes::Each(&[0]), [0, 1].into_iter());
    assert!(matches!(short, Err(TrainError::Classes(ClassesError::Count { found: 1, wanted: 2 }))), "{short:?}");
}

#[test]
fn guidance_has_a_class_to_go_by() {
    let guided = |experiment: &Experiment, classes| {
        answer_of(experiment, move |draw| (draw.classes, draw.guidance) = (classes, 2.0))
    };
    let refused = |why| Err(RequestError::Guidance { guidance: 2.0, why });
    assert_eq!(guided(&experiment("ode-heun"), Classes::Any), refused(Unguided::NoClasses));
    let network = classed("ode-heun", "");
    assert_eq!(guided(&network, Classes::Any), refused(Unguided::AnyClass));
    assert_eq!(guided(&network, Classes::One(1)), Ok(2 * N));
    assert_eq!(guided(&network, Classes::InTurn), Ok(2 * N));
    let never = classed("ode-heun", "label_dropout = 0.0");
    assert_eq!(guided(&never, Classes::One(1)), refused(Unguided::AlwaysClassed));
}

#[test]
fn an_engine_answers_requests_like_those_it_was_loaded_for() {
    let network = classed("euler-maruyama", "");
    let sampler = network.config().sample.sampler();
    let plain = SampleRequest { classes: Classes::One(1), ..plain(&network) };
    let training = || {
        let mut engine = network.training_engine(&Device::Cpu).expect("an engine");
        network.fill_store(engine.as_mut()).expect("data");
        network.initialise(engine.as_mut()).expect("weights");
        engine
    };
    let with = [
        (Part::Guidance, SampleRequest { guidance: 2.0, ..plain.clone() }),
        (Part::StepNoise, SampleRequest { step_noise: Some(vec![0.5; 4 * 2 * N]), ..plain.clone() }),
        (Part::Known, SampleRequest { known: known(None), ..plain.clone() }),
    ];
    let draw = |mut engine: Box<dyn Engine>, request: &SampleRequest| match sampling::draw(
        engine.as_mut(),
        &network,
        &sampler,
        request,
        &mut |_, _| true,
    ) {
        Ok(drawn) => Ok(drawn.samples.len()),
        Err(TrainError::Request(error)) => Err(error),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(draw(training(), &plain), Ok(2 * N));
    assert_eq!(draw(engine(&network, &plain), &plain), Ok(2 * N));
    for (part, request) in &with {
        let part = *part;
        assert_eq!(draw(training(), request), Err(RequestError::NotLoaded { part }));
        assert_eq!(draw(engine(&network, &plain), request), Err(RequestError::NotLoaded { part }));
        assert_eq!(draw(engine(&network, request), &plain), Err(RequestError::Missing { part }));
        assert_eq!(draw(engine(&network, request), request), Ok(2 * N));
    }
}

#[test]
fn no_particles_are_a_size_all_the_same() {
    let experiment = experiment("ancestral");
    let request = SampleRequest { known: known(Some(0)), ..plain(&experiment) };
    assert_eq!(request.at_a_time(&experiment), N);
}
