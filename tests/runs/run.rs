//! Runs as a whole: the same seed gives the same bits, and a run that was stopped, by whatever, ends as the run that
//! was not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::binary::{command, everything_in, good, say, start, tweedie, words};
use crate::common::gpu;
use tempfile::TempDir;
use tweedie::config::{Config, Overrides};
use tweedie::gpu::Choice;
use tweedie::train::evaluation;
use tweedie::train::run::checkpoint::{Checkpoint, groups};
use tweedie::train::run::log::{self, Line};
use tweedie::train::run::training_folder::Existing;
use tweedie::train::training::{self, Observer, Outcome, Progress, Request, Start};

/// Points in space, which have no pictures: a run of them is over when its steps are.
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
steps = 60
batch = 13
learning_rate = 1e-2
schedule = "cosine"
checkpoint_every = 20
evaluate_every = 30
log_every = 1

[sample]
steps = 4
n = 8
"#;

/// Images, and a network that draws masks and flips.
const TINY_UNET: &str = r#"
[data]
kind = "digits"

[model]
kind = "unet"
channels = 4
multipliers = [1]
groups = 2
conditional = true
dropout = 0.2

[sde]
kind = "vp"

[train]
steps = 300
batch = 3
flip = true
learning_rate = 1e-3
checkpoint_every = 300
evaluate_every = 300
log_every = 1

[sample]
kind = "ode-euler"
steps = 2
n = 2
"#;

struct Silent;
impl Observer for Silent {}

/// Stops a run at the first moment at which it has done so many steps.
struct StopAt(u64, bool);
impl Observer for StopAt {
    fn progress(&mut self, progress: Progress) {
        self.1 |= progress.step >= self.0;
    }
    fn stop(&mut self) -> bool {
        self.1
    }
}

fn config(sets: &[&str]) -> Config {
    let mut overrides = Overrides::none();
    sets.iter().for_each(|set| overrides.set(set).expect("a good override"));
    Config::parse(TINY, "tiny.toml", &overrides).expect("a good config")
}

fn request(out: PathBuf, device: Choice, sets: &[&str]) -> Request {
    Request { config: config(sets), out, start: Start::New(Existing::Refuse), device, cache: None }
}

fn gpu() -> Choice {
    gpu::choice().parse().expect("a choice of the command line")
}

/// A folder with `tiny.toml` in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("tiny.toml"), TINY).expect("a config");
    folder
}

/// All that a checkpoint holds.
fn checkpoint(run: &Path, step: u64) -> Checkpoint {
    let checkpoint = Checkpoint::read(&run.join(format!("step-{step}"))).expect("a whole checkpoint");
    let groups: Vec<&str> = checkpoint.groups.keys().map(String::as_str).collect();
    assert_eq!(groups, [groups::EMA, groups::OPTIMIZER, groups::PARAMS]);
    assert!(checkpoint.groups.values().flatten().flat_map(|tensor| &tensor.values).all(|value| value.is_finite()));
    checkpoint
}

/// The metrics without what the clock on the wall says.
fn metrics(run: &Path) -> Vec<Line> {
    let lines = log::read(&run.join("metrics.jsonl")).expect("whole metrics");
    lines.into_iter().map(Line::without_timing).collect()
}

