//! Configs: every file in `configs/`, round trips, overrides, and one exact line for everything that can be wrong.

use std::path::{Path, PathBuf};

use tweedie::config::{Config, Data, Loss, Model, Overrides, Sde, Time, markdown};
use tweedie::loss::WeightingKind;
use tweedie::sampler::{EulerMaruyama, OdeHeun, SAMPLERS};
use tweedie::sde::Parameterisation;

/// The smallest config there is.
const SMALL: &str = "[data]\nkind = \"two-moons\"\n[model]\nkind = \"mlp\"\n[sde]\nkind = \"vp\"\n";

const MIXTURE: &str = "[data]\nkind = \"mixture\"\nweights = [0.8, 0.2]\nmeans = [[5, 5], [-5, -5]]\nwidths = [1, 0.5]\n\
                       [model]\nkind = \"exact\"\n[sde]\nkind = \"ve\"\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn parse(text: &str) -> Config {
    Config::parse(text, "c.toml", &Overrides::none()).expect("a good config")
}

fn error(text: &str) -> String {
    let line = Config::parse(text, "c.toml", &Overrides::none()).expect_err("a bad config").to_string();
    assert!(!line.contains('\n'), "more than one line: {line}");
    line
}

fn overrides(texts: &[&str]) -> Overrides {
    let mut overrides = Overrides::none();
    for text in texts {
        overrides.set(text).expect("a good override");
    }
    overrides
}

fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("configs")).expect("configs/ exists");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn every_file_in_configs_is_good_and_survives_a_round_trip() {
    let names: Vec<String> =
        files().iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for name in
        ["digits", "two-moons", "swiss-roll", "checkerboard", "eight-gaussians", "mixture", "ncsn-toy", "exact-mixture"]
    {
        assert!(names.iter().any(|there| there == name), "configs/{name}.toml is missing");
    }
    for path in files() {
        let config = Config::read(&path, &Overrides::none()).unwrap_or_else(|error| panic!("{error}"));
        let text = config.to_toml();
        assert_eq!(config, parse(&text), "{}", path.display());
        // Nothing is left to a default: every key of the tables is spelled out.
        for key in ["t_min", "ema_decay", "keep", "denoise", "seed"] {
            assert!(text.contains(&format!("{key} = ")), "{}: {key}\n{text}", path.display());
        }
    }
}

#[test]
fn awkward_numbers_survive_a_round_trip() {
    let text = format!(
        "{SMALL}t_min = 1e-5\nbeta_min = 0.1\n[train]\nepsilon = 1.0000000000000003e-29\nlearning_rate = 0.30000000000000004\nseed = 9223372036854775807\n"
    );
    let config = parse(&text);
    assert_eq!(config.train.seed, i64::MAX as u64);
    assert_eq!(config, parse(&config.to_toml()));
}

#[test]
fn defaults_are_the_published_ones() {
    let config = parse(SMALL);
    let Sde::Vp(vp) = &config.sde else { panic!("{:?}", config.sde) };
    assert_eq!((vp.beta_min, vp.beta_max, vp.t_min), (0.1, 20.0, 1e-3));
    assert!(matches!(config.loss, Loss::Denoising(_)), "{:?}", config.loss);
    let loss = config.loss.levels();
    assert_eq!(
        (loss.parameterisation, loss.weighting.kind, loss.t_min),
        (Parameterisation::Preconditioned, WeightingKind::Sigma2, 1e-5)
    );
    assert_eq!((config.train.beta1, config.train.beta2, config.train.epsilon), (0.9, 0.999, 1e-8));
    let Sde::Ve(ve) = parse(MIXTURE).sde else { panic!() };
    assert_eq!((ve.sigma_min, ve.sigma_max, ve.t_min), (0.01, 50.0, 1e-5));
    for &sampler in SAMPLERS {
        let config = parse(&format!("{SMALL}[sample]\nkind = \"{}\"\n", sampler.name));
        assert_eq!(config.sample.sampler, sampler);
        assert_eq!(config.sample.sampler().name(), sampler.name);
    }
}

#[test]
fn mixtures_take_one_width_per_component_or_per_axis() {
    let config = parse(&MIXTURE.replace("[1, 0.5]", "[1, [3, 4]]"));
    let exact = config.data.dataset().expect("drawn").exact.expect("known");
    assert_eq!((exact.weights(), exact.means()), (&[0.8, 0.2][..], &[5.0, 5.0, -5.0, -5.0][..]));
    assert_eq!(exact.widths(), [1.0, 1.0, 3.0, 4.0]);
}

