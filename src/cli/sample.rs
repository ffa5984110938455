//! `tweedie sample`: draws samples from a run or from an exact score.

use std::path::{Path, PathBuf};

use super::class::{check_guidance, one_class};
use super::drawing_bar::DrawingBar;
use super::error::CliError;
use super::interrupt::Interrupt;
use super::known::{particles, read_known};
use super::settings::{DeviceArguments, cache_folder, class, expect_file, expect_output, extension, note, print};
use super::source::{Source, read_points};
use super::step_noise::read_step_noise;
use crate::config::{Overrides, word};
use crate::data;
use crate::engine::Device;
use crate::gpu::Choice;
use crate::number::short;
use crate::sampler::{AnySampler, SAMPLERS, SamplerKind, SamplerOptions, Spacing};
use crate::train::draw::request::{Part, RequestError, SampleRequest, go_together};
use crate::train::draw::samples::{Evaluations, Samples};
use crate::train::draw::{artifacts, sampling};
use crate::train::error::TrainError;
use crate::train::experiment::{Experiment, FRAMES, memory};

/// Draw samples from a run, from a checkpoint in it, or from the config of an exact score
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder of a run, folder of a checkpoint in it, or a config with model.kind = "exact"
    #[arg(value_name = "RUN_OR_CONFIG", required_unless_present = "list")]
    source: Option<PathBuf>,
    /// Number of samples [default: the config's sample.n]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    n: Option<String>,
    /// Name of the sampler, see --list [default: the config's sample.kind]
    #[arg(long, value_name = "NAME", value_parser = word::<SamplerKind>)]
    sampler: Option<SamplerKind>,
    /// Steps of the sampler [default: the config's sample.steps]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// How the times of the steps are spread: linear, equal-work, quadratic, log-snr, arsinh, karras, exponential
    /// [default: the config's sample.spacing, or else what suits the process]
    #[arg(long, value_name = "NAME", value_parser = word::<Spacing>)]
    spacing: Option<Spacing>,
    /// Seed of the prior draw and the sampler's noise [default: the config's sample.seed]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Another key of the config's [sample], such as sample.eta=0.5; may be given several times
    #[arg(long, value_name = "sample.KEY=VALUE")]
    set: Vec<String>,
    /// Start from these standard normal values, (N, D) or (N, the data's shape), instead of drawing them
    #[arg(long, value_name = "FILE.npy", conflicts_with = "n")]
    noise: Option<PathBuf>,
    /// Take these standard normal values in the sampler's steps, (steps, draws, N, D) or (steps, draws, N, the data's
    /// shape), instead of drawing them; see --list for the draws
    #[arg(long, value_name = "FILE.npy", conflicts_with = "n")]
    step_noise: Option<PathBuf>,
    /// Class to draw, for a network trained with model.conditional = true [default: any]
    #[arg(long, value_name = "CLASS", value_parser = class, allow_negative_numbers = true)]
    class: Option<u32>,
    /// How far samples are moved towards --class: 0 any class, 1 as the network says, above it more typical ones
    #[arg(long, value_name = "WEIGHT", requires = "class", value_parser = guidance, allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// What is known of the samples: one sample or N as .npy, or a picture; the rest is drawn to fit: roughly, or by its
    /// law with --particles
    #[arg(long, value_name = "FILE", requires = "mask")]
    known: Option<PathBuf>,
    /// Where --known is known: one sample's shape as .npy, above 0.5 where it is, or a picture, white where it is
    #[arg(long, value_name = "FILE", requires = "known")]
    mask: Option<PathBuf>,
    /// Draw each sample from K weighted particles (1 to 256) of the ancestral sampler; more particles come nearer to the
    /// law given what is known [default: replacement, which does not converge to that law]
    #[arg(long, value_name = "K", value_parser = particles, allow_negative_numbers = true)]
    particles: Option<usize>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Where to write: .png, .gif (the trajectory), .npy or .csv
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    out: Option<PathBuf>,
    /// List the samplers
    #[arg(long)]
    list: bool,
}

/// A weight, for clap.
fn guidance(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|weight: &f64| (0.0..=1e6).contains(weight));
    weight.ok_or_else(|| "must be a number ≥ 0 and ≤ 1000000".to_string())
}