/// The runs end with the same weights, moments and averages, to the bit, and (where asked) the same metrics.
fn assert_same(one: &Path, other: &Path, step: u64, with_metrics: bool) {
    assert_eq!(checkpoint(one, step), checkpoint(other, step), "{} and {}", one.display(), other.display());
    if with_metrics {
        let (one, other) = (metrics(one), metrics(other));
        assert_eq!(one.len(), other.len());
        one.iter().zip(&other).for_each(|(a, b)| assert_eq!(a, b));
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A network that is large enough for its products and sums to be shared among threads.
const WIDE: [&str; 6] = [
    "model.width=200",
    "model.depth=2",
    "train.batch=701",
    "train.steps=12",
    "train.checkpoint_every=12",
    "train.evaluate_every=5",
];

#[test]
fn threads_logging_and_profiling_change_no_bit_on_the_cpu() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let run = |name: &str, threads: &str, more: &str| {
        let sets = WIDE.map(|set| format!("--set {set}")).join(" ");
        let line = format!("train tiny.toml --device cpu --out {name} {sets} {more}");
        let said = say(command(folder.path(), &words(&line)).env("RAYON_NUM_THREADS", threads));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    };
    run("one", "1", "--seed 7");
    run("two", "2", "--seed 7");
    run("five", "5", "--seed 7");
    run(
        "otherwise",
        "2",
        "--set train.log_every=5 --set train.evaluate_every=4 --set train.checkpoint_every=7 --profile --seed 7",
    );
    assert_same(&at("one"), &at("two"), 12, true);
    assert_same(&at("one"), &at("five"), 12, true);
    assert_same(&at("one"), &at("otherwise"), 12, false);
    // Each line that is written is written the same, however many there are.
    let (all, few) = (metrics(&at("one")), metrics(&at("otherwise")));
    let trained = |lines: &[Line]| lines.iter().filter(|line| matches!(line, Line::Train(_))).count();
    assert_eq!((trained(&all), trained(&few)), (12, 2));
    assert!(few.iter().filter(|line| matches!(line, Line::Train(_))).all(|line| all.contains(line)));
    // Another seed is another run: the comparison can fail.
    run("other", "2", "--seed 8");
    assert_ne!(checkpoint(&at("one"), 12).groups, checkpoint(&at("other"), 12).groups);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_the_gpu_and_resuming_changes_none() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let (_, outcome) = training::train(&request(at("straight"), gpu(), &[]), &mut Silent).expect("training");
    assert_eq!(outcome, Outcome::Finished);

    // Stopped somewhere by its observer, and gone on with.
    let mut stopped = request(at("stopped"), gpu(), &[]);
    let (training, outcome) = training::train(&stopped, &mut StopAt(1, false)).expect("training");
    assert_eq!(outcome, Outcome::Stopped);
    let step = training.step();
    assert!((1..60).contains(&step), "stopped at step {step}");
    assert_eq!(checkpoint(&at("stopped"), step).step, step);
    drop(training);
    stopped.start = Start::Resume;
    let (_, outcome) = training::train(&stopped, &mut Silent).expect("training");
    assert_eq!(outcome, Outcome::Finished);
    assert_same(&at("straight"), &at("stopped"), 60, true);

    // The binary, with other bundles of steps and a profile.
    let line = format!(
        "train tiny.toml --device {} --out profiled --profile --set train.log_every=7 --set train.evaluate_every=11 \
         --set train.checkpoint_every=9",
        gpu::choice()
    );
    let said = good(folder.path(), &line);
    assert!(said.stdout.contains("GFLOP/s") && said.stdout.contains("ms a run on the GPU"), "{}", said.stdout);
    assert_same(&at("straight"), &at("profiled"), 60, false);

    // The CPU takes the same steps, to rounding.
    training::train(&request(at("cpu"), Choice::Cpu, &[]), &mut Silent).expect("training");
    for (gpu, cpu) in metrics(&at("straight")).iter().zip(metrics(&at("cpu"))).take(10) {
        if let (Line::Train(gpu), Line::Train(cpu)) = (gpu, cpu) {
            let difference = (gpu.loss - cpu.loss).abs() / cpu.loss;
            assert!(difference < 1e-3, "step {}: loss {} on the GPU, {} on the CPU", gpu.step, gpu.loss, cpu.loss);
        }
    }
}

#[test]
fn two_thousand_steps_allocate_what_ten_did() {
    for device in [gpu(), Choice::Cpu] {
        let folder = folder();
        let run = folder.path().join("run");
        let sets = ["train.steps=10", "train.evaluate_every=400", "train.checkpoint_every=500", "train.log_every=50"];
        let (mut training, _) = training::train(&request(run, device, &sets), &mut Silent).expect("training");
        assert_eq!(training.step(), 10);
        let after_ten = training.engine.allocated_bytes();
        training.experiment.set_steps(2000);
        assert_eq!(training.go_on(&mut Silent).expect("training"), Outcome::Finished);
        assert_eq!(training.step(), 2000);
        assert!(after_ten > 0);
        assert_eq!(training.engine.allocated_bytes(), after_ten);
    }
}

#[test]
fn three_hundred_steps_of_a_unet_allocate_what_ten_did_and_resuming_changes_no_bit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let request = |name: &str, steps: &str| {
        let mut overrides = Overrides::none();
        overrides.set(steps).expect("a good override");
        let config = Config::parse(TINY_UNET, "tiny-unet.toml", &overrides).expect("a good config");
        let out = folder.path().join(name);
        Request { config, out, start: Start::New(Existing::Refuse), device: gpu(), cache: None }
    };
    let straight = request("straight", "train.steps=10");
    let (mut training, _) = training::train(&straight, &mut Silent).expect("training");
    assert_eq!(training.step(), 10);
    let after_ten = training.engine.allocated_bytes();
    training.experiment.set_steps(300);
    assert_eq!(training.go_on(&mut Silent).expect("training"), Outcome::Finished);
    assert_eq!((training.step(), training.engine.allocated_bytes()), (300, after_ten));
    assert!(after_ten > 0);
    drop(training);

    let mut stopped = request("stopped", "train.steps=300");
    let (training, outcome) = training::train(&stopped, &mut StopAt(1, false)).expect("training");
    assert_eq!(outcome, Outcome::Stopped);
    assert!((1..300).contains(&training.step()), "stopped at step {}", training.step());
    drop(training);
    stopped.start = Start::Resume;
    let (_, outcome) = training::train(&stopped, &mut Silent).expect("training");
    assert_eq!(outcome, Outcome::Finished);
    assert_same(&straight.out, &stopped.out, 300, false);
    let trained =
        |run: &Path| -> Vec<Line> { metrics(run).into_iter().filter(|line| matches!(line, Line::Train(_))).collect() };
    assert_eq!(trained(&straight.out), trained(&stopped.out));
}