#[test]
fn every_kind_of_data_gives_its_samples() {
    for (kind, n, shape, known) in [
        ("two-moons", 70, vec![2], true),
        ("swiss-roll", 70, vec![2], true),
        ("checkerboard", 70, vec![2], false),
        ("eight-gaussians", 70, vec![2], true),
        ("digits", 1797, vec![8, 8, 1], false),
    ] {
        let keys = if kind == "digits" { String::new() } else { "n = 70\nseed = 5\n".to_string() };
        let config = parse(&SMALL.replace("two-moons", kind).replace("[model]", &format!("{keys}[model]")));
        let dataset = config.data.dataset().expect("samples");
        assert_eq!((config.data.kind(), dataset.name.as_str()), (kind, kind));
        assert_eq!((dataset.len(), &dataset.shape), (n, &shape));
        assert_eq!((dataset.exact.is_some(), config.data.knows_its_score()), (known, known));
    }
    let missing =
        parse(&SMALL.replace("two-moons\"", "file\"\npath = \"no/such.npy\"")).data.dataset().expect_err("missing");
    assert!(missing.to_string().contains("no/such.npy"));
}

#[test]
fn overrides_are_toml_and_bare_words_are_strings() {
    let set = overrides(&[
        "train.steps=7",
        "loss.weighting=likelihood",
        "data.seed = 25",
        "loss.reduce=\"sum\"",
        "sample.denoise=false",
    ]);
    let config = Config::parse(SMALL, "c.toml", &set).expect("good");
    assert_eq!(config.train.steps, 7);
    assert!(!config.sample.denoise);
    assert_eq!(config.loss.levels().weighting.kind, WeightingKind::Likelihood);
    let Data::TwoMoons(moons) = &config.data else { panic!() };
    assert_eq!(moons.seed, 25);

    let set = overrides(&["data.kind=file", "data.path=some/where.npy"]);
    let Data::File(file) = Config::parse(SMALL, "c.toml", &set).expect("good").data else { panic!() };
    assert_eq!(file.path, Path::new("some/where.npy"));
    let set = overrides(&["data.kind=mixture", "data.weights=[1]", "data.means=[[0.0]]", "data.widths=[2.0]"]);
    assert_eq!(Config::parse(SMALL, "c.toml", &set).expect("good").data.dataset().expect("drawn").shape, [1]);
}

#[test]
fn another_kind_starts_its_table_anew() {
    let text = format!("{SMALL}beta_min = 0.5\n");
    let set = overrides(&["sde.sigma_max=9.0", "sde.kind=ve"]);
    let Sde::Ve(ve) = Config::parse(&text, "c.toml", &set).expect("good").sde else { panic!() };
    assert_eq!((ve.sigma_min, ve.sigma_max), (0.01, 9.0));
    let Sde::Vp(vp) = Config::parse(&text, "c.toml", &overrides(&["sde.kind=vp"])).expect("good").sde else { panic!() };
    assert_eq!(vp.beta_min, 0.5, "the same kind keeps its keys");
}

#[test]
fn the_same_kind_leaves_its_table_alone() {
    let parse = |text: &str, set: &[&str]| Config::parse(text, "c.toml", &overrides(set)).expect("a good config");
    // The default kind, which the file does not name.
    let text = format!("{SMALL}[loss]\nweighting = \"uniform\"\n");
    assert_eq!(parse(&text, &["loss.kind=denoising"]).loss.levels().weighting.kind, WeightingKind::Uniform);
    // A kind that changes no keys.
    let text = format!("{SMALL}[sample]\nkind = \"ode-heun\"\nsteps = 7\nn = 5\n");
    let sample = parse(&text, &["sample.kind=euler-maruyama"]).sample;
    assert_eq!((sample.sampler, sample.steps, sample.n), (EulerMaruyama::KIND, 7, 5));
    let sample = parse(&format!("{SMALL}[sample]\nsteps = 7\n"), &["sample.kind=ode-heun"]).sample;
    assert_eq!((sample.sampler, sample.steps), (OdeHeun::KIND, 7));
}

#[test]
fn numbers_that_no_float_holds_and_sizes_that_no_machine_has_are_refused() {
    for (set, wanted) in [
        ("train.epsilon=1e-46", "1e-30"),
        ("train.learning_rate=1e39", "1e30"),
        ("train.learning_rate=1e-46", "1e-30"),
        ("train.beta1=0.9999999999", "0.999999"),
        ("train.beta2=0.9999999999", "0.999999"),
        ("train.ema_decay=0.9999999999", "0.999999"),
        ("train.weight_decay=1e39", "1e30"),
        ("train.clip_norm=1e39", "1e30"),
        ("sde.t_min=1e-46", "1e-9"),
        ("sde.beta_min=1e-46", "1e-9"),
        ("sde.beta_max=1e39", "170"),
        ("loss.t_min=-1e-46", "≥ 0"),
        ("train.batch=4294967295", "1048576"),
        ("sample.steps=4294967295", "1000000"),
        ("sample.n=4294967295", "10000000"),
        ("data.n=1000000000", "10000000"),
    ] {
        let error = Config::parse(SMALL, "c.toml", &overrides(&[set])).expect_err(set).to_string();
        let key = set.split('=').next().unwrap();
        assert!(error.contains(key) && error.contains(wanted), "{set}: {error}");
    }
}

