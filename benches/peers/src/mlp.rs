//! A plain 3-128-128-128-2 network at batch 512, and a 1024³ product.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Distribution, Tensor};

use crate::clock::{median, milliseconds};
use crate::training::{Network, Training};

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let sizes = [3, 128, 128, 128, 2];
        Self { layers: sizes.windows(2).map(|ends| LinearConfig::new(ends[0], ends[1]).init(device)).collect() }
    }
}

impl Network for Mlp {
    fn epsilon(&self, x: Tensor<2>, t: Tensor<2>) -> Tensor<2> {
        let mut hidden = Tensor::cat(vec![x, t], 1);
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                hidden = silu(hidden);
            }
            hidden = layer.forward(hidden);
        }
        hidden
    }
}

/// Prints the times.
pub fn measure(name: &str, device: &Device, pauses: bool) {
    Training::new(device, [4096, 2], 512, Mlp::new).measure(&format!("{name}, 3-128-128-128-2"), 50, pauses);

    let matrix = || -> Tensor<2> { Tensor::random([1024, 1024], Distribution::Uniform(-1.0, 1.0), device) };
    let (a, b) = (matrix(), matrix());
    let product = || drop(a.clone().matmul(b.clone()).into_data());
    (0..3).for_each(|_| product());
    let times = (0..7).map(|_| milliseconds(product));
    println!("{name}: 1024x1024x1024 product {:.1} GFLOP/s", 2.0 * 1.024f64.powi(3) / median(times.collect()) * 1e3);
}