#[cfg(unix)]
fn signal(process: &std::process::Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &process.id().to_string()]).status();
    assert!(sent.expect("kill is part of every Unix").success());
}

/// A run of some seconds, so that there is time to stop it, with a checkpoint every few milliseconds.
#[cfg(unix)]
const LONG: &str = "train tiny.toml --device cpu --set train.steps=3000 --set train.checkpoint_every=50 \
                    --set train.evaluate_every=150 --set train.log_every=7";

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_prints_the_command_that_goes_on() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    good(folder.path(), &format!("{LONG} --out straight"));
    // No checkpoint of its own accord: what is saved, is saved by Ctrl-C.
    let line = format!("{LONG} --set train.checkpoint_every=100000 --out stopped");
    let mut process = start(folder.path(), &line);
    let lines = || fs::read_to_string(at("stopped/metrics.jsonl")).map_or(0, |text| text.lines().count());
    wait_for("some steps", || lines() > 20);
    signal(&process, "-INT");
    let status = process.wait().expect("it ends");
    let stderr = fs::read_to_string(at("stderr.txt")).expect("what it said");
    assert_eq!(status.code(), Some(130), "{stderr}");
    let last = stderr.lines().last().expect("a last line");
    let step: u64 = last
        .strip_prefix("stopped after step ")
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("the last line is: {last}"));
    assert!(step > 0 && step < 3000);
    assert_eq!(checkpoint(&at("stopped"), step).step, step);
    assert_eq!(fs::read_to_string(at("stopped/latest")).expect("a pointer").trim(), format!("step-{step}"));
    // The command that it prints, word for word.
    let command = last.split_once("go on with tweedie ").expect("a way to go on").1;
    assert!(command.contains("--resume"), "{command}");
    good(folder.path(), command);
    assert_same(&at("straight"), &at("stopped"), 3000, true);
}

