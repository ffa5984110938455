//! `tweedie sample`: its files, its noise, and samples of a class or around what is known.

use std::fs;
use std::path::Path;

use crate::common::binary::{expect_bad, good};
use crate::common::gpu;
use crate::common::npy::npy;
use crate::common::small_run::{folder, image_folder, pixels};
use tweedie::data::{digits, read_csv, read_npy, write_npy};
use tweedie::train::experiment::memory;

#[test]
fn samples_of_a_run_come_as_pictures_and_as_numbers() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for source in ["run", "run/step-30", "exact.toml"] {
        for file in ["a.png", "a.gif", "a.npy", "a.csv"] {
            let _ = fs::remove_file(at(file));
            let said = good(folder.path(), &format!("sample {source} --device cpu --n 12 --out {file}"));
            assert!(said.stderr.contains("12 samples from ") && said.stderr.contains("ode-heun"), "{}", said.stderr);
        }
        let array = read_npy(&at("a.npy")).expect("samples");
        assert_eq!(array.shape, [12, 2]);
        assert_eq!(read_csv(&at("a.csv")).expect("samples"), (2, array.values.to_f32()));
        assert!(image::open(at("a.png")).expect("a picture").width() > 100);
        let gif = std::io::BufReader::new(fs::File::open(at("a.gif")).expect("an animation"));
        let gif = image::codecs::gif::GifDecoder::new(gif).expect("an animation");
        let frames = image::AnimationDecoder::into_frames(gif).collect_frames().expect("whole frames");
        // Eight steps have nine moments.
        assert_eq!(frames.len(), 9);
        assert_ne!(frames[0].buffer(), frames[8].buffer());
    }
    let said = good(folder.path(), "sample exact.toml --device cpu --n 1030 --out many.npy");
    for words in ["sample (2 batches of 8 steps) 16/16", "1030 samples from the exact score of exact.toml by ode-heun"]
    {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    // An older checkpoint is another network.
    good(folder.path(), "sample run/step-10 --device cpu --n 12 --out old.npy");
    good(folder.path(), "sample run --device cpu --n 12 --out new.npy");
    good(folder.path(), "sample run/step-30 --device cpu --n 12 --out last.npy");
    assert_ne!(fs::read(at("old.npy")).expect("samples"), fs::read(at("new.npy")).expect("samples"));
    assert_eq!(fs::read(at("last.npy")).expect("samples"), fs::read(at("new.npy")).expect("samples"));
    // A run in the plane has all its pictures.
    for name in ["loss.png", "samples.png", "trajectory.png", "trajectory.gif", "scores.png"] {
        image::open(at("run").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_sample_does_not_depend_on_how_many_are_drawn() {
    let folder = folder();
    let draw = |source: &str, sampler: &str, n: usize, seed: u64| {
        let line =
            format!("sample {source} --device cpu --sampler {sampler} --steps 5 --seed {seed} --n {n} --out {n}.npy");
        good(folder.path(), &line);
        read_npy(&folder.path().join(format!("{n}.npy"))).expect("samples").values.to_f32()
    };
    for source in ["run", "exact.toml"] {
        for sampler in ["euler-maruyama", "ode-euler", "ode-heun"] {
            // 1,030 are more than are drawn at a time.
            let many = draw(source, sampler, 1030, 3);
            for n in [1, 8, 64] {
                assert_eq!(draw(source, sampler, n, 3)[..], many[..2 * n], "{source}, {sampler}, {n}");
            }
            assert_ne!(draw(source, sampler, 8, 4)[..], many[..16], "{source}, {sampler}: another seed");
            assert_ne!(many[..12], many[2048..], "{source}, {sampler}: the second lot is the first again");
        }
    }
}

#[test]
fn the_users_own_noise_makes_the_probability_flow_reproducible() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let noise: Vec<f32> = (0..32).map(|i| ((i * 37 % 64) as f32 - 31.5) / 16.0).collect();
    write_npy(&at("z.npy"), &[16, 2], &noise).expect("noise");
    let other: Vec<f32> = noise.iter().map(|z| -z).collect();
    write_npy(&at("minus.npy"), &[16, 2], &other).expect("noise");
    let draw = |sampler: &str, noise: &str, seed: u64| {
        let line = format!(
            "sample run --device cpu --sampler {sampler} --steps 6 --seed {seed} --noise {noise}.npy --out drawn.npy"
        );
        good(folder.path(), &line);
        let array = read_npy(&at("drawn.npy")).expect("samples");
        assert_eq!(array.shape, [16, 2]);
        array.values.to_f32()
    };
    for sampler in ["ode-euler", "ode-heun"] {
        let first = draw(sampler, "z", 1);
        assert_eq!(first, draw(sampler, "z", 2));
        assert_ne!(first, draw(sampler, "minus", 1));
    }
    assert_eq!(draw("euler-maruyama", "z", 1), draw("euler-maruyama", "z", 1));
    assert_ne!(draw("euler-maruyama", "z", 1), draw("euler-maruyama", "z", 2));
}

#[test]
fn the_exact_config_that_comes_along_has_its_weights() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/exact-mixture.toml");
    good(folder.path(), &format!("sample {} --device cpu --n 2000 --out samples.csv", config.display()));
    let (columns, values) = read_csv(&folder.path().join("samples.csv")).expect("samples");
    assert_eq!((columns, values.len()), (2, 4000));
    // Half of the weight lies around x = -2, three tenths at the upper right, a fifth at the lower right.
    let share = |inside: fn(&[f32]) -> bool| values.chunks(2).filter(|x| inside(x)).count() as f64 / 2000.0;
    let shares = [
        (share(|x| x[0] < -0.2), 0.5),
        (share(|x| x[0] >= -0.2 && x[1] > 0.2), 0.3),
        (share(|x| x[0] >= -0.2 && x[1] <= 0.2), 0.2),
    ];
    for (found, weight) in shares {
        let standard_error = f64::sqrt(weight * (1.0 - weight) / 2000.0);
        assert!((found - weight).abs() < 3.0 * standard_error, "{found} of the samples, not {weight}");
    }
}

#[test]
fn what_is_known_stays_and_the_rest_is_drawn() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write_npy(&at("known.npy"), &[1, 2], &[1.0, 9.0]).unwrap();
    write_npy(&at("mask.npy"), &[1, 2], &[1.0, 0.0]).unwrap();
    write_npy(&at("masks.npy"), &[2, 2], &[1.0; 4]).unwrap();
    let line = "sample exact.toml --device cpu --steps 40 --known known.npy";
    good(folder.path(), &format!("{line} --mask mask.npy --n 20 --out o.npy"));
    let drawn = read_npy(&at("o.npy")).unwrap().values.to_f32();
    assert_eq!(drawn.len(), 40);
    for x in drawn.chunks(2) {
        // The mode whose first coordinate is 1 has its second at −0.5, of width 0.2.
        assert!(x[0] == 1.0 && (x[1] + 0.5).abs() < 1.2, "{x:?}");
    }
    expect_bad(
        folder.path(),
        &[
            (&format!("{line} --out b.npy"), &["--mask"]),
            (&format!("{line} --mask masks.npy --out b.npy"), &["--mask", "masks.npy", "2 samples", "one"]),
            (&format!("{line} --mask missing.npy --out b.npy"), &["missing.npy"]),
            ("sample exact.toml --class 3 --out b.npy", &["--class 3", "no classes"]),
            ("sample exact.toml --guidance 2 --out b.npy", &["--class"]),
            ("sample exact.toml --class 0 --guidance -1 --out b.npy", &["--guidance", "-1", "≥ 0"]),
        ],
    );
}

