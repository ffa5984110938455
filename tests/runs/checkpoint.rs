//! Checkpoints, run folders and metrics: what a kill at any moment leaves, and one line for everything broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tweedie::train::run::checkpoint::{Checkpoint, NamedTensor, groups};
use tweedie::train::run::error::RunError;
use tweedie::train::run::log::{EvaluationLine, LevelLoss, Line, Log, Timing, TrainLine, read};
use tweedie::train::run::run_folder::RunFolder;
use tweedie::train::run::training_folder::{Existing, TrainingFolder, check_free};

fn tensor(name: &str, shape: &[usize], first: f32) -> NamedTensor {
    let n = shape.iter().product::<usize>();
    NamedTensor { name: name.into(), shape: shape.to_vec(), values: (0..n).map(|i| first + i as f32 / 3.0).collect() }
}

fn checkpoint(step: u64) -> Checkpoint {
    let weights = vec![
        tensor("layer.0.weight", &[3, 2], step as f32),
        tensor("layer.1.bias", &[5], -1.0),
        tensor("scale", &[], 0.1),
    ];
    let moments = weights
        .iter()
        .flat_map(|t| ["adam_m", "adam_v"].map(|of| tensor(&format!("{of}.{}", t.name), &t.shape, 1e-20)));
    let mut moments: Vec<NamedTensor> = moments.collect();
    moments.sort_by(|a, b| a.name.cmp(&b.name));
    let groups = [(groups::PARAMS, weights.clone()), (groups::EMA, weights), (groups::OPTIMIZER, moments)];
    Checkpoint {
        step,
        seed: u64::MAX,
        fingerprint: "0123456789abcdef".into(),
        extra: BTreeMap::from([("mean".to_string(), serde_json::json!([0.5, 1]))]),
        groups: groups.into_iter().map(|(group, tensors)| (group.to_string(), tensors)).collect(),
    }
}

fn new_run(folder: &TempDir) -> TrainingFolder {
    TrainingFolder::create(&folder.path().join("run"), Existing::Refuse, "a = 1\n").expect("a new run")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[test]
fn a_checkpoint_survives_with_every_bit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("step-7");
    let mut written = checkpoint(7);
    let odd = [f32::MIN_POSITIVE / 8.0, -0.0, f32::MAX, f32::INFINITY, 0.1];
    written.groups.get_mut(groups::PARAMS).unwrap()[1].values = odd.to_vec();
    written.write(&path).unwrap();
    assert_eq!(names(&path), ["ema.safetensors", "optimizer.safetensors", "params.safetensors", "state.json"]);
    let read = Checkpoint::read(&path).unwrap();
    assert_eq!(read, written);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read.groups[groups::PARAMS][1].values), bits(&odd));
    // The same checkpoint is the same bytes.
    let again = folder.path().join("again");
    read.write(&again).unwrap();
    for name in names(&path) {
        assert_eq!(fs::read(path.join(&name)).unwrap(), fs::read(again.join(&name)).unwrap(), "{name}");
    }
}