#[test]
fn weightings_and_times_have_the_published_numbers() {
    let loss = parse(&format!("{SMALL}[loss]\nweighting = \"min-snr\"\ntime = \"log-normal\"\n")).loss.levels();
    assert_eq!((loss.weighting.kind, loss.time), (WeightingKind::MinSnr, Time::LogNormal));
    assert_eq!((loss.weighting.snr_gamma, loss.weighting.p2_k, loss.weighting.p2_gamma), (5.0, 1.0, 1.0));
    assert_eq!((loss.log_sigma_mean, loss.log_sigma_std), (-1.2, 1.2));
}

#[test]
fn what_is_learned_of_whole_steps_refuses_their_parts() {
    assert_eq!(
        small_and("[loss]\ntime = \"loss-second-moment\"\n[train]\naccumulate = 2"),
        "c.toml: loss.time = \"loss-second-moment\": learns from whole steps: train.accumulate must be 1, or choose \
         uniform, stratified or importance"
    );
}

#[test]
fn a_preset_gives_the_defaults_of_the_other_keys() {
    let unet = |lines: &str, sets: &[&str]| {
        let text = format!("[data]\nkind = \"digits\"\n[sde]\nkind = \"vp\"\n[model]\nkind = \"unet\"\n{lines}\n");
        let config = Config::parse(&text, "c.toml", &overrides(sets)).expect("a good config");
        assert_eq!(config, parse(&config.to_toml()));
        let Model::UNet(keys) = config.model else { panic!("another model") };
        keys.shape([32, 32, 3], 0).expect("levels that fit")
    };
    for (name, preset) in
        ["ddpm-cifar10", "edm-ddpm++", "ddpm++", "ddpm++-deep"].into_iter().zip(tweedie::nn::unet::Preset::ALL)
    {
        assert_eq!(unet(&format!("preset = \"{name}\""), &[]), preset.shape());
        assert_eq!(unet("", &[&format!("model.preset={name}")]), preset.shape());
    }
    let narrow = unet("preset = \"ddpm++\"\nchannels = 64", &["model.blocks=1"]);
    assert_eq!((narrow.channels, narrow.blocks, narrow.dropout), (64, 1, 0.1));
    let unknown = SMALL.replace("\"mlp\"", "\"unet\"\npreset = \"ddpm-cifar\"");
    let line = error(&unknown);
    assert!(line.contains("model.preset") && line.contains("ddpm-cifar10") && line.contains("edm-ddpm++"), "{line}");
}

#[test]
fn a_transformers_preset_gives_the_defaults_of_the_other_keys() {
    let dit = |lines: &str, sets: &[&str]| {
        let text = format!("[data]\nkind = \"digits\"\n[sde]\nkind = \"vp\"\n[model]\nkind = \"dit\"\n{lines}\n");
        let config = Config::parse(&text, "c.toml", &overrides(sets)).expect("a good config");
        assert_eq!(config, parse(&config.to_toml()));
        let Model::DiT(keys) = config.model else { panic!("another model") };
        keys.shape([32, 32, 4], 1000).expect("patches that fit")
    };
    let names = ["S/2", "S/4", "S/8", "B/2", "B/4", "B/8", "L/2", "L/4", "L/8", "XL/2", "XL/4", "XL/8"];
    for (name, preset) in names.into_iter().zip(tweedie::nn::dit::Preset::ALL) {
        assert_eq!(dit(&format!("preset = \"{name}\"\nconditional = true"), &[]), preset.shape());
        assert_eq!(dit("conditional = true", &[&format!("model.preset={name}")]), preset.shape());
    }
    let narrow = dit("preset = \"XL/4\"\nwidth = 64", &["model.depth=1"]);
    assert_eq!((narrow.patch, narrow.width, narrow.depth, narrow.heads, narrow.classes), (4, 64, 1, 16, 0));
    let in_dit = |lines: &str| error(&SMALL.replace("\"mlp\"", &format!("\"dit\"\n{lines}")));
    let line = in_dit("preset = \"XL/3\"");
    assert!(line.contains("model.preset") && line.contains("XL/2") && line.contains("S/8"), "{line}");
    assert_eq!(
        in_dit("width = 6"),
        "c.toml: model.width = 6: must be a multiple of 4: places become sines and cosines in two directions"
    );
    assert_eq!(in_dit("width = 32\nheads = 3"), "c.toml: model.heads = 3: must divide model.width, which is 32");
    assert_eq!(in_dit("patch = 0"), "c.toml: model.patch = 0: must be a whole number ≥ 1 and ≤ 256");
    let Model::DiT(keys) = parse(&SMALL.replace("\"mlp\"", "\"dit\"\npatch = 4")).model else {
        panic!("another model")
    };
    let misfit = keys.shape([12, 18, 1], 0).expect_err("18 is no multiple of 4");
    assert_eq!(misfit.key, "model.patch");
    assert_eq!(misfit.to_string(), "model.patch = 4: does not divide images of 12 x 18; must be of [1, 2, 3, 6]");
}

