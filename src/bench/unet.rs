//! What is measured of U-Nets: whole steps, and the convolutions of DDPM's network for CIFAR-10 one by one.

use super::cases::{self, Case, Content, numbers};
use crate::graph::{ConvLayout, Geometry, Graph, Padding, Shape};
use crate::loss::training_states;
use crate::nn::Conditioning;
use crate::nn::unet::{Family, Features, Preset, UNet, UNetShape};
use crate::sde::{Model, Network, Parameterisation, Sde};

/// A network, with the batch that it is measured at.
#[derive(Clone, Debug)]
pub struct Size {
    pub name: &'static str,
    pub shape: UNetShape,
    pub batch: u32,
}

/// Two levels of so many channels, one block each, attention in the middle only: as diffusers' `UNet2DModel` with plain
/// blocks.
fn small(side: usize, colours: usize, channels: usize) -> UNetShape {
    UNetShape {
        family: Family::Ddpm,
        image: [side, side, colours],
        features: Features::Sinusoidal,
        channels,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: Vec::new(),
        heads: 1,
        groups: channels.min(32),
        group_eps: 1e-5,
        dropout: 0.0,
        classes: 0,
        augment_dim: 0,
    }
}

/// The networks. `benches/peers/pytorch_unet.py` runs all but the first.
pub fn sizes() -> [Size; 4] {
    [
        Size { name: "U-Net 16-32, 16x16x1", shape: small(16, 1, 16), batch: 16 },
        Size { name: "U-Net 16-32, 8x8x1", shape: small(8, 1, 16), batch: 64 },
        Size { name: "U-Net 32-64, 16x16x3", shape: small(16, 3, 32), batch: 16 },
        Size { name: "DDPM CIFAR-10", shape: Preset::DdpmCifar10.shape(), batch: 4 },
    ]
}

/// What makes a case of a size.
type Build = fn(&Size) -> Case;

/// The steps that are measured of each, by their names.
pub const STEPS: [(&str, Build); 2] = [("training step", Size::training), ("euler-maruyama step", Size::sampling)];

impl Size {
    fn dims(&self) -> usize {
        self.shape.image.iter().product()
    }

    fn model<'a>(&self, graph: &mut Graph, sde: &'a dyn Sde, trains: bool) -> Box<dyn Model + 'a> {
        let unet = UNet::new(graph, &self.shape);
        let conditioning =
            Conditioning { clock: trains.then(|| graph.clock(training_states::CLOCK)), ..Conditioning::default() };
        let network = move |graph: &mut Graph, x, level| unet.forward(graph, x, level, conditioning);
        Box::new(Network { sde, parameterisation: Parameterisation::Epsilon, sigma_data: 0.5, network })
    }

    /// Batch, noise, loss, gradient, clip, Adam and the moving average.
    pub fn training(&self) -> Case {
        cases::train(self.name, self.dims(), self.batch, |graph, sde| self.model(graph, sde, true))
    }

    /// One step of Euler-Maruyama.
    pub fn sampling(&self) -> Case {
        cases::sample(self.name, self.dims(), self.batch, |graph, sde| self.model(graph, sde, false))
    }
}

/// A 3 x 3 convolution of stride 1 of DDPM's network for CIFAR-10.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    side: usize,
    inputs: usize,
    outputs: usize,
    upsample: usize,
}

const fn convolution(side: usize, inputs: usize, outputs: usize) -> Convolution {
    Convolution { side, inputs, outputs, upsample: 1 }
}

const fn doubled(side: usize, channels: usize) -> Convolution {
    Convolution { side, inputs: channels, outputs: channels, upsample: 2 }
}

/// By their share in the network's work: nine tenths of it. Sides are those of the images that they read.
pub const CONVOLUTIONS: [Convolution; 11] = [
    convolution(32, 128, 128),
    convolution(16, 256, 256),
    convolution(16, 512, 256),
    doubled(16, 256),
    convolution(32, 256, 128),
    convolution(32, 384, 128),
    convolution(8, 256, 256),
    convolution(8, 512, 256),
    convolution(16, 384, 256),
    doubled(8, 256),
    convolution(4, 256, 256),
];

/// The three products of a convolution.
pub const LAYOUTS: [(ConvLayout, &str); 3] = [
    (ConvLayout::Forward, "conv"),
    (ConvLayout::DataGradient, "conv, data gradient"),
    (ConvLayout::WeightGradient, "conv, weight gradient"),
];

impl Convolution {
    /// Operations for one image.
    pub fn flops(self) -> f64 {
        (2 * 9 * (self.side * self.upsample).pow(2) * self.inputs * self.outputs) as f64
    }

    /// One of [`LAYOUTS`].
    pub fn case(self, (layout, name): (ConvLayout, &'static str), batch: u32) -> Case {
        let Self { side, inputs, outputs, upsample } = self;
        let seen = side * upsample;
        let geometry = Geometry { input: [side; 2], kernel: [3; 2], stride: 1, padding: Padding::all(1), upsample };
        let (x, w, y) = ([side, side, inputs], [3, 3, inputs, outputs], [seen, seen, outputs]);
        let mut graph = Graph::new();
        let mut contents = Vec::new();
        let mut input = |graph: &mut Graph, name: &'static str, shape: Shape| {
            contents.push((name, numbers(shape.elements(batch as usize))));
            graph.input(name, shape)
        };
        let (a, b) = match layout {
            ConvLayout::Forward => (Shape::batch(&x), Shape::fixed(&w)),
            ConvLayout::DataGradient => (Shape::batch(&y), Shape::fixed(&w)),
            ConvLayout::WeightGradient => (Shape::batch(&x), Shape::batch(&y)),
        };
        let (a, b) = (input(&mut graph, "a", a), input(&mut graph, "b", b));
        let result = graph.conv(layout, geometry, a, b);
        graph.output("c", result);
        let from = if upsample > 1 { format!("{side}→{seen}") } else { format!("{side}") };
        let shape = format!("{batch} x {from}², {inputs}→{outputs}");
        Case { name, shape, graph, batch, states: Vec::<(&str, Content)>::new(), inputs: contents }
    }
}