#[cfg(unix)]
#[test]
fn a_run_killed_at_any_moment_ends_as_the_run_that_was_not() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let started = Instant::now();
    good(folder.path(), &format!("{LONG} --out straight"));
    let whole = started.elapsed();
    let mut kills = 0;
    let (mut steps, mut resumed) = (Vec::new(), false);
    for attempt in 1u32..=40 {
        // Moments from the golden ratio, 0 to a quarter of the whole run: at the start, between and within checkpoints.
        let moment = whole.mul_f64(f64::from(attempt).mul_add(0.618_033_988, 0.0).fract() / 4.0);
        let resume = if resumed { "--resume" } else { "--overwrite" };
        let mut process = start(folder.path(), &format!("{LONG} --out killed {resume}"));
        std::thread::sleep(moment);
        let ended = process.try_wait().expect("a process of ours");
        process.kill().expect("it can be killed");
        process.wait().expect("it is dead");
        let stderr = fs::read_to_string(at("stderr.txt")).expect("what it said");
        assert!(!stderr.contains("error"), "after {kills} kills, {moment:?}: {stderr}");
        if ended.is_some() {
            break;
        }
        kills += 1;
        resumed = at("killed/config.toml").exists();
        // Whatever `latest` names is whole.
        if let Ok(name) = fs::read_to_string(at("killed/latest")) {
            steps.push(Checkpoint::read(&at("killed").join(name.trim())).expect("a whole checkpoint").step);
        }
    }
    assert!(kills >= 4, "only {kills} kills");
    assert!(steps.is_sorted() && steps.len() >= 3, "the run went on from step to step: {steps:?}");
    good(folder.path(), &format!("{LONG} --out killed --resume"));
    assert_same(&at("straight"), &at("killed"), 3000, true);
    let leftovers = everything_in(&at("killed"));
    assert!(!leftovers.keys().any(|path| path.to_string_lossy().contains("unfinished")), "{:?}", leftovers.keys());
}

#[test]
fn an_existing_run_is_refused_overwritten_or_resumed() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let line = "train tiny.toml --device cpu --out run";
    good(folder.path(), &format!("{line} --steps 40"));
    fs::write(at("run/notes.txt"), "mine").expect("a file of the user's own");

    let before = everything_in(folder.path());
    let said = tweedie(folder.path(), &words(line));
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(
        ["run:", "--resume", "--overwrite", "--out"].iter().all(|word| said.stderr.contains(word)),
        "{}",
        said.stderr
    );
    let said = tweedie(folder.path(), &words(&format!("{line} --resume --set model.width=16")));
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(["model.width", "= 8", "16"].iter().all(|word| said.stderr.contains(word)), "{}", said.stderr);
    assert_eq!(everything_in(folder.path()), before);

    // More steps: only the new ones are taken. (A constant learning rate, for the cosine ends with the run.)
    let constant = "--set train.schedule=constant";
    good(folder.path(), &format!("train tiny.toml --device cpu --out whole {constant}"));
    good(folder.path(), &format!("{line} --overwrite {constant} --steps 40"));
    assert_eq!(fs::read_to_string(at("run/notes.txt")).expect("it is still there"), "mine");
    let first = fs::read(at("run/metrics.jsonl")).expect("metrics");
    good(folder.path(), &format!("{line} --resume {constant} --steps 60"));
    assert_same(&at("whole"), &at("run"), 60, false);
    let then = fs::read(at("run/metrics.jsonl")).expect("metrics");
    assert!(then.starts_with(&first) && then.len() > first.len());

    // A run that is finished is finished.
    let weights = checkpoint(&at("run"), 60);
    good(folder.path(), &format!("{line} --resume {constant} --steps 60"));
    assert_eq!(checkpoint(&at("run"), 60), weights);
    assert_eq!(fs::read(at("run/metrics.jsonl")).expect("metrics"), then);
}

#[test]
fn what_came_after_the_checkpoint_and_a_torn_line_are_dropped_from_the_metrics() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    good(folder.path(), "train tiny.toml --device cpu --out straight");
    let mut stopped = request(at("torn"), Choice::Cpu, &[]);
    // Killed after its last line and before its last checkpoint.
    training::train(&stopped, &mut Silent).expect("training");
    fs::remove_dir_all(at("torn/step-60")).expect("a checkpoint");
    fs::write(at("torn/latest"), "step-40\n").expect("a pointer");
    let path = at("torn/metrics.jsonl");
    let mut text = fs::read_to_string(&path).expect("metrics");
    text += r#"{"kind":"train","step":61,"lo"#;
    fs::write(&path, text).expect("metrics");
    stopped.start = Start::Resume;
    training::train(&stopped, &mut Silent).expect("training");
    assert_same(&at("straight"), &at("torn"), 60, true);
}

