//! Measures a device: kernels one by one and whole steps, against the roofs that it reaches itself.
//!
//! Each case is a graph like any other, run many times in a row; what counts is the wall time until the device has
//! finished, divided by the number of runs, and of such numbers the median.

mod cases;
mod unet;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::cases::{Case, Content};
use crate::engine::{self, Device, Engine, EngineError, Program, ProgramName};
use crate::lower;
use crate::nn::optimizer::states::PARAMS;
use crate::plan::ProgramReport;

/// Which cases are measured; the roofs always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Matrix products, reductions, pointwise functions, random numbers, gather, optimizer.
    Kernels,
    /// Whole steps of training and sampling.
    Train,
    /// Whole steps of U-Nets, and the convolutions of DDPM's network for CIFAR-10.
    Unet,
    /// All three.
    #[default]
    All,
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kernels" => Ok(Self::Kernels),
            "train" => Ok(Self::Train),
            "unet" => Ok(Self::Unet),
            "all" => Ok(Self::All),
            _ => Err(format!("no suite is called {text}; there are kernels, train, unet and all")),
        }
    }
}

impl Suite {
    fn holds(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// What was measured of one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// On what.
    pub shape: String,
    /// Median of the seconds that a run takes.
    pub seconds: f64,
    /// The least of those seconds: on a busy machine it is nearer to what the device can do.
    pub fastest_seconds: f64,
    /// Seconds from the graph to the end of the first run: lowering, compiling, uploading and all.
    pub first_seconds: f64,
    /// Kernel launches of a run; `None` on the CPU, which runs no plan.
    pub dispatches: Option<usize>,
    /// Bytes of the case: states, weights and temporaries.
    pub memory: u64,
    /// Runs that were timed.
    pub runs: usize,
    /// Floating-point operations of a run.
    pub flops: u64,
    /// Bytes that a run's kernels read and write at least once.
    pub bytes: u64,
    /// 1e9 floating-point operations a second.
    pub gflops: f64,
    /// 1e9 bytes a second.
    pub gigabytes: f64,
    /// The time that the nearer of the two roofs allows, as a part of the time taken. Above 1 where the data stays in a
    /// cache that is faster than the memory behind the roof.
    pub share: f64,
}

/// What was measured of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The device's name.
    pub device: String,
    /// Its driver, with the version.
    pub driver: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// The suite.
    pub suite: Suite,
    /// The most that any kernel reached: 1e9 floating-point operations a second.
    pub peak_gflops: f64,
    /// What a large copy reached: 1e9 bytes a second.
    pub peak_gigabytes: f64,
    /// The roofs, then the suite.
    pub rows: Vec<Row>,
    /// Cases that were left out, and why.
    pub left_out: Vec<String>,
}

/// Time for one case.
const BUDGET: Duration = Duration::from_millis(500);
/// Time between two looks at the clock.
const CHUNK: Duration = Duration::from_millis(40);
/// Products that would take longer are left out.
const SLOWEST: f64 = 0.5;
/// Steps of a U-Net that would take longer are left out.
const SLOWEST_STEP: f64 = 20.0;
/// A case that takes longer than this runs only once more after its first run.
const PATIENCE: f64 = 2.0;
/// Batches of the convolutions, and how long the slowest may take: on a slow device the batch is smaller.
const CONVOLUTION_BATCHES: [u32; 4] = [128, 32, 4, 1];
const CONVOLUTION_SECONDS: f64 = 0.1;

