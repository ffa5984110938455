//! Whole runs with other processes, weightings and times than the usual: on the GPU as on the CPU, and resumed as not
//! stopped.

use std::path::{Path, PathBuf};

use crate::common::gpu;
use tweedie::config::{Config, Overrides};
use tweedie::gpu::Choice;
use tweedie::train::experiment::Experiment;
use tweedie::train::run::checkpoint::{Checkpoint, groups};
use tweedie::train::run::log::{self, Line};
use tweedie::train::run::training_folder::Existing;
use tweedie::train::saved_state;
use tweedie::train::training::{self, Observer, Outcome, Progress, Request, Start};

/// Points in space, which have no pictures.
const TINY: &str = r#"
[data]
kind = "mixture"
weights = [0.7, 0.3]
means = [[-1.0, 0.5, 0.0], [1.0, -0.5, 0.5]]
widths = [0.3, 0.2]
n = 600

[model]
kind = "mlp"
width = 8
depth = 1
embedding = 8

[sde]
kind = "vp"

[train]
steps = 24
batch = 16
learning_rate = 1e-2
checkpoint_every = 12
evaluate_every = 12
log_every = 1

[sample]
kind = "ode-heun"
steps = 4
n = 8
"#;

struct Silent;
impl Observer for Silent {}

/// Stops a run at the first moment at which it has done a step.
struct StopAtOnce(bool);
impl Observer for StopAtOnce {
    fn progress(&mut self, progress: Progress) {
        self.0 |= progress.step > 0;
    }
    fn stop(&mut self) -> bool {
        self.0
    }
}

fn request(out: PathBuf, device: Choice, sets: &[&str]) -> Request {
    let mut overrides = Overrides::none();
    sets.iter().for_each(|set| overrides.set(set).expect("a good override"));
    let config = Config::parse(TINY, "tiny.toml", &overrides).unwrap_or_else(|error| panic!("{sets:?}: {error}"));
    Request { config, out, start: Start::New(Existing::Refuse), device, cache: None }
}

fn metrics(run: &Path) -> Vec<Line> {
    let lines = log::read(&run.join("metrics.jsonl")).expect("whole metrics");
    lines.into_iter().map(Line::without_timing).collect()
}

/// All losses of a run, and those of each noise level.
fn losses(run: &Path) -> Vec<f32> {
    let of = |line: &Line| match line {
        Line::Train(line) => vec![line.loss],
        Line::Evaluation(line) => {
            let level =
                |level: &log::LevelLoss| [level.loss, level.variance, level.irreducible.expect("a known density")];
            line.per_level.iter().flat_map(level).collect()
        }
    };
    metrics(run).iter().flat_map(of).collect()
}

/// Runs that draw on every way there is.
const RUNS: [&[&str]; 7] = [
    &[
        "sde.kind=rectified-flow",
        "loss.parameterisation=velocity",
        "loss.weighting=sigmoid",
        "loss.time=stratified",
        "train.accumulate=2",
    ],
    &["sde.kind=cosine", "loss.weighting=min-snr", "loss.time=importance"],
    &[
        "sde.log_snr_shift=-1.0",
        "sde.zero_terminal_snr=true",
        "loss.weighting=uncertainty",
        "loss.time=loss-second-moment",
    ],
    &["sde.kind=learned", "sde.pieces=8", "loss.weighting=likelihood", "loss.time=stratified", "train.accumulate=2"],
    &["sde.kind=edm", "loss.weighting=edm", "loss.time=log-normal", "loss.t_min=0"],
    &["sde.kind=sub-vp", "loss.parameterisation=epsilon", "loss.weighting=likelihood", "loss.time=importance"],
    &["sde.kind=sigmoid", "loss.parameterisation=denoised", "loss.weighting=p2", "sde.t_max=1", "loss.time=stratified"],
];

