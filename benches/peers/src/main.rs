//! What burn 0.22.1 takes for the step and the product that tweedie's own benchmarks measure: one DSM training step of
//! a 3-128-128-128-2 network at batch 512, noise and Adam included, and a 1024³ product.
//!
//! `cargo run --release -- [wgpu] [flex]`; without arguments both backends.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::silu;
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor};

const BATCH: usize = 512;
const ROWS: usize = 4096;

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn new(device: &Device) -> Self {
        let sizes = [3, 128, 128, 128, 2];
        Self { layers: sizes.windows(2).map(|ends| LinearConfig::new(ends[0], ends[1]).init(device)).collect() }
    }

    fn forward(&self, mut hidden: Tensor<2>) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                hidden = silu(hidden);
            }
            hidden = layer.forward(hidden);
        }
        hidden
    }
}

struct Training {
    device: Device,
    data: Tensor<2>,
    network: Option<Network>,
    optimizer: ModuleOptimizer,
}

impl Training {
    fn new(device: &Device) -> Self {
        let device = device.clone().autodiff();
        Self {
            data: Tensor::random([ROWS, 2], Distribution::Uniform(-1.0, 1.0), &device),
            network: Some(Network::new(&device)),
            optimizer: AdamConfig::new().init(),
            device,
        }
    }

    /// One step; gives the loss, which nobody has waited for.
    fn step(&mut self) -> Tensor<1> {
        let network = self.network.take().expect("put back after each step");
        let rows: Tensor<1, Int> =
            Tensor::random([BATCH], Distribution::Uniform(0.0, ROWS as f64), &self.device);
        let x0 = self.data.clone().select(0, rows);
        let t: Tensor<2> = Tensor::random([BATCH, 1], Distribution::Uniform(1e-5, 1.0), &self.device);
        let noise: Tensor<2> = Tensor::random([BATCH, 2], Distribution::Normal(0.0, 1.0), &self.device);
        // VP with beta from 0.1 to 20.
        let integral = t.clone() * (t.clone() * (0.5 * 19.9) + 0.1);
        let alpha = (integral.clone() * -0.5).exp();
        let sigma = ((integral * -1.0).exp() * -1.0 + 1.0).sqrt();
        let x = x0 * alpha + noise.clone() * sigma;
        let epsilon = network.forward(Tensor::cat(vec![x, t], 1));
        let loss = (epsilon - noise).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(1e-3, network, gradients));
        loss
    }

    /// Reads a whole tensor of weights: a sliced read does not wait for the last step.
    fn wait(&self) {
        let network = self.network.as_ref().expect("put back after each step");
        network.layers.iter().for_each(|layer| drop(layer.weight.val().into_data()));
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn measure(name: &str, device: &Device) {
    let mut training = Training::new(device);
    let started = Instant::now();
    training.step();
    training.wait();
    println!("{name}: first step {:.1} ms", milliseconds(started.elapsed()));
    (0..20).for_each(|_| drop(training.step()));
    training.wait();
    println!("{name}: first 21 steps {:.1} ms", milliseconds(started.elapsed()));
    let times = (0..7).map(|_| {
        let started = Instant::now();
        (0..50).for_each(|_| drop(training.step()));
        training.wait();
        milliseconds(started.elapsed()) / 50.0
    });
    println!("{name}: training step {:.3} ms", median(times.collect()));

    let matrix = || -> Tensor<2> { Tensor::random([1024, 1024], Distribution::Uniform(-1.0, 1.0), device) };
    let (a, b) = (matrix(), matrix());
    let product = || drop(a.clone().matmul(b.clone()).into_data());
    (0..3).for_each(|_| product());
    let times = (0..7).map(|_| {
        let started = Instant::now();
        product();
        started.elapsed().as_secs_f64()
    });
    println!("{name}: 1024x1024x1024 product {:.1} GFLOP/s", 2.0 * 1.024f64.powi(3) / median(times.collect()));
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|known| known == name);
    if runs("flex") {
        measure("burn 0.22.1 flex", &Device::flex());
    }
    if runs("wgpu") {
        // Mesa's lavapipe shows itself as a CPU. Elsewhere: DeviceKind::default().
        measure("burn 0.22.1 wgpu", &Device::wgpu(DeviceKind::Cpu));
    }
}