/// A run of the digits whose network knows classes: a tiny U-Net, two steps.
#[test]
fn a_class_can_be_asked_for_and_guided_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"unet\"\nchannels = 4\nmultipliers = [1]\ngroups = 2\n\
                  conditional = true\ndropout = 0.1\n[sde]\nkind = \"vp\"\n[loss]\nkind = \"denoising\"\n[train]\n\
                  steps = 4\nbatch = 8\naccumulate = 2\nflip = true\ncheckpoint_activations = true\n\
                  sample_every = 2\nevaluate_every = 4\nlearning_rate = 0.05\n\
                  [sample]\nkind = \"ode-euler\"\nsteps = 3\nn = 4\n";
    fs::write(folder.path().join("u.toml"), config).unwrap();
    good(folder.path(), "train u.toml --device cpu --out run");
    for picture in ["samples/step-2.png", "samples/step-4.png", "samples.png"] {
        assert!(folder.path().join("run").join(picture).exists(), "{picture}");
    }
    let draw = |flags: &str| -> Vec<f32> {
        good(folder.path(), &format!("sample run --device cpu --n 2 {flags} --out o.npy"));
        read_npy(&folder.path().join("o.npy")).unwrap().values.to_f32()
    };
    let (any, three, five) = (draw(""), draw("--class 3"), draw("--class 5"));
    assert!(any != three && three != five, "the class matters");
    assert_eq!(three, draw("--class 3 --guidance 1"));
    assert_ne!(three, draw("--class 3 --guidance 2"));
    // Guidance asks the network twice, with the class and without.
    let evaluations = |flags: &str| -> u32 {
        let said = good(folder.path(), &format!("sample run --device cpu --n 2 {flags} --out o.npy")).stderr;
        let words: Vec<&str> = said.split_whitespace().collect();
        // "N evaluations each", or "N evaluations each, at most M".
        let place = words.iter().rposition(|word| *word == "evaluations").expect("evaluations");
        let most = if words.contains(&"most") { words.len() - 1 } else { place - 1 };
        words[most].parse().expect("a number")
    };
    assert_eq!([evaluations("--class 3"), evaluations("--class 3 --guidance 2")], [3, 6]);
    let guided_to_none = draw("--class 3 --guidance 0");
    assert!(any.iter().zip(&guided_to_none).all(|(a, b)| (a - b).abs() < 1e-4), "no guidance is no class");
    expect_bad(folder.path(), &[("sample run --class 10 --out b.png", &["--class 10", "0 to 9"])]);
    // Samples with steps of their own are told the class and guided likewise, and are drawn while training.
    let own_steps = "--set sample.rtol=0.05 --set sample.atol=0.05";
    for sampler in ["rk45", "adaptive-sde"] {
        let draw = |flags: &str| draw(&format!("--sampler {sampler} {own_steps} {flags}"));
        assert!(draw("") != draw("--class 3") && draw("--class 3") != draw("--class 3 --guidance 2"), "{sampler}");
        // One before the first try of rk45 and six in each, two in each of adaptive-sde, and one at the end.
        let count = evaluations(&format!("--sampler {sampler} {own_steps} --class 3 --guidance 2"));
        let (besides, each) = if sampler == "rk45" { (2, 6) } else { (1, 2) };
        assert_eq!(count % (2 * each), 2 * besides, "{sampler}: {count}");
    }
    good(folder.path(), &format!("train u.toml --device cpu --out own --set sample.kind=rk45 {own_steps}"));
    assert!(folder.path().join("own/samples.png").exists() && !folder.path().join("own/trajectory.gif").exists());
    // A run with dropout, flips and micro-batches that was stopped ends as the one that was not.
    good(folder.path(), "train u.toml --device cpu --out parts --steps 2");
    good(folder.path(), "train u.toml --device cpu --out parts --resume");
    let read = |run: &str| fs::read(folder.path().join(run).join("step-4/params.safetensors")).unwrap();
    assert!(read("run") == read("parts"), "the weights have the same bits");
}

