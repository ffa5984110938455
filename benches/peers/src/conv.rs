//! The 3 x 3 convolutions of stride 1 of DDPM's network for CIFAR-10, forward, data gradient and weight gradient. Where
//! tweedie's read a doubled image, burn gets the large image: the doubling is not in its time.

use std::time::Instant;

use burn::tensor::module::{conv2d, conv2d_weight_backward};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use crate::clock::{median, milliseconds, pause};

/// Side of the image that the convolution sees, channels of input and output.
const SHAPES: [[usize; 3]; 10] = [
    [32, 128, 128],
    [16, 256, 256],
    [16, 512, 256],
    [32, 256, 256],
    [32, 256, 128],
    [32, 384, 128],
    [8, 256, 256],
    [8, 512, 256],
    [16, 384, 256],
    [4, 256, 256],
];

/// Seconds for the timed runs of one convolution.
const BUDGET: f64 = 1.5;

/// Numbers from −1 to 1, the same on every device.
fn numbers(shape: [usize; 4]) -> TensorData {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    TensorData::new((0..shape.iter().product()).map(next).collect::<Vec<f32>>(), shape)
}

/// One convolution on a device.
struct Convolution {
    x: Tensor<4>,
    w: Tensor<4>,
    seed: Tensor<4>,
}

/// What is timed, and the tensors that it gives.
#[derive(Clone, Copy)]
enum Direction {
    Forward,
    DataGradient,
    WeightGradient,
}

const DIRECTIONS: [(&str, Direction); 3] = [
    ("conv", Direction::Forward),
    ("conv, data gradient", Direction::DataGradient),
    ("conv, weight gradient", Direction::WeightGradient),
];

impl Convolution {
    fn new(device: &Device, [side, inputs, outputs]: [usize; 3], batch: usize) -> Self {
        let tensor = |shape| Tensor::from_data(numbers(shape), device);
        Self {
            x: tensor([batch, inputs, side, side]),
            w: tensor([outputs, inputs, 3, 3]),
            // What backward starts from.
            seed: Tensor::ones([batch, outputs, side, side], device),
        }
    }

    fn options() -> ConvOptions<2> {
        ConvOptions::new([1, 1], [1, 1], [1, 1], 1)
    }

    /// Milliseconds of each of `count` runs in a row, and the last result as numbers. The forward run that a data
    /// gradient needs is over before the clock starts: only autodiff reaches it.
    fn run(&self, direction: Direction, count: usize) -> (f64, TensorData) {
        let Self { x, w, seed } = self;
        let tracked: Vec<_> = match direction {
            Direction::DataGradient => (0..count)
                .map(|_| {
                    let x = x.clone().autodiff().require_grad();
                    let y = conv2d(x.clone(), w.clone().autodiff(), None, Self::options());
                    drop(y.clone().into_data());
                    (x, y)
                })
                .collect(),
            _ => Vec::new(),
        };
        let started = Instant::now();
        // All results are kept: none can be left out.
        let results: Vec<Tensor<4>> = match direction {
            Direction::Forward => (0..count).map(|_| conv2d(x.clone(), w.clone(), None, Self::options())).collect(),
            Direction::DataGradient => {
                tracked.iter().map(|(x, y)| x.grad(&y.backward()).expect("x is tracked")).collect()
            }
            Direction::WeightGradient => (0..count)
                .map(|_| conv2d_weight_backward(x.clone(), w.clone(), seed.clone(), Self::options()))
                .collect(),
        };
        let last = results.last().expect("at least one run").clone().into_data();
        (started.elapsed().as_secs_f64() * 1e3 / count as f64, last)
    }
}

/// The largest difference from `expected`, as a part of the largest number in it.
fn difference(found: &TensorData, expected: &TensorData) -> f32 {
    let largest = expected.iter::<f32>().map(f32::abs).fold(0.0, f32::max);
    let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

/// Prints times and rates of the shapes in whose text stands one of `only`, or of all.
pub fn measure(name: &str, device: &Device, batch: usize, only: &[String], pauses: bool) {
    let text = |[side, inputs, outputs]: [usize; 3]| format!("{batch} x {side}², {inputs}→{outputs}");
    let wanted = |shape: &[usize; 3]| only.is_empty() || only.iter().any(|part| text(*shape).contains(part));
    let cases: Vec<_> =
        SHAPES.into_iter().filter(wanted).flat_map(|shape| DIRECTIONS.map(|way| (shape, way))).collect();
    for (shape, (what, direction)) in cases.iter().copied() {
        let mut result = None;
        let first = milliseconds(|| result = Some(Convolution::new(device, shape, batch).run(direction, 1).1));
        let expected = Convolution::new(&Device::flex(), shape, batch).run(direction, 1).1;
        let error = difference(&result.expect("it has run"), &expected);
        println!("{name}: {what:<22} {:<20} first run {first:.0} ms, off flex by {error:.1e}", text(shape));
    }
    pause(pauses);
    for (shape, (what, direction)) in cases {
        let convolution = Convolution::new(device, shape, batch);
        let (estimate, _) = convolution.run(direction, 1);
        let count = ((BUDGET * 1e3 / 3.0 / estimate) as usize).clamp(1, 50);
        let time = median((0..3).map(|_| convolution.run(direction, count).0).collect());
        let [side, inputs, outputs] = shape;
        let flops = (2 * 9 * batch * side.pow(2) * inputs * outputs) as f64;
        let rate = flops / time * 1e-6;
        println!("{name}: {what:<22} {:<20} {time:>9.3} ms {rate:>7.2} GFLOP/s", text(shape));
    }
}
