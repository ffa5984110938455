//! Convolutions of images `[lead…, height, width, channels]` with kernels `[height, width, channels in, channels out]`.
//!
//! With stride s, padding p and kernel w, at output pixel (i, j) and channel o:
//! `y[i, j, o] = Σ_{a, b, c} x[s i + a − p_top, s j + b − p_left, c] · w[a, b, c, o]`, x being 0 outside of its borders
//! (a cross-correlation, as all networks mean it). The three layouts are this map and its two transposes; each is
//! bilinear, and the derivatives of each are the other two, so that derivatives of any order are convolutions again.
//!
//! Leading axes are images, one as the other: the batch, and tangents before it.

use super::{Dim, Graph, Layout, Op, Shape, TensorType, Value};

/// Which of the three products of an image, a kernel and a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvLayout {
    /// `(x, w) → y`.
    Forward,
    /// `(dy, w) → dx`: the transpose of [`Forward`](Self::Forward) in x.
    DataGradient,
    /// `(x, dy) → dw`: the transpose of [`Forward`](Self::Forward) in w, summed over all images.
    WeightGradient,
}

/// Rows and columns of zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding {
    /// The same on all four sides.
    pub const fn all(width: usize) -> Self {
        Self { top: width, bottom: width, left: width, right: width }
    }
}

/// The lengths that tie image, kernel and result together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Height and width of the image x.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps from one output pixel to the next, in both directions.
    pub stride: usize,
    /// Zeros around the image (after up-sampling).
    pub padding: Padding,
    /// Every pixel of x stands for a square of so many pixels aside: nearest up-sampling on the way in. 1 is none.
    pub upsample: usize,
}

impl Geometry {
    /// Height and width of the image as the kernel sees it, without the padding.
    pub const fn seen(&self) -> [usize; 2] {
        [self.input[0] * self.upsample, self.input[1] * self.upsample]
    }

    /// Height and width of the result; `None` if the kernel is larger than the padded image.
    pub fn output(&self) -> Option<[usize; 2]> {
        let Padding { top, bottom, left, right } = self.padding;
        let [height, width] = self.seen();
        let along = |length: usize, kernel: usize| Some(length.checked_sub(kernel)? / self.stride + 1);
        Some([along(height + top + bottom, self.kernel[0])?, along(width + left + right, self.kernel[1])?])
    }

    /// Whether the convolution is a matrix product, pixel by pixel.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == Padding::default() && self.upsample == 1
    }
}

/// # Panics
/// Building is programming: a shape that does not fit panics with both shapes in the message.
impl Graph {
    /// The convolution of `x` `[lead…, h, w, channels in]` with the kernel `w` `[kh, kw, channels in, channels out]`.
    pub fn conv2d(&mut self, x: Value, w: Value, stride: usize, padding: Padding) -> Value {
        self.conv_after_upsampling(x, w, stride, padding, 1)
    }

    /// The convolution of `x`, each of whose pixels is seen as 2 x 2 equal ones.
    pub fn conv2d_upsampled(&mut self, x: Value, w: Value, padding: Padding) -> Value {
        self.conv_after_upsampling(x, w, 1, padding, 2)
    }

    fn conv_after_upsampling(&mut self, x: Value, w: Value, stride: usize, padding: Padding, upsample: usize) -> Value {
        let (image, kernel) = (self.shape(x), self.shape(w));
        assert!(image.rank() >= 3 && kernel.rank() == 4, "convolution of images {image} with a kernel {kernel}");
        let [input, kernel] = [pixels(image), [kernel.dims()[0].at(0), kernel.dims()[1].at(0)]];
        let geometry = Geometry { input, kernel, stride, padding, upsample };
        self.conv(ConvLayout::Forward, geometry, x, w)
    }