/// A multilayer perceptron of the digits that is told their classes.
#[test]
fn a_network_of_any_kind_knows_classes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"mlp\"\nwidth = 96\ndepth = 1\nembedding = 32\n\
                  conditional = true\n[sde]\nkind = \"vp\"\n[loss]\nparameterisation = \"edm\"\n[train]\nsteps = 400\nbatch = 64\nlearning_rate = 2e-3\n\
                  sample_every = 0\nema_decay = 0.95\n[sample]\nkind = \"ddim\"\nsteps = 1\nn = 4\n";
    fs::write(folder.path().join("m.toml"), config).unwrap();
    good(folder.path(), "train m.toml --device cpu --out run");
    let read = || read_npy(&folder.path().join("o.npy")).unwrap().values.to_f32();
    // In one step a sample is affine in what the network says, and so in the weight of guidance.
    for device in ["cpu", gpu::choice()] {
        let draw = |flags: &str| -> Vec<f32> {
            good(folder.path(), &format!("sample run --device {device} --n 2 {flags} --out o.npy"));
            read()
        };
        let (any, three) = (draw(""), draw("--class 3"));
        assert!(any.iter().zip(&three).any(|(a, b)| (a - b).abs() > 0.01), "{device}: the class matters");
        for weight in [0.0, 1.0, 2.0] {
            let guided = draw(&format!("--class 3 --guidance {weight}"));
            for ((guided, without), with) in guided.iter().zip(&any).zip(&three) {
                let wanted = without + weight * (with - without);
                assert!((guided - wanted).abs() < 2e-5 * (1.0 + wanted.abs()), "{device}, {weight}: {guided} {wanted}");
            }
        }
    }
    // Where noise hides all of a sample but its class, what is denoised is the mean of the class: it differs from that of
    // other classes in the same direction.
    let data = digits().expect("they come with the binary");
    let (labels, values) = (data.labels.as_ref().expect("the digits have labels"), data.values.to_f32());
    let of_class = |class: usize| -> Vec<f32> {
        let rows = (0..labels.len()).filter(|row| labels[*row] as usize == class);
        rows.flat_map(|row| values[64 * row..64 * row + 64].to_vec()).collect()
    };
    let denoised = |class: usize| -> Vec<f32> {
        good(folder.path(), &format!("sample run --device cpu --n 4 --class {class} --out o.npy"));
        read()
    };
    let mean = |rows: Vec<f32>| -> Vec<f32> {
        let count = (rows.len() / 64) as f32;
        (0..64).map(|i| rows.iter().skip(i).step_by(64).sum::<f32>() / count).collect()
    };
    let centred = |of: &dyn Fn(usize) -> Vec<f32>| -> Vec<Vec<f32>> {
        let means: Vec<Vec<f32>> = (0..10).map(|class| mean(of(class))).collect();
        let centre = mean(means.concat());
        means.iter().map(|mean| mean.iter().zip(&centre).map(|(a, b)| a - b).collect()).collect()
    };
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |a: &[f32], b: &[f32]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
    let (found, wanted) = (centred(&denoised), centred(&of_class));
    for (class, found) in found.iter().enumerate() {
        let cosines: Vec<f32> = wanted.iter().map(|wanted| cosine(found, wanted)).collect();
        let most = (0..10).max_by(|a, b| cosines[*a].total_cmp(&cosines[*b]));
        assert!(most == Some(class) && cosines[class] > 0.4, "class {class}: {cosines:?}");
    }
    expect_bad(folder.path(), &[("sample run --class 10 --out b.png", &["--class 10", "0 to 9"])]);
}