/// The bytes of a file as the format's own page describes them, put together by hand.
#[test]
fn the_files_are_safetensors() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c");
    let mut written = checkpoint(1);
    written.groups = BTreeMap::from([(
        groups::PARAMS.to_string(),
        vec![NamedTensor { name: "w".into(), shape: vec![2], values: vec![1.0, -2.0] }],
    )]);
    written.write(&path).unwrap();
    let bytes = fs::read(path.join("params.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    assert_eq!(json, serde_json::json!({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}));
    assert_eq!(bytes[8 + header..], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
}

#[test]
fn broken_checkpoints_are_named_in_one_line() {
    let folder = TempDir::new().unwrap();
    let good = folder.path().join("good");
    checkpoint(7).write(&good).unwrap();
    let mut count = 0;
    let mut broken = |damage: &dyn Fn(&Path)| {
        count += 1;
        let path = folder.path().join(format!("broken{count}"));
        copy(&good, &path);
        damage(&path);
        let line = Checkpoint::read(&path).expect_err("it is broken").to_string();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix(&format!("{}/", path.display())).expect("names the file").to_string()
    };
    let cut = |path: PathBuf, bytes: usize| {
        let all = fs::read(&path).unwrap();
        fs::write(path, &all[..bytes]).unwrap();
    };
    let size = fs::metadata(good.join("ema.safetensors")).unwrap().len();
    assert_eq!(
        broken(&|path| fs::remove_file(path.join("state.json")).unwrap()),
        "state.json: is missing: not a whole checkpoint"
    );
    assert_eq!(
        broken(&|path| fs::remove_file(path.join("ema.safetensors")).unwrap()),
        "ema.safetensors: is missing: not a whole checkpoint"
    );
    assert_eq!(
        broken(&|path| cut(path.join("ema.safetensors"), 100)),
        format!("ema.safetensors: has 100 bytes and should have {size} (as state.json says): truncated or replaced")
    );
    assert!(
        broken(&|path| cut(path.join("state.json"), 30)).starts_with("state.json: not the state of a checkpoint: ")
    );
    let replace = |path: &Path, from: &str, to: &str| {
        let path = path.join("state.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        broken(&|path| replace(path, "\"format\": 1", "\"format\": 2")),
        format!("state.json: has format 2, and this tweedie ({version}) reads format 1")
    );
    assert_eq!(
        broken(&|path| replace(path, "ema.safetensors", "../x.safetensors")),
        "state.json: names the file ../x.safetensors, which is no .safetensors"
    );
    let garbage = |path: &Path| {
        fs::write(
            path.join("params.safetensors"),
            vec![7; fs::metadata(path.join("params.safetensors")).unwrap().len() as usize],
        )
        .unwrap()
    };
    assert!(broken(&garbage).starts_with("params.safetensors: not a whole safetensors file: "));
    let mut wrong = checkpoint(7);
    wrong.groups.get_mut(groups::PARAMS).unwrap()[0].shape = vec![7];
    let line = wrong.write(&folder.path().join("wrong")).expect_err("bad").to_string();
    assert!(line.ends_with("params.safetensors: tensor layer.0.weight has 6 values and shape [7]"), "{line}");
}

#[test]
fn tensors_have_to_be_those_of_the_model() {
    let read = checkpoint(7);
    let model = |names: &[(&str, &[usize])]| {
        names.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect::<Vec<_>>()
    };
    let expect = |group: &str, names: &[(&str, &[usize])]| {
        read.expect(Path::new("r"), group, &model(names)).map_err(|error| error.to_string())
    };
    let found = expect(groups::PARAMS, &[("scale", &[]), ("layer.1.bias", &[5]), ("layer.0.weight", &[3, 2])]).unwrap();
    assert_eq!(
        found.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(),
        ["scale", "layer.1.bias", "layer.0.weight"]
    );
    let bad = |names: &[(&str, &[usize])]| expect(groups::PARAMS, names).unwrap_err();
    assert_eq!(
        bad(&[("layer.0.weight", &[2, 3])]),
        "r/params.safetensors: tensor layer.0.weight has shape [3, 2], and the model needs [2, 3]"
    );
    assert_eq!(
        bad(&[("layer.2.weight", &[4])]),
        "r/params.safetensors: has no tensor layer.2.weight, and the model needs it with shape [4]"
    );
    assert_eq!(
        bad(&[("layer.0.weight", &[3, 2]), ("scale", &[])]),
        "r/params.safetensors: tensor layer.1.bias belongs to no layer of the model"
    );
    assert_eq!(expect("other", &[]).unwrap_err(), "r/other.safetensors: is missing, and the model needs it");
}

#[test]
fn an_existing_run_is_refused_with_all_ways_out() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    run.save(&checkpoint(3), 2).unwrap();
    let path = run.path().to_path_buf();
    fs::write(path.join("notes.txt"), "the user's own").unwrap();
    drop(run);
    let before = names(&path);
    let line = TrainingFolder::create(&path, Existing::Refuse, "b = 2\n").expect_err("refused").to_string();
    assert_eq!(
        line,
        format!(
            "{}: a run is here already; go on with it by --resume, replace it by --overwrite, or choose another folder by --out",
            path.display()
        )
    );
    assert_eq!(names(&path), before);
    let run = TrainingFolder::create(&path, Existing::Overwrite, "b = 2\n").unwrap();
    assert_eq!(names(&path), ["config.toml", "lock", "notes.txt"]);
    assert_eq!(fs::read_to_string(run.config_path()).unwrap(), "b = 2\n");
    assert_eq!(run.latest().unwrap(), None);

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    check_free(&foreign, Existing::Refuse).expect("an empty folder is as good as none");
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    for existing in [Existing::Refuse, Existing::Overwrite] {
        assert!(matches!(TrainingFolder::create(&foreign, existing, ""), Err(RunError::Foreign { .. })));
    }
    assert_eq!(names(&foreign), ["thesis.tex"]);
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    assert!(matches!(TrainingFolder::resume(run.path()), Err(RunError::Busy { .. })));
    assert!(matches!(TrainingFolder::create(run.path(), Existing::Overwrite, ""), Err(RunError::Busy { .. })));
    assert_eq!(fs::read_to_string(run.config_path()).unwrap(), "a = 1\n");
    let path = run.path().to_path_buf();
    drop(run);
    TrainingFolder::resume(&path).expect("free again");
}