#[test]
fn bad_overrides_are_named() {
    let set = |text: &str| Overrides::none().set(text).expect_err("bad").to_string();
    for text in ["steps=3", "train.steps", "train.=3", ".steps=3", "train.a.b=3", "train.st eps=3", ""] {
        assert_eq!(set(text), format!("--set {text}: must look like table.key=value, as in --set train.batch=64"));
    }
    for text in ["data.weights=[1,", "train.steps=", "loss.reduce=\"sum"] {
        assert_eq!(set(text), format!("--set {text}: the value is not valid TOML, such as 3, 0.5, true, word, [1, 2]"));
    }
    let error = Config::parse(SMALL, "c.toml", &overrides(&["train.batch=0"])).expect_err("bad").to_string();
    assert_eq!(error, "c.toml with --set: train.batch = 0: must be a whole number ≥ 1 and ≤ 1048576");
    let mut set = Overrides::none();
    set.insert("--steps", "train", "steps", 0);
    let error = Config::parse(SMALL, "c.toml", &set).expect_err("bad").to_string();
    assert_eq!(error, "c.toml with --steps: train.steps = 0: must be a whole number ≥ 1 and ≤ 4294967295");
    let error = Config::parse(SMALL, "c.toml", &overrides(&["trian.batch=3"])).expect_err("bad").to_string();
    assert_eq!(
        error,
        "c.toml with --set: [trian]: unknown table; allowed: data, model, sde, loss, train, sample (did you mean train?)"
    );
}

/// Adds `lines` to the end of [`SMALL`], that is, to `[sde]`.
fn small_and(lines: &str) -> String {
    error(&format!("{SMALL}{lines}\n"))
}

#[test]
fn unknown_words_are_named_with_what_is_allowed() {
    assert_eq!(
        small_and("beta_mn = 0.1"),
        "c.toml: sde.beta_mn = 0.1: unknown key for kind = \"vp\"; allowed: kind, beta_min, beta_max, zero_terminal_snr, log_snr_shift, t_min (did you mean beta_min?)"
    );
    assert_eq!(
        small_and("[trian]\nsteps = 3"),
        "c.toml: [trian]: unknown table; allowed: data, model, sde, loss, train, sample (did you mean train?)"
    );
    assert_eq!(
        error(&format!("steps = 3\n{SMALL}")),
        "c.toml: steps: unknown key outside of any table; allowed: data, model, sde, loss, train, sample"
    );
    assert_eq!(
        error(&SMALL.replace("vp", "vpp")),
        "c.toml: sde.kind = \"vpp\": unknown kind; allowed: vp, cosine, sigmoid, sub-vp, ve, edm, learned, rectified-flow (did you mean vp?)"
    );
    assert_eq!(
        small_and("[loss]\nweighting = \"sigma\""),
        "c.toml: loss.weighting = \"sigma\": allowed: sigma2, likelihood, uniform, edm, min-snr, soft-min-snr, p2, sigmoid, uncertainty (did you mean sigma2?)"
    );
    assert!(
        small_and("[sample]\nkind = \"heun\"")
            .starts_with("c.toml: sample.kind = \"heun\": allowed: euler-maruyama, reverse-diffusion, ancestral, ")
    );
    assert!(small_and("sigma_min = 0.1").starts_with("c.toml: sde.sigma_min = 0.1: unknown key for kind = \"vp\""));
    assert!(
        small_and("[train]\nkind = \"adam\"")
            .starts_with("c.toml: train.kind = \"adam\": unknown key; allowed: steps, batch")
    );
}

#[test]
fn missing_things_are_named() {
    assert_eq!(
        error(&SMALL.replace("[sde]\nkind = \"vp\"\n", "")),
        "c.toml: missing table [sde] with the key kind; allowed: vp, cosine, sigmoid, sub-vp, ve, edm, learned, rectified-flow"
    );
    assert_eq!(
        error(&SMALL.replace("kind = \"vp\"\n", "")),
        "c.toml: sde.kind: missing key; allowed: vp, cosine, sigmoid, sub-vp, ve, edm, learned, rectified-flow"
    );
    assert_eq!(
        error(&MIXTURE.replace("widths = [1, 0.5]\n", "")),
        "c.toml: data.widths: missing key; it must be an array, not empty, each entry a number, or an array, each entry a number"
    );
    assert_eq!(error(&SMALL.replace("two-moons", "file")), "c.toml: data.path: missing key; it must be a string");
    assert!(error("").starts_with("c.toml: missing table [data] with the key kind; allowed: digits, two-moons"));
    let missing = Config::read(Path::new("no/such.toml"), &Overrides::none()).expect_err("missing").to_string();
    assert_eq!(missing, "no/such.toml: no such file; should be a config, a .toml file");
}