    /// One of the three layouts; see [`ConvLayout`]. What is a matrix product is built as one.
    pub fn conv(&mut self, layout: ConvLayout, geometry: Geometry, a: Value, b: Value) -> Value {
        let (left, right) = (self.shape(a).clone(), self.shape(b).clone());
        let complaint = || format!("{layout:?} convolution of {left} and {right} with {geometry:?}");
        let wanted = geometry.output().filter(|_| geometry.stride > 0 && geometry.upsample > 0);
        let output = wanted.unwrap_or_else(|| panic!("{}: the kernel does not fit", complaint()));
        assert!(left.rank() >= 3, "{}: images have three axes and more", complaint());
        let (first, lead) = (channels(&left), &left.dims()[..left.rank() - 3]);
        let image = |[height, width]: [usize; 2], channels: Dim| {
            Shape::new(lead.iter().copied().chain([height.into(), width.into(), channels]))
        };
        let [kernel_height, kernel_width] = geometry.kernel.map(Dim::Fixed);
        let shape = match layout {
            ConvLayout::Forward | ConvLayout::DataGradient => {
                assert_eq!(right.rank(), 4, "{}: a kernel has four axes", complaint());
                let (inward, outward) = (right.dims()[2], right.dims()[3]);
                assert_eq!(right.dims()[..2], [kernel_height, kernel_width], "{}", complaint());
                let (from, into, size, result) = match layout {
                    ConvLayout::Forward => (inward, outward, geometry.input, output),
                    _ => (outward, inward, output, geometry.input),
                };
                assert_eq!((pixels(&left), first), (size, from), "{}", complaint());
                image(result, into)
            }
            ConvLayout::WeightGradient => {
                assert_eq!(pixels(&left), geometry.input, "{}", complaint());
                assert_eq!(right, image(output, channels(&right)), "{}", complaint());
                Shape::new([kernel_height, kernel_width, first, channels(&right)])
            }
        };
        if geometry.is_pointwise() {
            return self.pointwise_conv(layout, a, b, shape);
        }
        if layout == ConvLayout::DataGradient && geometry.upsample > 1 {
            return self.upsampled_data_gradient(geometry, a, b);
        }
        self.add(Op::Conv { layout, geometry }, vec![a, b], vec![TensorType::f32(shape)])
    }

    /// A 1 x 1 kernel that meets every pixel once: `[pixels, channels in] · [channels in, channels out]`.
    fn pointwise_conv(&mut self, layout: ConvLayout, a: Value, b: Value, shape: Shape) -> Value {
        let matrix = |graph: &mut Self, kernel: Value| {
            let dims = graph.shape(kernel).dims()[2..].to_vec();
            graph.reshape(kernel, Shape::new(dims))
        };
        let product = match layout {
            ConvLayout::Forward => {
                let b = matrix(self, b);
                self.matmul(Layout::Nn, a, b)
            }
            ConvLayout::DataGradient => {
                let b = matrix(self, b);
                self.matmul(Layout::Nt, a, b)
            }
            ConvLayout::WeightGradient => self.matmul(Layout::Tn, a, b),
        };
        self.reshape(product, shape)
    }

    /// The gradient with respect to the larger image, added up over each square that shows one pixel.
    fn upsampled_data_gradient(&mut self, geometry: Geometry, dy: Value, w: Value) -> Value {
        let factor = geometry.upsample;
        let plain = Geometry { input: geometry.seen(), upsample: 1, ..geometry };
        let wide = self.conv(ConvLayout::DataGradient, plain, dy, w);
        let shape = self.shape(wide).clone();
        let (lead, channels) = (&shape.dims()[..shape.rank() - 3], channels(&shape));
        let [height, width] = geometry.input;
        let squares = [height.into(), factor.into(), width.into(), factor.into(), channels];
        let squares = Shape::new(lead.iter().copied().chain(squares));
        let image = Shape::new(lead.iter().copied().chain([height.into(), width.into(), channels]));
        let first = lead.len() + 1;
        let wide = self.reshape(wide, squares);
        let sum = self.sum(wide, &[first, first + 2]);
        self.reshape(sum, image)
    }

    /// The cotangents of both inputs for the cotangent `u` of the result.
    pub(super) fn conv_vjp(
        &mut self,
        layout: ConvLayout,
        geometry: Geometry,
        [a, b]: [Value; 2],
        u: Value,
    ) -> [Value; 2] {
        use ConvLayout::{DataGradient, Forward, WeightGradient};
        match layout {
            Forward => [self.conv(DataGradient, geometry, u, b), self.conv(WeightGradient, geometry, a, u)],
            DataGradient => [self.conv(Forward, geometry, u, b), self.conv(WeightGradient, geometry, u, a)],
            WeightGradient => [self.conv(DataGradient, geometry, b, u), self.conv(Forward, geometry, a, u)],
        }
    }
}

/// Height and width of images.
fn pixels(images: &Shape) -> [usize; 2] {
    let dims = &images.dims()[images.rank() - 3..];
    // The batch is no side of an image; 0 fits no geometry.
    [dims[0].at(0), dims[1].at(0)]
}

fn channels(images: &Shape) -> Dim {
    images.dims()[images.rank() - 1]
}
