//! Strided copies of boxes of up to four dimensions: slices, concatenations, packing, broadcasts, transpositions.
//!
//! Constants: four sizes, the input's offset and four strides, the output's likewise, in elements (vectors of four
//! floats when [`Box4::quads`] holds). Bindings: 1 = input, 2 = output.

use super::hooks::{Element, Hooks, Template};
use crate::plan::{Access, Constant, Shader, Size, Workgroups};

/// Threads in a workgroup.
pub const THREADS: u32 = 64;

/// One side of a copy, in floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The first float.
    pub offset: Size,
    /// Floats from one index to the next, for each dimension.
    pub strides: [Size; 4],
}

/// What is copied from where to where, in floats. Unused leading dimensions have size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Box4 {
    /// Length of each dimension; only the first may depend on the batch.
    pub sizes: [Size; 4],
    /// Where it is read.
    pub input: Side,
    /// Where it is written.
    pub output: Side,
}

impl Box4 {
    /// Whether the copy can move four floats at a time.
    pub fn quads(&self) -> bool {
        let whole = |size: &Size| size.fixed.is_multiple_of(4) && size.per_sample.is_multiple_of(4);
        let side = |side: &Side| {
            whole(&side.offset) && side.strides[3] == Size::fixed(1) && side.strides[..3].iter().all(whole)
        };
        whole(&self.sizes[3]) && side(&self.input) && side(&self.output)
    }

    fn in_elements(mut self) -> Self {
        if self.quads() {
            let quarter = |size: &mut Size| (size.fixed, size.per_sample) = (size.fixed / 4, size.per_sample / 4);
            quarter(&mut self.sizes[3]);
            for side in [&mut self.input, &mut self.output] {
                quarter(&mut side.offset);
                side.strides[..3].iter_mut().for_each(quarter);
            }
        }
        self
    }
}

/// The shader; `quads` as [`Box4::quads`] says.
pub fn copy(quads: bool) -> Shader {
    let mut template = Template {
        file: "shaders/copy.wgsl",
        text: include_str!("../../shaders/copy.wgsl"),
        key: if quads { "copy4" } else { "copy" }.to_string(),
        constants: 14,
        access: vec![Access::Read, Access::ReadWrite],
        threads: THREADS,
        workgroup_bytes: 0,
        defines: Default::default(),
    };
    template.define("ELEMENT", if quads { Element::Quad.wgsl() } else { Element::F32.wgsl() });
    template.build(&Hooks::default())
}

/// The kernel's words.
pub fn constants(copied: &Box4) -> Vec<Constant> {
    let copied = copied.in_elements();
    let mut words = copied.sizes.to_vec();
    for side in [copied.input, copied.output] {
        words.push(side.offset);
        words.extend(side.strides);
    }
    words.into_iter().map(Constant::U32).collect()
}

/// The grid: a thread for each element.
pub fn workgroups(copied: &Box4) -> Workgroups {
    let [first, rest @ ..] = copied.in_elements().sizes;
    let inner: u64 = rest.iter().map(|size| size.fixed).product();
    Workgroups { items: first * inner, per_workgroup: THREADS as u64, times: 1 }
}