#[test]
fn wrong_types_are_named() {
    assert_eq!(
        small_and("beta_min = \"small\""),
        "c.toml: sde.beta_min = \"small\": must be a number ≥ 1e-9 and ≤ 170"
    );
    assert_eq!(
        small_and("[train]\nsteps = 1e3"),
        "c.toml: train.steps = 1000.0: must be a whole number ≥ 1 and ≤ 4294967295"
    );
    assert_eq!(small_and("[sample]\ndenoise = 1"), "c.toml: sample.denoise = 1: must be true or false");
    assert_eq!(small_and("[loss]\nreduce = 3"), "c.toml: loss.reduce = 3: must be one of \"mean\", \"sum\"");
    assert_eq!(
        error(&SMALL.replace("\"vp\"", "3")),
        "c.toml: sde.kind = 3: must be a string; allowed: vp, cosine, sigmoid, sub-vp, ve, edm, learned, rectified-flow"
    );
    assert_eq!(error(&format!("train = 3\n{SMALL}")), "c.toml: train must be a table: [train]");
    assert_eq!(
        error(&MIXTURE.replace("[0.8, 0.2]", "[0.8, \"b\"]")),
        "c.toml: data.weights[1] = \"b\": must be a number ≥ 1e-30"
    );
    assert_eq!(error(&MIXTURE.replace("[-5, -5]", "[-5, true]")), "c.toml: data.means[1][1] = true: must be a number");
    assert!(error(&format!("{SMALL}a = [1,\n")).starts_with("c.toml: line 7: not valid TOML: "));
}

#[test]
fn wrong_ranges_are_named() {
    for (lines, wanted) in [
        ("beta_min = 0", "sde.beta_min = 0: must be a number ≥ 1e-9 and ≤ 170"),
        ("beta_min = nan", "sde.beta_min = nan: must be a number ≥ 1e-9 and ≤ 170"),
        ("beta_max = inf", "sde.beta_max = inf: must be a number ≥ 1e-9 and ≤ 170"),
        ("beta_max = 0.05", "sde.beta_max = 0.05: must be at least sde.beta_min = 0.1"),
        ("t_min = 1.0", "sde.t_min = 1.0: must be a number ≥ 1e-9 and ≤ 0.999"),
        ("[train]\nseed = -1", "train.seed = -1: must be a whole number ≥ 0 and ≤ 2^63 - 1"),
        ("[train]\nbeta2 = 1.0", "train.beta2 = 1.0: must be a number ≥ 0 and ≤ 0.999999"),
        ("[train]\nkeep = 0", "train.keep = 0: must be a whole number ≥ 1"),
        ("[sample]\nn = 0", "sample.n = 0: must be a whole number ≥ 1 and ≤ 10000000"),
    ] {
        assert_eq!(small_and(lines), format!("c.toml: {wanted}"));
    }
    assert!(
        Config::parse(SMALL, "c.toml", &overrides(&["train.seed=18446744073709551615"]))
            .expect_err("too large")
            .to_string()
            .ends_with("must be a whole number ≥ 0 and ≤ 2^63 - 1")
    );
    let ve = SMALL.replace("vp", "ve") + "sigma_min = 2\nsigma_max = 2\n";
    assert_eq!(error(&ve), "c.toml: sde.sigma_max = 2: must be above sde.sigma_min = 2");
    let n = SMALL.replace("[model]", "n = 5\n[model]");
    assert_eq!(error(&n), "c.toml: data.n = 5: must be a whole number ≥ 6 and ≤ 10000000");
    let embedding = SMALL.replace("[sde]", "embedding = 3\n[sde]");
    assert_eq!(error(&embedding), "c.toml: model.embedding = 3: must be even: half of it are sines, half cosines");
}