/// A tiny transformer that is told the class.
#[test]
fn a_transformer_can_be_asked_for_a_class_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"dit\"\npatch = 4\nwidth = 8\ndepth = 1\nheads = 2\n\
                  mlp_ratio = 2\nconditional = true\n[sde]\nkind = \"vp\"\n[train]\nsteps = 4\nbatch = 8\n\
                  accumulate = 2\ncheckpoint_activations = true\nevaluate_every = 4\nlearning_rate = 0.05\n\
                  [sample]\nkind = \"ode-euler\"\nsteps = 3\nn = 4\n";
    fs::write(folder.path().join("dit.toml"), config).unwrap();
    good(folder.path(), "train dit.toml --device cpu --out run");
    let draw = |flags: &str| -> Vec<f32> {
        good(folder.path(), &format!("sample run --device cpu --n 2 {flags} --out o.npy"));
        read_npy(&folder.path().join("o.npy")).unwrap().values.to_f32()
    };
    let (any, three, five) = (draw(""), draw("--class 3"), draw("--class 5"));
    assert!(any != three && three != five, "the class matters");
    assert_ne!(three, draw("--class 3 --guidance 2"));
    let guided_to_none = draw("--class 3 --guidance 0");
    assert!(any.iter().zip(&guided_to_none).all(|(a, b)| (a - b).abs() < 1e-4), "no guidance is no class");
    good(folder.path(), "train dit.toml --device cpu --out parts --steps 2");
    good(folder.path(), "train dit.toml --device cpu --out parts --resume");
    let read = |run: &str| fs::read(folder.path().join(run).join("step-4/params.safetensors")).unwrap();
    assert!(read("run") == read("parts"), "the weights have the same bits");
}

