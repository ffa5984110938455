//! The U-Net of 16 and 32 channels on 16 x 16 pixels at batch 16: one block a level, attention in the middle only.

use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use crate::training::{Network, Training};

const SIDE: usize = 16;
const WIDTH: usize = 16;
const GROUPS: usize = 16;
const BATCH: usize = 16;
/// Length of the embedding of the time.
const EMBEDDING: usize = 4 * WIDTH;

fn convolution(side: usize, channels: [usize; 2], stride: usize) -> Conv2dConfig {
    let edge = side / 2;
    let padding = PaddingConfig2d::Explicit(edge, edge, edge, edge);
    Conv2dConfig::new(channels, [side; 2]).with_stride([stride; 2]).with_padding(padding)
}

/// A convolution that starts at 0.
fn zero(side: usize, channels: [usize; 2], device: &Device) -> Conv2d {
    convolution(side, channels, 1).with_initializer(Initializer::Zeros).init(device)
}

fn norm(channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(GROUPS, channels).init(device)
}

#[derive(Module, Debug)]
struct Block {
    first_norm: GroupNorm,
    first: Conv2d,
    time: Linear,
    second_norm: GroupNorm,
    second: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            first_norm: norm(inputs, device),
            first: convolution(3, [inputs, outputs], 1).init(device),
            time: LinearConfig::new(EMBEDDING, outputs).init(device),
            second_norm: norm(outputs, device),
            second: zero(3, [outputs, outputs], device),
            shortcut: (inputs != outputs).then(|| convolution(1, [inputs, outputs], 1).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>, embedded: Tensor<2>) -> Tensor<4> {
        let hidden = self.first.forward(silu(self.first_norm.forward(x.clone())));
        let time = self.time.forward(embedded);
        let [batch, channels] = time.dims();
        let hidden = hidden + time.reshape([batch, channels, 1, 1]);
        let hidden = self.second.forward(silu(self.second_norm.forward(hidden)));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        shortcut + hidden
    }
}

#[derive(Module, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Conv2d,
    projection: Conv2d,
}

impl Attention {
    fn new(channels: usize, device: &Device) -> Self {
        Self {
            norm: norm(channels, device),
            qkv: convolution(1, [channels, 3 * channels], 1).init(device),
            projection: zero(1, [channels, channels], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone())).reshape([batch, 3 * channels, height * width]);
        let mut parts = qkv.chunk(3, 1).into_iter();
        let mut next = || parts.next().expect("three parts");
        let (q, k, v): (Tensor<3>, Tensor<3>, Tensor<3>) = (next(), next(), next());
        let scores = (q * (channels as f64).powf(-0.5)).swap_dims(1, 2).matmul(k);
        let mixed = v.matmul(softmax(scores, 2).swap_dims(1, 2));
        x + self.projection.forward(mixed.reshape([batch, channels, height, width]))
    }
}

#[derive(Module, Debug)]
struct UNet {
    embedding: Vec<Linear>,
    enter: Conv2d,
    down: Vec<Block>,
    halve: Conv2d,
    middle: Vec<Block>,
    attention: Attention,
    up: Vec<Block>,
    double: Conv2d,
    norm: GroupNorm,
    output: Conv2d,
}

impl UNet {
    fn new(device: &Device) -> Self {
        let (fine, coarse) = (WIDTH, 2 * WIDTH);
        let block = |inputs, outputs| Block::new(inputs, outputs, device);
        let linear = |inputs| LinearConfig::new(inputs, EMBEDDING).init(device);
        Self {
            embedding: vec![linear(WIDTH), linear(EMBEDDING)],
            enter: convolution(3, [1, fine], 1).init(device),
            down: vec![block(fine, fine), block(fine, coarse)],
            halve: convolution(3, [fine, fine], 2).init(device),
            middle: vec![block(coarse, coarse), block(coarse, coarse)],
            attention: Attention::new(coarse, device),
            up: vec![
                block(2 * coarse, coarse),
                block(coarse + fine, coarse),
                block(coarse + fine, fine),
                block(2 * fine, fine),
            ],
            double: convolution(3, [coarse, coarse], 1).init(device),
            norm: norm(fine, device),
            output: zero(3, [fine, 1], device),
        }
    }

    /// Sines and cosines of t, and two layers.
    fn embed(&self, t: Tensor<2>) -> Tensor<2> {
        let half = WIDTH / 2;
        let growth = (16.0f32 / 0.5).ln() / (half - 1) as f32;
        let frequencies: Vec<f32> = (0..half).map(|i| 0.5 * (growth * i as f32).exp()).collect();
        let angles = t.clone() * Tensor::<1>::from_floats(frequencies.as_slice(), &t.device()).reshape([1, half]);
        let features = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        self.embedding.iter().fold(features, |hidden, layer| silu(layer.forward(hidden)))
    }
}

impl Network for UNet {
    fn epsilon(&self, x: Tensor<2>, t: Tensor<2>) -> Tensor<2> {
        let flat = x.dims();
        let embedded = self.embed(t);
        let join = |x: Tensor<4>, skip: Tensor<4>| Tensor::cat(vec![x, skip], 1);
        let entered = self.enter.forward(x.reshape([flat[0], 1, SIDE, SIDE]));
        let fine = self.down[0].forward(entered.clone(), embedded.clone());
        let halved = self.halve.forward(fine.clone());
        let coarse = self.down[1].forward(halved.clone(), embedded.clone());
        let hidden = self.attention.forward(self.middle[0].forward(coarse.clone(), embedded.clone()));
        let hidden = self.middle[1].forward(hidden, embedded.clone());
        let hidden = self.up[0].forward(join(hidden, coarse), embedded.clone());
        let hidden = self.up[1].forward(join(hidden, halved), embedded.clone());
        let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([SIDE; 2]);
        let hidden = self.double.forward(interpolate(hidden, options));
        let hidden = self.up[2].forward(join(hidden, fine), embedded.clone());
        let hidden = self.up[3].forward(join(hidden, entered), embedded);
        self.output.forward(silu(self.norm.forward(hidden))).reshape(flat)
    }
}

/// Prints the times.
pub fn measure(name: &str, device: &Device, pauses: bool) {
    let mut training = Training::new(device, [4096, SIDE * SIDE], BATCH, UNet::new);
    training.measure(&format!("{name}, U-Net 16-32, 16x16x1, batch {BATCH}"), 5, pauses);
}