/// Measures; of the suite only the cases in whose "name, shape" stands `only`, if given. `before` is called with
/// the name of each case before its turn.
///
/// # Errors
/// When a case does not fit the device, or the device is lost.
pub fn measure(
    device: &Device,
    suite: Suite,
    only: Option<&str>,
    before: &mut dyn FnMut(&str),
) -> Result<Report, EngineError> {
    let wanted = |case: &Case| only.is_none_or(|text| format!("{}, {}", case.name, case.shape).contains(text));
    let mut run = |case: Case| -> Result<Row, EngineError> {
        before(case.name);
        measure_case(device, &case)
    };
    let copy = run(cases::copy())?;
    let peak_gigabytes = copy.gigabytes;
    let mut rows = vec![copy, run(cases::multiply_add())?];
    let mut left_out = Vec::new();
    // The best small product tells whether the large one is worth the wait.
    let mut rate: f64 = 1e-3;
    for layout in cases::LAYOUTS {
        let row = run(cases::product(layout, 512, 128, 128))?;
        rate = rate.max(row.gflops);
        rows.push(row);
    }
    for layout in cases::LAYOUTS {
        let case = cases::product(layout, 1024, 1024, 1024);
        if 2.0 * 1.024f64.powi(3) / rate < SLOWEST {
            rows.push(run(case)?);
        } else {
            left_out.push(format!("{} {}: would take more than {SLOWEST} s", case.name, case.shape));
        }
    }
    type Cases = [fn() -> Case];
    let small: [(Suite, &Cases); 2] = [(Suite::Kernels, &cases::KERNELS), (Suite::Train, &cases::STEPS)];
    for (_, cases) in small.iter().filter(|(kind, _)| suite.holds(*kind)) {
        for case in cases.iter().map(|case| case()).filter(wanted) {
            rows.push(run(case)?);
        }
    }
    if suite.holds(Suite::Unet) {
        let fastest = rows.iter().map(|row| row.gflops).fold(rate, f64::max) * 1e9;
        let takes = |batch: u32| f64::from(batch) * unet::CONVOLUTIONS[0].flops() / fastest;
        let batch = CONVOLUTION_BATCHES.into_iter().find(|batch| takes(*batch) < CONVOLUTION_SECONDS).unwrap_or(1);
        let convolutions = unet::CONVOLUTIONS.iter().flat_map(|conv| unet::LAYOUTS.map(|layout| (conv, layout)));
        let mut rate: f64 = 0.0;
        for case in convolutions.map(|(conv, layout)| conv.case(layout, batch)).filter(wanted) {
            let row = run(case)?;
            rate = rate.max(row.gflops);
            rows.push(row);
        }
        // The rate of the convolutions says how long a step takes. Where none was wanted, one is run for that alone.
        if rate == 0.0 {
            rate = run(unet::CONVOLUTIONS[0].case(unet::LAYOUTS[0], batch))?.gflops;
        }
        let rate = rate * 1e9;
        let sizes = unet::sizes();
        for (size, build) in sizes.iter().flat_map(|size| unet::STEPS.map(|step| (size, step))) {
            if only.is_some_and(|text| !format!("{}, {}, batch {}", build.0, size.name, size.batch).contains(text)) {
                continue;
            }
            let case = build.1(size);
            let line = format!("{} {}", case.name, case.shape);
            match cost(device, &case) {
                Ok((cost, _)) if cost.flops as f64 / rate > SLOWEST_STEP => {
                    left_out.push(format!("{line}: would take about {:.0} s", cost.flops as f64 / rate));
                }
                Ok(_) => rows.push(run(case)?),
                Err(error) => left_out.push(format!("{line}: {error}")),
            }
        }
    }
    let peak_gflops = rows.iter().map(|row| row.gflops).fold(0.0, f64::max);
    for row in &mut rows {
        row.share = (row.gflops / peak_gflops).max(row.gigabytes / peak_gigabytes);
    }
    let (name, driver) = match device {
        #[cfg(feature = "cpu")]
        Device::Cpu => ("CPU executor".to_owned(), format!("tweedie {}", env!("CARGO_PKG_VERSION"))),
        Device::Gpu(gpu) => {
            let report = gpu.report();
            (report.name.clone(), format!("{} {} ({})", report.driver, report.driver_info, report.backend))
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Report { device: name, driver, processors, suite, peak_gflops, peak_gigabytes, rows, left_out })
}

/// The name of the program that is measured.
pub const PROGRAM: ProgramName = ProgramName::new("bench");

/// A device with the training step of a 3-128-128-128-2 network as its program, and the batch to run it with.
///
/// # Errors
/// When the device is lost.
pub fn small_training_engine(device: &Device) -> Result<(Box<dyn Engine>, u32), EngineError> {
    let case = cases::train_small();
    Ok((prepare(device, &case)?, case.batch))
}

fn program(case: &Case) -> Program {
    Program { name: PROGRAM, graph: case.graph.clone(), parameters_from: PARAMS }
}

/// Loads a case and fills its store.
fn prepare(device: &Device, case: &Case) -> Result<Box<dyn Engine>, EngineError> {
    let mut engine = engine::load(device, &[program(case)], case.batch)?;
    for (name, content) in &case.states {
        match content {
            Content::Floats(data) => engine.set_floats(name, data)?,
            Content::Words(data) => engine.set_words(name, data)?,
        }
    }
    for (name, data) in &case.inputs {
        engine.set_input(PROGRAM, name, case.batch, data)?;
    }
    Ok(engine)
}

/// What a run of a case costs, and the bytes of its plan's buffers: those that last, and temporaries.
fn cost(device: &Device, case: &Case) -> Result<(ProgramReport, [u64; 2]), EngineError> {
    let options = device.lower_options(case.batch);
    let options = match device {
        Device::Gpu(_) => options,
        // What it runs is no plan, and knows no limits.
        #[cfg(feature = "cpu")]
        Device::Cpu => {
            let most = u64::MAX >> 8;
            let limits = crate::plan::Limits { binding_bytes: most, buffer_bytes: most, ..options.limits };
            lower::LowerOptions { limits, ..options }
        }
    };
    let plan = lower::lower(&[program(case).source()], &options)?;
    let mut report = plan.report(case.batch);
    let bytes = [report.store_bytes, report.scratch_bytes];
    Ok((report.programs.remove(0), bytes))
}

fn measure_case(device: &Device, case: &Case) -> Result<Row, EngineError> {
    let (cost, [lasting, temporary]) = cost(device, case)?;
    let started = Instant::now();
    let mut engine = prepare(device, case)?;
    engine.run(PROGRAM, case.batch, 1)?;
    let first_seconds = started.elapsed().as_secs_f64();

    let started = Instant::now();
    engine.run(PROGRAM, case.batch, 1)?;
    let mut estimate = started.elapsed().as_secs_f64().max(1e-7);
    let (mut runs, mut times) = (0, Vec::new());
    if estimate > PATIENCE {
        (runs, times) = (1, vec![estimate]);
    }
    while estimate <= PATIENCE && (times.len() < 3 || started.elapsed() < BUDGET) {
        let count = (CHUNK.as_secs_f64() / estimate).clamp(1.0, 1e5) as usize;
        let chunk = Instant::now();
        engine.run(PROGRAM, case.batch, count)?;
        estimate = chunk.elapsed().as_secs_f64() / count as f64;
        times.push(estimate);
        runs += count;
    }
    times.sort_by(f64::total_cmp);
    let seconds = times[times.len() / 2];
    let (dispatches, memory) = match device {
        #[cfg(feature = "cpu")]
        Device::Cpu => (None, lasting + engine.allocated_bytes()),
        Device::Gpu(_) => (Some(cost.dispatches), lasting + temporary),
    };
    let rate = |amount: u64| amount as f64 / seconds * 1e-9;
    Ok(Row {
        name: case.name.to_owned(),
        shape: case.shape.clone(),
        seconds,
        fastest_seconds: times[0],
        first_seconds,
        dispatches,
        memory,
        runs,
        flops: cost.flops,
        bytes: cost.bytes,
        gflops: rate(cost.flops),
        gigabytes: rate(cost.bytes),
        share: 0.0,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}, {} processors", self.device, self.driver, self.processors)?;
        writeln!(f, "roofs: {:.1} GFLOP/s, {:.1} GB/s", self.peak_gflops, self.peak_gigabytes)?;
        writeln!(
            f,
            "{:<24} {:<32} {:>10} {:>10} {:>9} {:>8} {:>6} {:>9} {:>10} {:>9}",
            "", "shape", "ms", "MFLOP", "GFLOP/s", "GB/s", "share", "MB", "dispatches", "first ms"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<24} {:<32} {:>10.4} {:>10.2} {:>9.2} {:>8.2} {:>5.0}% {:>9.1} {:>10} {:>9.1}",
                row.name,
                row.shape,
                row.seconds * 1e3,
                row.flops as f64 * 1e-6,
                row.gflops,
                row.gigabytes,
                row.share * 100.0,
                row.memory as f64 * 1e-6,
                row.dispatches.map_or("-".to_owned(), |dispatches| dispatches.to_string()),
                row.first_seconds * 1e3
            )?;
        }
        self.left_out.iter().try_for_each(|line| writeln!(f, "left out: {line}"))
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_counted_and_timed() {
        let row = measure_case(&Device::Cpu, &cases::product(cases::LAYOUTS[0], 64, 32, 16)).unwrap();
        assert_eq!(row.flops, 2 * 64 * 32 * 16);
        assert!(row.seconds > 0.0 && row.first_seconds > 0.0 && row.runs >= 3);
    }

    #[test]
    fn suites_have_names() {
        assert_eq!("train".parse(), Ok(Suite::Train));
        assert!("all of them".parse::<Suite>().unwrap_err().contains("kernels, train, unet and all"));
        for suite in [Suite::Kernels, Suite::Train, Suite::Unet, Suite::All] {
            let name = serde_json::to_value(suite).unwrap();
            assert_eq!(name.as_str().unwrap().parse(), Ok(suite));
        }
    }
}