#[test]
fn images_come_as_pictures_and_what_has_no_picture_says_so() {
    let folder = image_folder();
    let at = |name: &str| folder.path().join(name);
    for file in ["a.png", "a.gif"] {
        good(folder.path(), &format!("sample runs/images --device cpu --n 5 --out {file}"));
        image::open(at(file)).expect("a picture");
    }
    good(folder.path(), "sample runs/images --device cpu --n 5 --out a.npy");
    assert_eq!(read_npy(&at("a.npy")).expect("samples").shape, [5, 4, 5]);
    // Without an axis of channels there is one: a U-Net takes them as well.
    let unet = "--set model.kind=unet --set model.channels=4 --set model.groups=2 --set model.multipliers=[1] \
                --set model.attention=[] --set train.flip=true --steps 2";
    good(folder.path(), &format!("train images.toml --device cpu --out unet {unet}"));
    good(folder.path(), "sample unet --device cpu --n 2 --out u.npy");
    assert_eq!(read_npy(&at("u.npy")).expect("samples").shape, [2, 4, 5]);
    // 49 moments of so many pictures of 80 bytes are beyond any machine that runs tests.
    let line = memory::for_samples("--n 7", 1 << 50, 20, 48).expect_err("no memory").to_string();
    assert!(["--n 7", "memory", "fewer"].iter().all(|word| line.contains(word)), "{line}");
    // Images are told by their last axis; others are trained on, with a warning.
    fs::write(at("planes.npy"), npy("'|u1'", "False", "(6, 5, 2, 10)", &pixels())).expect("images");
    let said = good(folder.path(), "train images.toml --device cpu --out planes --set data.path=planes.npy");
    assert!(said.stderr.contains("no pictures are drawn of samples of shape [5, 2, 10]"), "{}", said.stderr);
    // Points of three coordinates have no picture, and say so before any work.
    let cube = "train images.toml --device cpu --out cube --set data.kind=mixture --set data.weights=[1.0] \
                --set data.means=[[0,0,0]] --set data.widths=[1.0]";
    good(folder.path(), cube);
    expect_bad(
        folder.path(),
        &[
            ("sample cube --device cpu --out a.png", &["--out", "a.png", "[3]", ".npy", ".csv"]),
            ("sample cube --device cpu --out a.gif", &["--out", "a.gif", "[3]", ".npy", ".csv"]),
        ],
    );
}