#[test]
fn every_run_takes_the_same_steps_on_gpu_and_cpu() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (i, sets) in RUNS.iter().enumerate() {
        let cpu = folder.path().join(format!("cpu{i}"));
        let (_, outcome) = training::train(&request(cpu.clone(), Choice::Cpu, sets), &mut Silent).expect("training");
        assert_eq!(outcome, Outcome::Finished);
        let exact = losses(&cpu);
        assert!(exact.iter().all(|loss| loss.is_finite()), "{sets:?}: {exact:?}");
        // Pipelines are slow to make in software: half of the runs have all of their kinds.
        if i >= 4 {
            continue;
        }
        let gpu = folder.path().join(format!("gpu{i}"));
        let choice = gpu::choice().parse().expect("a choice of the command line");
        training::train(&request(gpu.clone(), choice, sets), &mut Silent).expect("training");
        for (line, (gpu, cpu)) in losses(&gpu).into_iter().zip(exact).enumerate() {
            assert!(
                (gpu - cpu).abs() < 2e-3 * cpu.abs().max(0.05),
                "{sets:?}, {line}: {gpu} on the GPU, {cpu} on the CPU"
            );
        }
    }
}

#[test]
fn a_learned_schedule_survives_a_stop_and_is_what_samples_are_drawn_along() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let sets = RUNS[3];
    let (training, _) = training::train(&request(at("straight"), Choice::Cpu, sets), &mut Silent).expect("training");
    let mut stopped = request(at("stopped"), Choice::Cpu, sets);
    let (stopped_training, outcome) = training::train(&stopped, &mut StopAtOnce(false)).expect("training");
    assert_eq!(outcome, Outcome::Stopped);
    drop(stopped_training);
    stopped.start = Start::Resume;
    training::train(&stopped, &mut Silent).expect("training");
    let read = |run: &str| Checkpoint::read(&at(run).join("step-24")).expect("a whole checkpoint");
    assert_eq!(read("straight"), read("stopped"));
    assert_eq!(metrics(&at("straight")), metrics(&at("stopped")));

    let schedules: Vec<Vec<f32>> = metrics(&at("straight"))
        .into_iter()
        .filter_map(|line| if let Line::Evaluation(line) = line { line.schedule } else { None })
        .collect();
    let even: Vec<f32> = (0..=8).map(|knot| (13.3 - 18.3 * f64::from(knot) / 8.0) as f32).collect();
    assert_eq!((schedules.len(), &schedules[0]), (3, &even));
    let last = schedules.last().expect("three of them");
    assert!(last.is_sorted_by(|a, b| a > b) && (last[0], last[8]) == (even[0], even[8]), "{last:?}");
    assert!(last.iter().zip(&even).any(|(learned, even)| (learned - even).abs() > 1e-2), "{last:?}");

    // What is read back goes by the same schedule.
    let mut experiment = Experiment::new(&stopped.config).expect("an experiment");
    let before = experiment.sde().scheduled(0.5);
    saved_state::follow(&mut experiment, &read("straight"));
    let after = experiment.sde().scheduled(0.5);
    assert_eq!(after, training.experiment.sde().scheduled(0.5));
    assert!((experiment.sde().at(after).log_snr - f64::from(last[4])).abs() < 1e-5 && after != before);
    let times = experiment.config().grid().times(experiment.sde(), 3);
    assert_eq!(times, [1.0, after, 0.0]);
}