#[test]
fn keys_that_do_not_fit_together_are_named() {
    let error_of = |from: &str, to: &str| error(&MIXTURE.replace(from, to));
    for (from, to, wanted) in [
        ("[[5, 5], [-5, -5]]", "[[5, 5]]", "data.means = [[5, 5]]: found 1; expected 2, as many as there are weights"),
        ("[-5, -5]", "[-5]", "data.means[1] = [-5]: found 1 coordinates; expected 2, as many as means[0] has"),
        ("[[5, 5]", "[[]", "data.means[0] = []: found no coordinates; expected at least one"),
        ("[1, 0.5]", "[1]", "data.widths = [1]: found 1; expected 2, as many as there are weights"),
        ("[1, 0.5]", "[1, [1]]", "data.widths[1] = [1]: found 1 widths; expected one width, or 2, one for each axis"),
        ("[1, 0.5]", "[1, 0]", "data.widths[1] = 0: found 0; expected a positive standard deviation"),
        ("[1, 0.5]", "[1, true]", "data.widths[1] = true: must be a number, or an array, each entry a number"),
        ("[0.8, 0.2]", "[0.8, 0.3]", "data.weights = [0.8, 0.3]: found a sum of 1.1; expected a sum of 1 within 1e-6"),
        ("[0.8, 0.2]", "[]", "data.weights = []: must be an array, not empty, each entry a number ≥ 1e-30"),
    ] {
        assert_eq!(error_of(from, to), format!("c.toml: {wanted}"));
    }
    let exact = SMALL.replace("mlp", "exact").replace("two-moons", "digits");
    assert_eq!(
        error(&exact),
        "c.toml: model.kind = \"exact\": needs data that knows its own score: data.kind must be mixture, eight-gaussians, two-moons or swiss-roll, or choose another model"
    );
    assert_eq!(
        small_and("[loss]\nt_min = 0.5"),
        "c.toml: loss.t_min = 0.5: must be at most sde.t_min = 0.001, where samplers end: below loss.t_min the network learns nothing"
    );
    parse(&format!("{SMALL}[loss]\nt_min = 0.001"));
    let none = "[loss]\nkind = \"implicit\"\nnoise = \"none\"";
    let score = format!("{none}\nparameterisation = \"score\"");
    let good = format!("{score}\nweighting = \"uniform\"");
    for (lines, wanted) in [
        (
            "[loss]\nnoise = \"none\"",
            "loss.noise = \"none\": denoising needs noise: must be \"all\", or choose another loss.kind",
        ),
        (
            none,
            "loss.parameterisation: must be \"score\" where loss.noise = \"none\": the others divide by the noise that there is not",
        ),
        (
            &score,
            "loss.weighting: must be \"uniform\" where loss.noise = \"none\": there is one level, and no noise to weight it by",
        ),
        (
            &format!("{good}\ntime = \"stratified\""),
            "loss.time = \"stratified\": must be \"uniform\" where loss.noise = \"none\": there are no times to draw",
        ),
        (
            "[loss]\nkind = \"sliced\"\nweighting = \"uncertainty\"",
            "loss.weighting = \"uncertainty\": needs a loss that is never below 0, whose logarithm is learned: loss.kind must be denoising or explicit",
        ),
        (
            &format!("{good}\n[train]\nsample_every = 5"),
            "train.sample_every = 5: must be 0 where loss.noise = \"none\": samples need the score at every noise level",
        ),
        (
            "[loss]\nkind = \"implicit\"\nprojection = \"sphere\"",
            "loss.projection = \"sphere\": unknown key for kind = \"implicit\"; allowed: kind, noise, parameterisation, weighting, snr_gamma, p2_k, p2_gamma, sigmoid_bias, time, log_sigma_mean, log_sigma_std, t_min, reduce",
        ),
        (
            "[loss]\nkind = \"sliced\"\nprojection = \"cube\"",
            "loss.projection = \"cube\": allowed: gaussian, rademacher, sphere",
        ),
        ("[loss]\nkind = \"sliced\"\nprojections = 0", "loss.projections = 0: must be a whole number ≥ 1 and ≤ 65536"),
        ("[loss]\nkind = \"sliced-fd\"\nstep = 0", "loss.step = 0: must be a number ≥ 1e-5 and ≤ 1"),
    ] {
        assert_eq!(small_and(lines), format!("c.toml: {wanted}"));
    }
    parse(&format!("{SMALL}{good}"));
    let unknown = |lines: &str| error(&format!("{SMALL}{lines}").replace("two-moons", "checkerboard"));
    assert_eq!(
        unknown("[loss]\nkind = \"explicit\""),
        "c.toml: loss.kind = \"explicit\": needs data that knows its own score: data.kind must be mixture, eight-gaussians, two-moons or swiss-roll, or choose another loss"
    );
    let wide = format!("{MIXTURE}[loss]\nkind = \"implicit\"\n[train]\nbatch = 512")
        .replace("\"exact\"", "\"mlp\"")
        .replace("[5, 5]", &format!("{:?}", vec![5; 2000]))
        .replace("[-5, -5]", &format!("{:?}", vec![-5; 2000]))
        .replace("[1, 0.5]", "[1, 1]");
    assert_eq!(
        error(&wide),
        "c.toml: loss.kind = \"implicit\": takes 2000 derivatives of 2000 coordinates for 512 samples at a time, 8.2 GB, and no device holds more than 4.3 GB in one piece; choose sliced-vr, which takes one, or a larger train.accumulate"
    );
    parse(&wide.replace("512", "512\naccumulate = 2"));
    let learned = |lines: &str| error(&format!("{SMALL}{lines}").replace("\"vp\"", "\"learned\""));
    for (lines, wanted) in [
        (
            "[loss]\ntime = \"importance\"",
            "loss.time = \"importance\": must be uniform or stratified with sde.kind = \"learned\", whose schedule says how often a time is drawn",
        ),
        (
            "[loss]\nweighting = \"uncertainty\"",
            "loss.weighting = \"uncertainty\": must be another with sde.kind = \"learned\": it changes the loss that the schedule is learned by",
        ),
        (
            good.as_str(),
            "sde.kind = \"learned\": is learned by the noise levels: choose another process where loss.noise = \"none\"",
        ),
    ] {
        assert_eq!(learned(lines), format!("c.toml: {wanted}"));
    }
    assert_eq!(
        error(&SMALL.replace("mlp", "exact").replace("\"vp\"", "\"learned\"")),
        "c.toml: sde.kind = \"learned\": is learned with a network: choose another process for model.kind = \"exact\""
    );
    let ends = format!("{}ends = \"learned\"\n", SMALL.replace("\"vp\"", "\"learned\""));
    assert_eq!(
        error(&ends),
        "c.toml: sde.ends = \"learned\": needs data of discrete levels: of continuous data less noise always makes the bound better; must be fixed, or data.kind digits or a file of u8"
    );
    let ends = ends.replace("two-moons", "digits");
    assert_eq!(
        error(&ends),
        "c.toml: loss.weighting: must be likelihood with sde.ends = \"learned\", which are learned by the bound"
    );
    parse(&format!("{ends}[loss]\nweighting = \"likelihood\""));
    let visible = parse(&format!("{MIXTURE}sigma_max = \"visible\""));
    let Sde::Ve(ve) = &visible.sde else { panic!() };
    // Nearly all that is to be seen is the difference of the means, 0.3 distance / sigma: ½ of its square is 1 % of 0.1927.
    assert!((60.0..80.0).contains(&ve.sigma_max), "{}", ve.sigma_max);
    assert_eq!(parse(&visible.to_toml()), visible);
    for text in [
        MIXTURE.replace("[0.8, 0.2]", "[0.5, 0.5]") + "sigma_max = \"visible\"",
        SMALL.replace("\"vp\"", "\"edm\"\nsigma_max = \"visible\""),
    ] {
        assert_eq!(
            error(&text),
            "c.toml: sde.sigma_max = \"visible\": needs modes whose shares are to be seen: data.kind must be mixture, with two or more means and unequal weights, or sde.sigma_max a number"
        );
    }
    assert_eq!(
        error(&SMALL.replace("\"vp\"", "\"learned\"\nlog_snr_min = 14")),
        "c.toml: sde.log_snr_max: must be above sde.log_snr_min = 14"
    );
    parse(&format!("{SMALL}[loss]\nkind = \"explicit\"").replace("two-moons", "eight-gaussians"));
    assert!(matches!(
        parse(&SMALL.replace("mlp", "exact").replace("two-moons", "eight-gaussians")).model,
        Model::Exact(_)
    ));
}

