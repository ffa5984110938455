//! A DSM training step: batch, noise, loss, gradient, Adam. Clip and moving average, which tweedie's step has, are left
//! out.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Int, Tensor};

use crate::clock::{median, milliseconds, pause};

/// A network that is told the time.
pub trait Network: Module {
    /// x `[batch, dims]` and t `[batch, 1]` → the noise in x.
    fn epsilon(&self, x: Tensor<2>, t: Tensor<2>) -> Tensor<2>;
}

/// A network in training.
pub struct Training<N> {
    device: Device,
    data: Tensor<2>,
    batch: usize,
    network: Option<N>,
    optimizer: ModuleOptimizer,
}

impl<N: Network> Training<N> {
    /// On `rows` random samples of `dims` numbers; `build` makes the network.
    pub fn new(device: &Device, [rows, dims]: [usize; 2], batch: usize, build: impl Fn(&Device) -> N) -> Self {
        let device = device.clone().autodiff();
        Self {
            data: Tensor::random([rows, dims], Distribution::Uniform(-1.0, 1.0), &device),
            batch,
            network: Some(build(&device)),
            optimizer: AdamConfig::new().init(),
            device,
        }
    }

    /// The network.
    pub fn network(&self) -> &N {
        self.network.as_ref().expect("put back after each step")
    }

    /// One step; gives the loss, which nobody has waited for.
    pub fn step(&mut self) -> Tensor<1> {
        let network = self.network.take().expect("put back after each step");
        let (device, [rows, dims]) = (&self.device, self.data.dims());
        let picked: Tensor<1, Int> = Tensor::random([self.batch], Distribution::Uniform(0.0, rows as f64), device);
        let x0 = self.data.clone().select(0, picked);
        let t: Tensor<2> = Tensor::random([self.batch, 1], Distribution::Uniform(1e-5, 1.0), device);
        let noise: Tensor<2> = Tensor::random([self.batch, dims], Distribution::Normal(0.0, 1.0), device);
        // VP with beta from 0.1 to 20.
        let integral = t.clone() * (t.clone() * (0.5 * 19.9) + 0.1);
        let alpha = (integral.clone() * -0.5).exp();
        let sigma = ((integral * -1.0).exp() * -1.0 + 1.0).sqrt();
        let x = x0 * alpha + noise.clone() * sigma;
        let loss = (network.epsilon(x, t) - noise).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(1e-3, network, gradients));
        loss
    }

    /// Reads whole tensors, all weights: a sliced read does not wait for the last step.
    pub fn wait(&self) {
        self.network().visit(&mut Read);
    }

    /// Prints what the first steps take, where wgpu tunes its kernels, and what a step takes then: medians of seven runs
    /// of `steps` steps.
    pub fn measure(&mut self, name: &str, steps: usize, pauses: bool) {
        println!("{name}: {} weights", self.network().num_params());
        let first = milliseconds(|| {
            let loss = self.step();
            self.wait();
            println!("{name}: loss {:.4} in the first step", loss.into_scalar::<f32>());
        });
        println!("{name}: first step {first:.1} ms");
        let rest = milliseconds(|| {
            (0..20).for_each(|_| drop(self.step()));
            self.wait();
        });
        println!("{name}: first 21 steps {:.1} ms", first + rest);
        pause(pauses);
        let run = |_| {
            let run = || {
                (0..steps).for_each(|_| drop(self.step()));
                self.wait();
            };
            milliseconds(run) / steps as f64
        };
        println!("{name}: training step {:.3} ms", median((0..7).map(run).collect()));
        println!("{name}: loss {:.4} in the last step", self.step().into_scalar::<f32>());
    }
}

struct Read;

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val().into_data());
    }
}
