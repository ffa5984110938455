//! Whole training steps on the CPU and on a GPU: `cargo bench --bench train_step`.
//!
//! The GPU is the one that `TWEEDIE_BENCH_DEVICE` names (a part of an adapter's name, such as `llvmpipe`), else a
//! hardware GPU.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tweedie::bench;
use tweedie::engine::{Device, Engine};
use tweedie::gpu::Choice;

/// The step of a 3-128-128-128-2 network at batch 512, noise and Adam included.
fn step(criterion: &mut Criterion, name: &str, device: &Device) {
    let (mut engine, batch) = bench::small_training_engine(device).expect("the small step fits every device");
    engine.run(bench::PROGRAM, batch, 20).expect("the step runs");
    let mut group = criterion.benchmark_group("training step 3-128-128-128-2, batch 512");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function(name, |bencher| bencher.iter_custom(|steps| many(engine.as_mut(), batch, steps)));
    group.finish();
}

/// Many steps in a row, as training takes them, and one wait at the end.
fn many(engine: &mut dyn Engine, batch: u32, steps: u64) -> Duration {
    let started = Instant::now();
    engine.run(bench::PROGRAM, batch, steps as usize).expect("the step runs");
    started.elapsed()
}

fn cpu(criterion: &mut Criterion) {
    step(criterion, "CPU", &Device::Cpu);
}

fn gpu(criterion: &mut Criterion) {
    let choice = std::env::var("TWEEDIE_BENCH_DEVICE").map_or(Choice::Gpu, Choice::Named);
    match Device::open(&choice, None) {
        Ok((device @ Device::Gpu(_), reason)) => {
            println!("{reason}");
            step(criterion, "GPU", &device);
        }
        Ok((Device::Cpu, reason)) => println!("skipped, the GPU's training step: {reason}"),
        Err(error) => {
            println!("skipped, the GPU's training step: {error} (TWEEDIE_BENCH_DEVICE names another adapter)")
        }
    }
}

criterion_group!(benches, cpu, gpu);
criterion_main!(benches);