#[test]
fn the_ends_of_a_schedule_move_and_survive_a_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let sets = ["data.kind=digits", "sde.kind=learned", "sde.ends=learned", "loss.weighting=likelihood"];
    let (training, _) = training::train(&request(at("straight"), Choice::Cpu, &sets), &mut Silent).expect("training");
    let mut stopped = request(at("stopped"), Choice::Cpu, &sets);
    drop(training::train(&stopped, &mut StopAtOnce(false)).expect("training"));
    stopped.start = Start::Resume;
    training::train(&stopped, &mut Silent).expect("training");
    let read = |run: &str| Checkpoint::read(&at(run).join("step-24")).expect("a whole checkpoint");
    assert_eq!(read("straight"), read("stopped"));
    assert_eq!(metrics(&at("straight")), metrics(&at("stopped")));
    let ends: Vec<[f32; 2]> = metrics(&at("straight"))
        .into_iter()
        .filter_map(|line| if let Line::Evaluation(line) = line { line.schedule } else { None })
        .map(|schedule| [schedule[0], schedule[schedule.len() - 1]])
        .collect();
    assert!((ends[0][0] - 13.3).abs() < 1e-4 && (ends[0][1] + 5.0).abs() < 1e-4, "{ends:?}");
    // Levels an eighth apart are told from each other at far more noise than that, so that the first end moves up; and the
    // last is where next to nothing is left of the data.
    assert!(ends[2][0] < ends[0][0] - 0.1 && ends[2][1] != ends[0][1], "{ends:?}");
    let sde = training.experiment.sde();
    assert!((sde.at(sde.t_min()).log_snr - f64::from(ends[2][0])).abs() < 1e-4);
    assert!((sde.at(sde.t_max()).log_snr - f64::from(ends[2][1])).abs() < 1e-4);
}

#[test]
fn points_along_curves_can_be_matched_explicitly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("moons");
    let sets =
        ["data.kind=two-moons", "data.n=600", "loss.kind=explicit", "train.steps=200", "train.evaluate_every=200"];
    training::train(&request(run.clone(), Choice::Cpu, &sets), &mut Silent).expect("training");
    let held_out: Vec<f32> = metrics(&run)
        .iter()
        .filter_map(|line| if let Line::Evaluation(line) = line { Some(line.held_out_loss) } else { None })
        .collect();
    assert!(held_out.len() == 2 && held_out[1] > 0.0 && held_out[1] < 0.85 * held_out[0], "{held_out:?}");
}

#[test]
fn what_training_learns_besides_the_network_survives_a_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let sets = RUNS[2];
    training::train(&request(at("straight"), Choice::Cpu, sets), &mut Silent).expect("training");
    let mut stopped = request(at("stopped"), Choice::Cpu, sets);
    let (training, outcome) = training::train(&stopped, &mut StopAtOnce(false)).expect("training");
    assert_eq!(outcome, Outcome::Stopped);
    assert!(training.step() < 24);
    drop(training);
    stopped.start = Start::Resume;
    training::train(&stopped, &mut Silent).expect("training");
    let read = |run: &str| Checkpoint::read(&at(run).join("step-24")).expect("a whole checkpoint");
    let (straight, resumed) = (read("straight"), read("stopped"));
    assert_eq!(straight, resumed);
    let moments = &straight.groups[groups::LEARNED][0];
    assert_eq!((moments.name.as_str(), moments.values.len()), ("time.second_moments", 32));
    assert!(moments.values.iter().any(|moment| *moment != 1.0));
    assert!(straight.groups["params"].iter().any(|tensor| tensor.name.starts_with("uncertainty.")));
    assert_eq!(metrics(&at("straight")), metrics(&at("stopped")));
}

#[test]
fn held_out_digits_are_spread_over_their_levels_as_training_spreads_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = |dequantise: bool| {
        let text = format!(
            "[data]\nkind = \"digits\"\n[model]\nkind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 8\n[sde]\nkind = \"vp\"\n\
             [train]\nsteps = 1\nbatch = 16\ndequantise = {dequantise}\n[sample]\nkind = \"ode-euler\"\nsteps = 2\nn = 1\n"
        );
        let out = folder.path().join(dequantise.to_string());
        let config = Config::parse(&text, "digits.toml", &Overrides::none()).expect("a good config");
        let start = Start::New(Existing::Refuse);
        let request = Request { config, out: out.clone(), start, device: Choice::Cpu, cache: None };
        training::train(&request, &mut Silent).expect("training");
        let lines = metrics(&out);
        let held_out = lines.iter().find_map(|line| match line {
            Line::Evaluation(line) => Some(line.held_out_loss),
            Line::Train(_) => None,
        });
        held_out.expect("an evaluation before the first step")
    };
    // The same weights, samples, times and noise.
    let [bare, spread] = [false, true].map(first);
    assert!(bare != spread && (bare - spread).abs() < 0.05 * bare, "{bare}, {spread}");
}