/// Runs `wait`, which stops at the lock of the folder, does `meanwhile` what another process may do there, and lets it go
/// on: a pipe in the lock's place is opened for writing only when something reads.
#[cfg(unix)]
fn at_the_lock<T: Send + 'static>(
    path: &Path,
    wait: impl FnOnce() -> T + Send + 'static,
    meanwhile: impl FnOnce(),
) -> T {
    let lock = path.join("lock");
    let made = std::process::Command::new("mkfifo").arg(&lock).status().expect("mkfifo is part of every Unix");
    assert!(made.success());
    let waiting = std::thread::spawn(wait);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!waiting.is_finished(), "it should wait for the lock");
    meanwhile();
    let pipe = fs::File::options().read(true).write(true).open(&lock).expect("a pipe");
    let result = waiting.join().expect("no panic");
    drop(pipe);
    result
}

#[cfg(unix)]
#[test]
fn a_run_that_was_finished_between_the_first_look_and_the_lock_is_not_erased() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    run.save(&checkpoint(3), 2).unwrap();
    let finished = run.path().to_path_buf();
    drop(run);
    fs::remove_file(finished.join("lock")).unwrap();
    for existing in [Existing::Refuse, Existing::Overwrite] {
        let path = folder.path().join(format!("{existing:?}"));
        fs::create_dir(&path).unwrap();
        let wait = {
            let path = path.clone();
            move || TrainingFolder::create(&path, existing, "b = 2\n").map(drop)
        };
        let made = at_the_lock(&path, wait, || copy(&finished, &path));
        let left = names(&path);
        match existing {
            Existing::Refuse => {
                assert!(matches!(made, Err(RunError::Exists { .. })), "{made:?}");
                assert_eq!(left, ["config.toml", "latest", "lock", "step-3"]);
            }
            Existing::Overwrite => {
                made.expect("a new run");
                assert_eq!(left, ["config.toml", "lock"]);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_checkpoint_that_another_process_saved_before_the_lock_is_the_one_to_go_on_from() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    run.save(&checkpoint(10), 2).unwrap();
    let path = run.path().to_path_buf();
    drop(run);
    fs::remove_file(path.join("lock")).unwrap();
    let wait = {
        let path = path.clone();
        move || TrainingFolder::resume(&path).map(|(_, latest)| latest)
    };
    let loaded = at_the_lock(&path, wait, || {
        checkpoint(20).write(&path.join("step-20")).unwrap();
        fs::write(path.join("latest"), "step-20\n").unwrap();
    });
    assert_eq!(loaded.expect("a run").expect("a checkpoint").checkpoint, checkpoint(20));
}

#[test]
fn old_checkpoints_go_and_the_latest_is_found() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    assert!(RunFolder::find(run.path()).unwrap_err().to_string().ends_with("has no checkpoint yet"));
    for step in [1, 5, 30, 200] {
        let saved = run.save(&checkpoint(step), 2).unwrap();
        assert_eq!(run.latest().unwrap(), Some(saved));
    }
    let steps: Vec<u64> = run.checkpoints().unwrap().iter().map(|step| step.step).collect();
    assert_eq!(steps, [30, 200]);
    let (found, step) = RunFolder::find(run.path()).unwrap();
    assert_eq!((found.path(), step.step), (run.path(), 200));
    let (found, step) = RunFolder::find(&run.path().join("step-30")).unwrap();
    assert_eq!((found.config_path().is_file(), step.step), (true, 30));
    assert_eq!(Checkpoint::read(&step.path).unwrap(), checkpoint(30));
    for bad in ["nowhere", "run/step-31", "run/config.toml"] {
        let line = RunFolder::find(&folder.path().join(bad)).unwrap_err().to_string();
        assert!(line.starts_with(&folder.path().join(bad).display().to_string()) && !line.contains('\n'), "{line}");
    }
    fs::remove_dir_all(run.path().join("step-200")).unwrap();
    assert!(run.latest().unwrap_err().to_string().contains("names the checkpoint \"step-200\", which is not there"));
}

#[test]
fn what_only_looks_unfinished_is_nobody_elses_business() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let mine = ["thesis.unfinished", "step-x.unfinished", ".notes.txt.1-2.unfinished", ".loss.png.draft.unfinished"];
    // In a folder that is no run yet they are a reason to refuse.
    for name in mine {
        fs::create_dir_all(path.join(name)).unwrap();
        assert!(TrainingFolder::create(&path, Existing::Refuse, "").is_err(), "{name}");
        fs::remove_dir(path.join(name)).unwrap();
    }
    let ours = [
        "step-7.unfinished",
        "removed-7.unfinished",
        "latest.unfinished",
        ".config.toml.12-0.unfinished",
        ".loss.png.9-31.unfinished",
    ];
    for name in ours {
        fs::write(path.join(name), "half").unwrap();
    }
    drop(TrainingFolder::create(&path, Existing::Refuse, "").unwrap());
    assert_eq!(names(&path), ["config.toml", "lock"]);
    // In a run they stay, whatever is done.
    mine.iter().for_each(|name| fs::create_dir(path.join(name)).unwrap());
    ours.iter().for_each(|name| fs::write(path.join(name), "half").unwrap());
    let (run, latest) = TrainingFolder::resume(&path).unwrap();
    assert_eq!(latest, None);
    assert!(ours.iter().all(|name| path.join(name).exists()), "nothing is changed before it goes on");
    run.go_on("").unwrap();
    drop(run);
    drop(TrainingFolder::create(&path, Existing::Overwrite, "").unwrap());
    let mut left: Vec<&str> = mine.into_iter().chain(["config.toml", "lock"]).collect();
    left.sort_unstable();
    assert_eq!(names(&path), left);
}