/// What the samples are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    Gif,
    Npy,
    Csv,
}

/// All that sampling needs, checked.
#[derive(Debug)]
struct Request {
    source: Source,
    noise: Option<PathBuf>,
    step_noise: Option<PathBuf>,
    class: Option<u32>,
    guidance: f64,
    /// The files of what is known and of where.
    known: Option<(PathBuf, PathBuf)>,
    particles: Option<usize>,
    /// What `--n` said.
    wanted: Option<usize>,
    device: Choice,
    out: PathBuf,
    format: Format,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Result<(), CliError> {
    if arguments.list {
        return print(&list());
    }
    sample(arguments.check()?)
}

impl Arguments {
    fn check(self) -> Result<Request, CliError> {
        let overrides = self.overrides()?;
        let (source, out) = self.source.zip(self.out).expect("clap requires both where --list is not given");
        let format = match extension("--out", &out, &["png", "gif", "npy", "csv"])? {
            "png" => Format::Png,
            "gif" => Format::Gif,
            "npy" => Format::Npy,
            _ => Format::Csv,
        };
        let files = [("--noise", &self.noise), ("--step-noise", &self.step_noise)];
        let [known, mask] = [("--known", &self.known), ("--mask", &self.mask)];
        let inputs = [files[0], files[1], known, mask].map(|(flag, file)| (flag, file.as_deref()));
        expect_output("--out", &out, &inputs)?;
        for (flag, file) in files {
            let Some(file) = file else { continue };
            extension(flag, file, &["npy"])?;
            expect_file(flag, file)?;
        }
        let source = Source::open(&source, &overrides)?;
        if let Some(particles) = self.particles.filter(|_| self.known.is_none()) {
            let text =
                format!("--particles {particles}: needs --known and --mask, which say what samples are drawn around");
            return Err(CliError::bad_input(text));
        }
        let sampler = source.config().sample.sampler();
        let given = [
            (Part::Noise, self.noise.as_deref()),
            (Part::StepNoise, self.step_noise.as_deref()),
            (Part::Known, self.known.as_deref()),
            (Part::Frames, Some(out.as_path()).filter(|_| format == Format::Gif)),
        ];
        let given: Vec<(Part, &Path)> = given.into_iter().filter_map(|(part, file)| Some((part, file?))).collect();
        let parts: Vec<Part> = given.iter().map(|(part, _)| *part).collect();
        go_together(&sampler, self.particles, &parts).map_err(|error| in_flags(error, self.particles, &given))?;
        if let AnySampler::Adaptive(_) = sampler {
            refuse_idle_flags(&source.config().sample.sampler, &overrides)?;
        }
        let wanted = self.n.map(|_| source.config().sample.n);
        Ok(Request {
            source,
            noise: self.noise,
            step_noise: self.step_noise,
            class: self.class,
            guidance: self.guidance.unwrap_or(1.0),
            known: self.known.zip(self.mask),
            particles: self.particles,
            wanted,
            device: self.device.device,
            out,
            format,
        })
    }
}

impl Arguments {
    /// What the flags say of `[sample]`.
    fn overrides(&self) -> Result<Overrides, CliError> {
        let mut overrides = Overrides::none();
        for text in &self.set {
            overrides.set(text)?;
        }
        if let Some(table) = overrides.tables().find(|table| *table != "sample") {
            return Err(CliError::bad_input(format!(
                "--set {table}.…: must set a key of [sample]; the rest of the config is that of the run"
            )));
        }
        if let Some(sampler) = self.sampler {
            overrides.insert("--sampler", "sample", "kind", sampler.name);
        }
        if let Some(spacing) = self.spacing {
            overrides.insert("--spacing", "sample", "spacing", spacing.name());
        }
        overrides.insert_text("--n", "sample", "n", self.n.as_ref());
        overrides.insert_text("--steps", "sample", "steps", self.steps.as_ref());
        overrides.insert_text("--seed", "sample", "seed", self.seed.as_ref());
        Ok(overrides)
    }
}

/// What the library says of a request, with the flags that asked for it; `given` are its parts with their files.
fn in_flags(error: RequestError, particles: Option<usize>, given: &[(Part, &Path)]) -> CliError {
    let flag = |part: Part| {
        let name = match part {
            Part::Noise => "--noise",
            Part::StepNoise => "--step-noise",
            Part::Known => "--known",
            Part::Frames => "--out",
            Part::Guidance => "--guidance",
        };
        let file = given.iter().find(|(other, _)| *other == part);
        file.map_or_else(|| name.to_string(), |(_, file)| format!("{name} {}", file.display()))
    };
    let others = "must end in .png, .npy or .csv";
    CliError::bad_input(match error {
        RequestError::ParticleSteps { wanted, found } => format!(
            "--particles {}: particles take the steps of {wanted}, not of {found}; add --sampler {wanted}",
            particles.unwrap_or_default()
        ),
        RequestError::SeveralPaths { part: Part::Frames } => {
            format!("{}: a sample of several particles has no single trajectory; {others}", flag(Part::Frames))
        }
        RequestError::SeveralPaths { part } => format!(
            "{}: must be left out: with --particles every sample has several paths, each with noise of its own",
            flag(part)
        ),
        RequestError::OwnSteps { part: Part::Frames, sampler } => {
            format!("{}: with {sampler} samples have no moments in common; {others}", flag(Part::Frames))
        }
        RequestError::OwnSteps { part, sampler } => format!(
            "{}: must be left out: with {sampler} every sample has its own steps, which it would have to know",
            flag(part)
        ),
        // What is no matter of parts going together.
        _ => error.to_string(),
    })
}

/// An adaptive sampler's samples have no steps in common: keys that speak of such are refused.
fn refuse_idle_flags(sampler: &SamplerKind, overrides: &Overrides) -> Result<(), CliError> {
    for key in ["steps", "spacing", "rho"] {
        if let Some(flag) = overrides.flag_of("sample", key) {
            let flag = if flag == "--set" { format!("--set sample.{key}") } else { flag.to_string() };
            return Err(CliError::bad_input(format!(
                "{flag}: must be left out: with {} every sample chooses its own steps, by {}",
                sampler.name,
                sampler.options().iter().map(|key| format!("sample.{key}")).collect::<Vec<_>>().join(" and ")
            )));
        }
    }
    Ok(())
}

/// The samplers as a table: what they are, and what they need.
fn list() -> String {
    let head = ["sampler", "order", "evaluations", "draws", "options", "what"].map(str::to_owned);
    let row = |kind: &SamplerKind| {
        let sampler = kind.make(&SamplerOptions::default());
        let options = kind.options();
        let options = if options.is_empty() { "-".to_string() } else { options.join(" ") };
        let evaluations = sampler.evaluations_per_step().to_string();
        [
            kind.name.to_string(),
            sampler.order().map_or_else(|| "-".to_string(), |order| order.to_string()),
            evaluations,
            sampler.draws().to_string(),
            options,
            kind.about.to_string(),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(SAMPLERS.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("{cell:width$}  ");
        }
        text += &row[5];
        text.push('\n');
    }
    text + "\n\
        order: of convergence in the number of steps, of the path where nothing is drawn, else of the law; - where a part of\n\
        the error is that of Langevin's own steps, which more levels do not lessen. Measured on spacing = \"arsinh\" for paths\n\
        (draws 0) and \"log-snr\" for laws; on \"linear\" it is reached with ve, edm and learned, with vp where steps are many\n\
        evaluations: of the model in a step, of rk45 and adaptive-sde in each try of one\n\
        draws: normal numbers for each coordinate in a step; 0 is deterministic. Noise depends on time alone, never on the\n\
        state, so Ito's and Stratonovich's calculus agree for all of them\n\
        options: keys of [sample] beside steps, spacing and denoise\n"
}

fn sample(request: Request) -> Result<(), CliError> {
    let Request { source, particles, device, out, format, .. } = &request;
    let experiment = source.experiment()?;
    let settings = &source.config().sample;
    let sampler = settings.sampler();
    let draw = request.draw(&experiment, &sampler)?;
    let (device, reason) = Device::open(device, cache_folder().as_deref()).map_err(TrainError::from)?;
    let mut engine = sampling::load(&experiment, &device, &sampler, &draw)?;
    source.load(&experiment, engine.as_mut())?;
    note(format_args!("device: {reason}"));
    let interrupt = Interrupt::install()?;
    let mut bar = DrawingBar::default();
    let drawn = sampling::draw(engine.as_mut(), &experiment, &sampler, &draw, &mut |done, total| {
        bar.update(&experiment, &sampler, &draw, done, total);
        !interrupt.requested()
    })?;
    bar.finish();
    if settings.spacing == Some(Spacing::EqualWork) && !drawn.times.is_empty() {
        let times: Vec<String> = drawn.times.iter().map(|t| short(*t, 4)).collect();
        note(format_args!("times of equal work: {}", times.join(" ")));
    }
    write(out, *format, &experiment, &drawn)?;
    let (with, gradients) = match particles {
        Some(particles) => (format!(" with {particles} particles each"), " and as many gradients"),
        None => (String::new(), ""),
    };
    note(format_args!(
        "{}: {} samples from {} by {}{with}, {}",
        out.display(),
        draw.n,
        source.describe(),
        sampler.name(),
        spent(drawn.evaluations, gradients)
    ));
    Ok(())
}

impl Request {
    /// What is asked of the library: all files are read, and what the flags say is checked against the model.
    fn draw(&self, experiment: &Experiment, sampler: &AnySampler) -> Result<SampleRequest, CliError> {
        let (settings, grid) = (&self.source.config().sample, self.source.config().grid());
        if experiment.is_without_noise() {
            return Err(CliError::bad_input(format!(
                "{}: trained with loss.noise = \"none\": it knows the score of the data alone, and samplers start from \
                 noise; tweedie score --sigma 0 shows it",
                self.source.describe()
            )));
        }
        let classes = one_class(self.class, experiment)?;
        check_guidance(self.guidance, experiment)?;
        let noise = self.noise.as_ref().map(|path| read_points("--noise", path, experiment)).transpose()?;
        let wanted = noise.as_ref().map(|noise| noise.values.len() / experiment.dims()).or(self.wanted);
        let step_noise = self.step_noise.as_ref();
        let step_noise =
            step_noise.map(|path| read_step_noise(path, sampler, &grid, wanted, experiment)).transpose()?;
        let wanted = step_noise.as_ref().map(|noise| noise.n).or(wanted);
        let (n, known) = match &self.known {
            None => (wanted.unwrap_or(settings.n), None),
            Some((known, mask)) => {
                let (n, known) = read_known(known, mask, wanted, settings.n, self.particles, experiment)?;
                (n, Some(known))
            }
        };
        if matches!(self.format, Format::Png | Format::Gif) && !artifacts::has_picture(experiment) {
            return Err(CliError::bad_input(format!(
                "--out {}: samples of shape {:?} are neither images nor points in the plane; write .npy or .csv",
                self.out.display(),
                experiment.train_data().shape
            )));
        }
        let frames = if self.format == Format::Gif { FRAMES } else { 0 };
        memory::for_samples(&format!("--n {n}"), n, experiment.dims(), frames)?;
        Ok(SampleRequest {
            n,
            grid,
            seed: settings.seed,
            noise: noise.map(|noise| noise.values),
            step_noise: step_noise.map(|noise| noise.values),
            classes,
            guidance: self.guidance,
            known,
            frames,
        })
    }
}

fn write(out: &Path, format: Format, experiment: &Experiment, drawn: &Samples) -> Result<(), CliError> {
    match format {
        Format::Png => artifacts::samples(out, experiment, &drawn.samples)?,
        Format::Gif => artifacts::animation(out, experiment, drawn)?,
        Format::Npy => {
            let n = drawn.samples.len() / experiment.dims();
            let shape: Vec<usize> = [n].into_iter().chain(experiment.train_data().shape.iter().copied()).collect();
            data::write_npy(out, &shape, &drawn.samples)?;
        }
        Format::Csv => {
            let names: Vec<String> = (0..experiment.dims()).map(|i| format!("x{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            data::write_csv(out, &names, experiment.dims(), &drawn.samples)?;
        }
    }
    Ok(())
}

/// Evaluations in words, and what came with each.
fn spent(evaluations: Evaluations, besides: &str) -> String {
    let Evaluations { mean, most } = evaluations;
    if mean < most {
        return format!("{} evaluations{besides} each, at most {most}", short(mean, 4));
    }
    format!("{most} evaluations{besides} each")
}