/// Every file of the checkpoint is a pipe that gives its bytes once, and is gone then.
#[cfg(unix)]
#[test]
fn resuming_reads_the_checkpoint_once() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    good(folder.path(), "train tiny.toml --device cpu --out straight");
    let mut resumed = request(at("resumed"), Choice::Cpu, &[]);
    training::train(&resumed, &mut Silent).expect("training");
    fs::remove_dir_all(at("resumed/step-60")).expect("a checkpoint");
    fs::write(at("resumed/latest"), "step-40\n").expect("a pointer");
    let mut files = 0;
    for entry in fs::read_dir(at("resumed/step-40")).expect("a checkpoint") {
        let path = entry.expect("a file").path();
        let bytes = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("a file");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is part of every Unix");
        assert!(made.success());
        files += 1;
        std::thread::spawn(move || {
            let mut pipe = fs::File::options().write(true).open(&path).expect("a reader");
            fs::remove_file(&path).expect("a pipe");
            std::io::Write::write_all(&mut pipe, &bytes).expect("a reader");
        });
    }
    assert_eq!(files, 4);
    resumed.start = Start::Resume;
    let (_, outcome) = training::train(&resumed, &mut Silent).expect("training");
    assert_eq!(outcome, Outcome::Finished);
    assert_same(&at("straight"), &at("resumed"), 60, true);
}

#[test]
fn a_loss_that_overflows_is_named_and_leaves_the_last_good_weights() {
    let mut levels = Vec::new();
    for device in ["cpu", gpu::choice()] {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        // One step of this size, and the next loss is beyond any float.
        let line = format!("train tiny.toml --device {device} --out run --set train.learning_rate=1e30");
        let said = tweedie(folder.path(), &words(&line));
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        let last = said.stderr.lines().last().expect("a last line");
        assert!(last.starts_with("error: loss or gradient of step 2 is not finite"), "{last}");
        let number = |after: &str| -> f64 {
            let rest = last.split_once(after).unwrap_or_else(|| panic!("no {after}: {last}")).1;
            let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().unwrap_or_else(|_| panic!("no number after {after}: {last}"))
        };
        // The largest time of thirteen samples, all of which overflow.
        let (t, sigma) = (number("(noise level t = "), number(", sigma = "));
        assert!(t > 0.5 && sigma > 0.5, "{last}");
        levels.push((t, sigma));
        assert!(last.contains("step-1") && last.contains("train.learning_rate"), "{last}");
        // The weights after the one good step: those of a run of one step.
        assert_eq!(fs::read_to_string(at("run/latest")).expect("a pointer"), "step-1\n");
        good(
            folder.path(),
            &format!("{line} --out one --steps 1 --set train.schedule=constant").replace("--out run ", ""),
        );
        assert_eq!(checkpoint(&at("run"), 1).groups, checkpoint(&at("one"), 1).groups);
        let trained = metrics(&at("run")).into_iter().filter(|line| matches!(line, Line::Train(_)));
        assert_eq!(trained.map(|line| line.step()).collect::<Vec<_>>(), [1]);
        // Going on without a change ends in the same way, and destroys nothing.
        let said = tweedie(folder.path(), &words(&format!("{line} --resume")));
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert_eq!(checkpoint(&at("run"), 1).groups, checkpoint(&at("one"), 1).groups);
    }
    assert_eq!(levels[0], levels[1], "CPU and GPU name the same noise level");
}