/// A kill leaves one of the states between two system calls. Each is made here by hand.
#[test]
fn a_kill_at_any_moment_leaves_the_last_checkpoint_whole() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    run.save(&checkpoint(10), 1).unwrap();
    let path = run.path().to_path_buf();
    drop(run);
    let next = folder.path().join("next");
    checkpoint(20).write(&next).unwrap();
    let files = names(&next);

    type Damage<'a> = Box<dyn Fn(&Path) + 'a>;
    let mut moments: Vec<(String, Damage, u64)> = Vec::new();
    for n in 0..=files.len() {
        let (files, next) = (&files, &next);
        let partial = move |run: &Path| {
            let unfinished = run.join("step-20.unfinished");
            fs::create_dir(&unfinished).unwrap();
            for (index, file) in files.iter().take(n).enumerate() {
                let bytes = fs::read(next.join(file)).unwrap();
                // The last one is cut in the middle.
                let end = if index + 1 == n { bytes.len() / 2 } else { bytes.len() };
                fs::write(unfinished.join(file), &bytes[..end]).unwrap();
            }
        };
        moments.push((format!("while writing file {n}"), Box::new(partial), 10));
    }
    moments.push(("after the rename".into(), Box::new(|run| copy(&next, &run.join("step-20"))), 10));
    let pointer = |run: &Path| {
        copy(&next, &run.join("step-20"));
        fs::write(run.join("latest.unfinished"), "ste").unwrap();
    };
    moments.push(("while writing the pointer".into(), Box::new(pointer), 10));
    let moved = |run: &Path| {
        copy(&next, &run.join("step-20"));
        fs::write(run.join("latest"), "step-20\n").unwrap();
    };
    moments.push(("before pruning".into(), Box::new(moved), 20));
    let pruning = |run: &Path| {
        copy(&next, &run.join("step-20"));
        fs::write(run.join("latest"), "step-20\n").unwrap();
        fs::rename(run.join("step-10"), run.join("removed-10.unfinished")).unwrap();
        fs::remove_file(run.join("removed-10.unfinished/state.json")).unwrap();
    };
    moments.push(("while pruning".into(), Box::new(pruning), 20));

    for (index, (moment, damage, latest)) in moments.iter().enumerate() {
        let killed = folder.path().join(format!("killed-{index}"));
        copy(&path, &killed);
        damage(&killed);
        let (_, step) = RunFolder::find(&killed).unwrap();
        assert_eq!((step.step, Checkpoint::read(&step.path).unwrap()), (*latest, checkpoint(*latest)), "{moment}");
        // The resumed run goes through the same step and ends as if nothing had happened.
        let (run, loaded) = TrainingFolder::resume(&killed).unwrap();
        let loaded = loaded.expect("a checkpoint");
        assert_eq!((loaded.path, loaded.checkpoint), (killed.join(format!("step-{latest}")), checkpoint(*latest)));
        run.go_on("a = 1\n").unwrap();
        assert!(!names(&killed).iter().any(|name| name.ends_with(".unfinished")), "{moment}");
        run.save(&checkpoint(20), 1).unwrap();
        assert_eq!(names(&killed), ["config.toml", "latest", "lock", "step-20"], "{moment}");
        assert_eq!(Checkpoint::read(&killed.join("step-20")).unwrap(), checkpoint(20), "{moment}");
    }

    // Before the very first pointer there is only the folder.
    fs::remove_file(path.join("latest")).unwrap();
    assert_eq!(RunFolder::find(&path).unwrap().1.step, 10);
}