#[test]
fn processes_that_end_without_signal_refuse_what_says_nothing_of_the_data_there() {
    let with = |sde: &str, loss: &str| format!("{}[loss]\n{loss}\n", SMALL.replace("kind = \"vp\"", sde));
    let lossy = [
        ("kind = \"rectified-flow\"", "rectified-flow"),
        ("kind = \"vp\"\nzero_terminal_snr = true", "vp"),
        ("kind = \"cosine\"\nt_max = 1", "cosine"),
        ("kind = \"sigmoid\"\nt_max = 1.0\nlog_snr_shift = -1", "sigmoid"),
    ];
    for (sde, kind) in lossy {
        for parameterisation in ["epsilon", "score"] {
            assert_eq!(
                error(&with(sde, &format!("parameterisation = \"{parameterisation}\""))),
                format!(
                    "c.toml: loss.parameterisation = \"{parameterisation}\": must be edm, velocity or denoised with \
                     sde.kind = \"{kind}\": at t = 1 nothing is left of the data, and they cannot be told from the noise"
                )
            );
        }
        for parameterisation in ["edm", "velocity", "denoised"] {
            assert!(
                parse(&with(sde, &format!("parameterisation = \"{parameterisation}\"")))
                    .sde
                    .process()
                    .loses_all_signal()
            );
        }
    }
    for kind in ["vp", "cosine", "sigmoid", "sub-vp", "ve", "edm"] {
        let config = parse(&with(&format!("kind = \"{kind}\""), "parameterisation = \"epsilon\""));
        assert_eq!((config.sde.kind(), config.sde.process().name()), (kind, kind));
        assert!(!config.sde.process().loses_all_signal());
    }
}

#[test]
fn weights_that_are_infinite_where_nothing_is_left_are_refused() {
    let with = |data: &str, sde: &str, loss: &str| {
        format!("{}[loss]\n{loss}\n", SMALL.replace("kind = \"vp\"", sde).replace("two-moons", data))
    };
    let straight = "kind = \"rectified-flow\"";
    for (kind, weighting) in [
        ("sliced-vr", "edm"),
        ("sliced", "likelihood"),
        ("implicit", "sigmoid"),
        ("sliced-fd", "edm"),
        ("explicit", "likelihood"),
        ("explicit", "uncertainty"),
    ] {
        let loss = format!("kind = \"{kind}\"\nweighting = \"{weighting}\"");
        assert_eq!(
            error(&with("eight-gaussians", straight, &loss)),
            format!(
                "c.toml: loss.weighting = \"{weighting}\": counts the error at t = 1, where nothing is left of the data, \
                 infinitely with sde.kind = \"rectified-flow\" and loss.kind = \"{kind}\": must be sigma2, uniform, min-snr, \
                 soft-min-snr or p2, or loss.kind denoising"
            )
        );
        parse(&with("eight-gaussians", "kind = \"vp\"", &loss));
    }
    for weighting in ["sigma2", "uniform", "min-snr", "soft-min-snr", "p2"] {
        parse(&with("two-moons", straight, &format!("kind = \"sliced-vr\"\nweighting = \"{weighting}\"")));
    }
    for weighting in ["edm", "likelihood", "sigmoid", "uncertainty"] {
        parse(&with("two-moons", straight, &format!("weighting = \"{weighting}\"")));
    }
}