#[test]
fn what_is_resumed_or_sampled_is_what_was_trained() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let values: Vec<f32> = (0..180).map(|i| (i as f32 * 0.37).sin()).collect();
    let write = |n: usize, scale: f32| {
        let values: Vec<f32> = values[..3 * n].iter().map(|x| scale * x).collect();
        tweedie::data::write_npy(&at("data.npy"), &[n, 3], &values).expect("a data set");
    };
    let line = "train tiny.toml --device cpu --out run --set data.kind=file --set data.path=data.npy --steps";
    let draw = || {
        good(folder.path(), "sample run --device cpu --out drawn.npy");
        good(folder.path(), "score run --device cpu --x data.npy --t 0.5 --out score.npy");
        tweedie::data::read_npy(&at("drawn.npy")).expect("samples").values
    };
    let refused = |line: &str, wanted: &[&str]| {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        assert!(wanted.iter().all(|word| said.stderr.contains(word)), "{line}: {}", said.stderr);
    };
    write(60, 1.0);
    good(folder.path(), &format!("{line} 20"));
    let drawn = draw();
    // Data of another size of numbers: the samples stay, and training refuses.
    write(60, 3.0);
    assert_eq!(draw(), drawn);
    refused(&format!("{line} 40 --resume"), &["step-20", "root mean square"]);
    // Other rows.
    write(54, 1.0);
    refused(&format!("{line} 40 --resume"), &["step-20", "50 samples to train on, now 45"]);
    write(60, 1.0);
    // Fewer steps than there are.
    let config = fs::read(at("run/config.toml")).expect("a config");
    refused(&format!("{line} 10 --resume"), &["train.steps = 10", "step 20"]);
    assert_eq!(fs::read(at("run/config.toml")).expect("a config"), config);
    // A config that was changed by hand.
    let text = String::from_utf8(config.clone()).expect("text");
    fs::write(at("run/config.toml"), text.replace("\"edm\"", "\"epsilon\"")).expect("a config");
    refused("sample run --device cpu --out drawn.npy", &["step-20", "config.toml"]);
    refused("score run --device cpu --x data.npy --t 0.5 --out score.npy", &["step-20", "config.toml"]);
    refused("train run/config.toml --device cpu --out run --resume", &["step-20", "config.toml"]);
    fs::write(at("run/config.toml"), config).expect("a config");
    good(folder.path(), &format!("{line} 40 --resume"));
}

#[test]
fn a_loss_too_large_for_a_float_leaves_the_first_weights() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    tweedie::data::write_npy(&at("huge.npy"), &[20, 3], &[[9e17; 30], [-9e17; 30]].concat()).expect("a data set");
    let line = "train tiny.toml --device cpu --out run --set data.kind=file --set data.path=huge.npy \
                --set loss.parameterisation=denoised --set sde.kind=edm --set sde.sigma_min=1e-9";
    let said = tweedie(folder.path(), &words(line));
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let last = said.stderr.lines().last().expect("a last line");
    assert!(last.starts_with("error: loss or gradient of step 1 is not finite"), "{last}");
    assert!(["step-0", "size of the data", "[sde]", "model.depth"].iter().all(|word| last.contains(word)), "{last}");
    assert!(!last.contains("learning_rate"), "{last}");
    assert!(
        said.stderr.contains("huge: the data's root mean square is 9e17: which noise up to sde.sigma_max = 80"),
        "{}",
        said.stderr
    );
    assert_eq!(checkpoint(&at("run"), 0).step, 0);
}

#[test]
fn an_evaluation_takes_every_held_out_sample_and_changes_nothing() {
    let folder = folder();
    let run = folder.path().join("run");
    let (mut training, _) = training::train(&request(run.clone(), Choice::Cpu, &[]), &mut Silent).expect("training");
    let Some(Line::Evaluation(last)) = metrics(&run).into_iter().rfind(|line| matches!(line, Line::Evaluation(_)))
    else {
        panic!("no evaluation in the metrics");
    };
    assert_eq!(last.step, 60);
    // Measured anew, twice, it is what the metrics say.
    for _ in 0..2 {
        let again = evaluation::held_out(training.engine.as_mut(), &training.experiment).expect("an evaluation");
        assert_eq!((again.loss, again.levels), (last.held_out_loss, last.per_level.clone()));
    }
    let mean = last.per_level.iter().map(|level| f64::from(level.loss)).sum::<f64>() / last.per_level.len() as f64;
    assert!((mean - f64::from(last.held_out_loss)).abs() < 0.02 * mean, "{mean} {}", last.held_out_loss);
}