#[test]
fn a_latest_checkpoint_is_not_written_again() {
    let folder = TempDir::new().unwrap();
    let run = new_run(&folder);
    let saved = run.save(&checkpoint(10), 1).unwrap();
    let modified = fs::metadata(saved.path.join("state.json")).unwrap().modified().unwrap();
    run.save(&checkpoint(10), 1).unwrap();
    assert_eq!(fs::metadata(saved.path.join("state.json")).unwrap().modified().unwrap(), modified);
}

fn train_line(step: u64) -> Line {
    let timing = Some(Timing { seconds: 0.25, steps_per_sec: 40.0 });
    Line::Train(TrainLine { step, loss: 0.1 + step as f32, grad_norm: 1.0 / 3.0, learning_rate: 1e-3, timing })
}

fn evaluation_line(step: u64) -> Line {
    let per_level = vec![LevelLoss { t: 0.1, sigma: 0.3, loss: 0.7, variance: 0.2, irreducible: None }];
    Line::Evaluation(EvaluationLine { step, held_out_loss: 0.5, per_level, schedule: None })
}

#[test]
fn metrics_are_json_lines_with_timing_apart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = Log::open(&path, 0).unwrap();
    log.write(&train_line(10)).unwrap();
    log.write(&evaluation_line(10)).unwrap();
    log.sync().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"kind\":\"train\",\"step\":10,\"loss\":10.1,\"grad_norm\":0.33333334,\"learning_rate\":0.001,\"timing\":{\"seconds\":0.25,\"steps_per_sec\":40.0}}\n\
         {\"kind\":\"evaluation\",\"step\":10,\"held_out_loss\":0.5,\"per_level\":[{\"t\":0.1,\"sigma\":0.3,\"loss\":0.7,\"variance\":0.2}]}\n"
    );
    assert_eq!(read(&path).unwrap(), [train_line(10), evaluation_line(10)]);
    assert!(!serde_json::to_string(&train_line(10).without_timing()).unwrap().contains("timing"));
    assert_ne!(train_line(10).without_timing(), train_line(11).without_timing());
}