#[test]
fn noise_levels_that_are_none_are_refused() {
    let with = |sde: &str, loss: &str| format!("{}[loss]\n{loss}\n", SMALL.replace("kind = \"vp\"", sde));
    // Processes with noise at time 0 may be trained there.
    for kind in ["ve", "edm"] {
        parse(&with(&format!("kind = \"{kind}\""), "t_min = 0"));
    }
    for (lines, wanted) in [
        ("t_min = 0", "loss.t_min = 0: must be above 0: at time 0 there is no noise, and the score may be infinite"),
        (
            "t_min = 0\nweighting = \"likelihood\"",
            "loss.weighting = \"likelihood\": counts time 0, where there is no noise, infinitely: loss.t_min must be above 0",
        ),
        (
            "t_min = 0\ntime = \"importance\"",
            "loss.time = \"importance\": counts time 0, where there is no noise, infinitely: loss.t_min must be above 0",
        ),
    ] {
        let wanted = format!("c.toml: {wanted} with sde.kind = \"cosine\"");
        assert_eq!(error(&with("kind = \"cosine\"", lines)), wanted);
    }
    let line = error(&with("kind = \"rectified-flow\"", "time = \"importance\""));
    assert!(
        line.starts_with("c.toml: loss.time = \"importance\": needs a process that keeps some signal: with"),
        "{line}"
    );
    for (sde, wanted) in [
        ("kind = \"sigmoid\"\nend = -4", "sde.end = -4: must be above sde.start = -3"),
        ("kind = \"cosine\"\nt_max = 0.01\nt_min = 0.02", "sde.t_max = 0.01: must be above sde.t_min = 0.02"),
        ("kind = \"edm\"\nsigma_max = 0.001", "sde.sigma_max = 0.001: must be above sde.sigma_min = 0.002"),
        ("kind = \"sub-vp\"\nbeta_min = 30", "sde.beta_max: must be at least sde.beta_min = 30"),
    ] {
        assert_eq!(error(&with(sde, "")), format!("c.toml: {wanted}"));
    }
}

#[test]
fn only_what_enters_no_step_may_change_when_resuming() {
    let config = parse(SMALL);
    let with = |texts: &[&str]| Config::parse(SMALL, "c.toml", &overrides(texts)).expect("good");
    let free = with(&[
        "train.steps=20000",
        "train.keep=9",
        "train.log_every=1",
        "train.evaluate_every=7",
        "train.checkpoint_every=3",
        "sample.n=3",
    ]);
    assert_eq!(config.obstacle_to_resuming(&free), None);
    assert_eq!(config.fingerprint(), free.fingerprint());
    for (text, key) in [
        ("train.seed=1", "train.seed"),
        ("model.width=64", "model.width"),
        ("sde.kind=ve", "sde.kind"),
        ("train.batch=1", "train.batch"),
    ] {
        let other = with(&[text]);
        assert_eq!(config.obstacle_to_resuming(&other).expect("an obstacle").0, key);
        assert_ne!(config.fingerprint(), other.fingerprint(), "{key}");
    }
    // Of several the first by name, but a kind before all others.
    for (texts, key) in [
        (&["train.seed=1", "model.width=64"][..], "model.width"),
        (&["train.seed=1", "model.width=64", "sde.kind=ve"], "sde.kind"),
    ] {
        assert_eq!(config.obstacle_to_resuming(&with(texts)).expect("an obstacle").0, key);
    }
    // Runs on users' disks have it.
    assert_eq!(config.fingerprint(), "b00fbaa7c0d2ba10");
    // They are from before an MLP could know classes.
    let unused = with(&["model.label_dropout=0.5"]);
    assert_eq!((config.fingerprint(), config.obstacle_to_resuming(&unused)), (unused.fingerprint(), None));
    let conditional = with(&["model.conditional=true"]);
    assert_ne!(config.fingerprint(), conditional.fingerprint());
    let obstacle = ("model.conditional".to_owned(), "false".to_owned(), "true".to_owned());
    assert_eq!(config.obstacle_to_resuming(&conditional), Some(obstacle));
    assert_ne!(conditional.fingerprint(), with(&["model.conditional=true", "model.label_dropout=0.5"]).fingerprint());
}

#[test]
fn the_documentation_is_up_to_date() {
    let path = root().join("docs/configuration.md");
    let written = std::fs::read_to_string(&path).expect("docs/configuration.md exists");
    assert!(
        written == markdown(),
        "docs/configuration.md is out of date; write it anew: cargo run -- docs > docs/configuration.md"
    );
}