#[test]
fn a_loss_that_is_no_number_is_still_a_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = Log::open(&path, 0).unwrap();
    log.write(&Line::Train(TrainLine {
        step: 1,
        loss: f32::NAN,
        grad_norm: f32::NAN,
        learning_rate: 0.5,
        timing: None,
    }))
    .unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"kind\":\"train\",\"step\":1,\"loss\":null,\"grad_norm\":null,\"learning_rate\":0.5}\n"
    );
    let lines = read(&path).unwrap();
    let Line::Train(line) = &lines[0] else { panic!("{lines:?}") };
    assert!(line.loss.is_nan() && line.grad_norm.is_nan());
}

#[test]
fn resuming_takes_the_metrics_back_to_the_step_and_drops_a_torn_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = Log::open(&path, 0).unwrap();
    for step in [10, 20, 30] {
        log.write(&train_line(step)).unwrap();
        log.write(&evaluation_line(step)).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let torn = [&whole[..], b"{\"kind\":\"train\",\"st"].concat();
    fs::write(&path, &torn).unwrap();
    assert_eq!(read(&path).unwrap().len(), 6);
    let mut log = Log::open(&path, 20).unwrap();
    assert_eq!(read(&path).unwrap().iter().map(Line::step).collect::<Vec<_>>(), [10, 10, 20, 20]);
    log.write(&train_line(30)).unwrap();
    log.write(&evaluation_line(30)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);

    // Only the torn line goes where every step stays, and a file that is good is not touched.
    fs::write(&path, &torn).unwrap();
    drop(Log::open(&path, 30).unwrap());
    assert_eq!(fs::read(&path).unwrap(), whole);
    drop(Log::open(&path, 0).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::write(&path, "{\"ki").unwrap();
    drop(Log::open(&path, 5).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"");

    // So does a last line that a power cut has filled with something else.
    fs::write(&path, [&whole[..], &[0; 40], b"\n"].concat()).unwrap();
    assert_eq!(read(&path).unwrap().len(), 6);
    drop(Log::open(&path, 30).unwrap());
    assert_eq!(fs::read(&path).unwrap(), whole);

    // A broken line in the middle is not ours to throw away.
    fs::write(&path, [b"nonsense\n", &whole[..]].concat()).unwrap();
    let line = Log::open(&path, 30).expect_err("broken").to_string();
    let wanted = "line 1: is none that tweedie writes (expected ident, column 2); remove the line to go on";
    assert_eq!(line, format!("{}: {wanted}", path.display()));
    assert_eq!(fs::read(&path).unwrap().len(), whole.len() + 9);
}
