//! Products in every layout, tile and alignment, split sums and epilogues.

use super::{WIDE, assert_near, noise, unwritten};
use crate::common::kernel_harness::{bits, floats, gpu, run};
use crate::common::skip::skip;
use tweedie::graph::Reduction;
use tweedie::kernels::matmul::{self, Aligned, Layout};
use tweedie::kernels::reduce::{self, Over};
use tweedie::kernels::tile::{TILES, Tile};
use tweedie::kernels::{Binding, Element, Hooks};
use tweedie::plan::Size;

const ALIGNED: Aligned = Aligned { a: true, b: true, result: true };
const UNALIGNED: Aligned = Aligned { a: false, b: false, result: false };

#[derive(Clone, Copy, Debug)]
struct Product {
    layout: Layout,
    m: u64,
    n: u64,
    k: u64,
}

impl Product {
    fn operands(self) -> (Vec<f32>, Vec<f32>) {
        (noise(self.m * self.k, 1), noise(self.k * self.n, 2))
    }

    fn a(self, a: &[f32], i: u64, p: u64) -> f64 {
        a[if self.layout == Layout::Tn { p * self.m + i } else { i * self.k + p } as usize] as f64
    }

    fn b(self, b: &[f32], p: u64, j: u64) -> f64 {
        b[if self.layout == Layout::Nt { j * self.k + p } else { p * self.n + j } as usize] as f64
    }

    /// The product, and the sum of its terms' magnitudes.
    fn at(self, a: &[f32], b: &[f32], i: u64, j: u64) -> (f64, f64) {
        let terms = (0..self.k).map(|p| self.a(a, i, p) * self.b(b, p, j));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    }

    fn check(self, actual: &[f32], a: &[f32], b: &[f32], what: &str) {
        assert_eq!(actual.len() as u64, self.m * self.n);
        for i in 0..self.m {
            for j in 0..self.n {
                let (expected, scale) = self.at(a, b, i, j);
                assert_near(
                    actual[(i * self.n + j) as usize],
                    expected,
                    scale + 1e-6,
                    2e-6,
                    &format!("{what} {self:?} ({i}, {j})"),
                );
            }
        }
    }

    fn run(self, tile: Tile, aligned: Aligned, splits: u64, longest: u32) -> Vec<u32> {
        let Self { layout, m, n, k } = self;
        let (a, b) = self.operands();
        let shader = matmul::matmul(layout, tile, aligned, None);
        // The dimension that a batch would make dynamic.
        let (rows, inner) = match layout {
            Layout::Tn => (Size::fixed(m), Size { fixed: k - 1, per_sample: 1 }),
            _ => (Size { fixed: m - 1, per_sample: 1 }, Size::fixed(k)),
        };
        let constants = matmul::constants(rows, n, inner, splits);
        let workgroups = matmul::workgroups(tile, rows, n, splits);
        let buffers = [bits(&a), bits(&b), unwritten(m * n * splits)];
        run(&shader, &constants, workgroups, (1, longest), &buffers).swap_remove(2)
    }
}

/// Awkward sizes, a few for each shape of tile.
fn products(layout: Layout, aligned: Aligned) -> Vec<Product> {
    let sizes = [(1, 1, 1), (3, 5, 17), (33, 67, 5), (17, 130, 33), (130, 3, 67), (67, 33, 130)];
    let fit = |size: u64, whole: bool| if whole { size.next_multiple_of(4) } else { size };
    let product = |(m, n, k)| {
        let (a_inner, b_inner) = (aligned.a, aligned.b);
        let m = fit(m, a_inner && layout == Layout::Tn);
        let n = fit(n, aligned.result || (b_inner && layout != Layout::Nt));
        let k = fit(k, (a_inner && layout != Layout::Tn) || (b_inner && layout == Layout::Nt));
        Product { layout, m, n, k }
    };
    sizes.into_iter().map(product).collect()
}

fn check_products(layout: Layout, tile: Tile, aligned: Aligned) {
    for (product, longest) in products(layout, aligned).into_iter().zip([WIDE, 2, 3, WIDE, 2, 5]) {
        let (a, b) = product.operands();
        let actual = floats(&product.run(tile, aligned, 1, longest));
        product.check(&actual, &a, &b, &format!("{} {aligned:?}", tile.name()));
    }
}

#[test]
fn matmul_small_tile() {
    for layout in Layout::ALL {
        check_products(layout, TILES[0], ALIGNED);
        check_products(layout, TILES[0], UNALIGNED);
    }
    check_products(Layout::Nn, TILES[0], Aligned { a: true, ..UNALIGNED });
    check_products(Layout::Nt, TILES[0], Aligned { b: true, ..UNALIGNED });
    check_products(Layout::Tn, TILES[0], Aligned { result: true, ..UNALIGNED });
}

#[test]
fn matmul_large_tiles() {
    for tile in TILES.into_iter().skip(1).filter(|tile| !tile.software_only) {
        Layout::ALL.into_iter().for_each(|layout| check_products(layout, tile, ALIGNED));
    }
}

#[test]
fn matmul_software_tiles() {
    for (tile, aligned) in [(TILES[3], UNALIGNED), (TILES[4], ALIGNED)] {
        assert!(tile.software_only && tile.lanes == 0);
        Layout::ALL.into_iter().for_each(|layout| check_products(layout, tile, aligned));
    }
}

/// On a GPU with other subgroups these tiles are never chosen; what is asked of them there is that naga takes them
/// (shaders.rs).
#[test]
fn matmul_tiles_with_subgroups_of_eight() {
    if gpu().lanes != 8 {
        let why = match gpu().lanes {
            0 => "this adapter has no subgroups, or they differ".to_string(),
            lanes => format!("subgroups here have {lanes} lanes and not 8"),
        };
        return skip("products with tiles for subgroups of 8 (kernels::matmul)", &why);
    }
    for (tile, aligned) in [(TILES[5], ALIGNED), (TILES[5], UNALIGNED), (TILES[6], ALIGNED), (TILES[6], UNALIGNED)] {
        assert_eq!(tile.lanes, 8);
        Layout::ALL.into_iter().for_each(|layout| check_products(layout, tile, aligned));
    }
}

#[test]
fn matmul_split_sums_add_up() {
    for (tile, splits) in [(TILES[0], 3), (TILES[0], 7), (TILES[4], 4)] {
        let product = Product { layout: Layout::Tn, m: 12, n: 36, k: 95 };
        let (a, b) = product.operands();
        let parts = product.run(tile, ALIGNED, splits, WIDE);
        let (over, elements) = (Over::Rows, product.m * product.n);
        let shape = reduce::shapes(over, false)[1];
        let sum = run(
            &reduce::reduce(over, Reduction::Sum, shape, 1, &reduce::load(true, 1)),
            &reduce::constants(Size::fixed(splits), Size::fixed(elements), 1),
            reduce::workgroups(over, shape, Size::fixed(splits), elements, 1),
            (1, WIDE),
            &[unwritten(elements), parts],
        );
        product.check(&floats(&sum[0]), &a, &b, &format!("{splits} splits"));
    }
}

#[test]
fn matmul_epilogue_sees_every_quad_once() {
    let hooks = Hooks {
        key: "bias".to_string(),
        constants: vec!["gain: f32".to_string()],
        bindings: vec![
            Binding::read("bias", Element::F32),
            Binding::write("first", Element::F32),
            Binding::write("visits", Element::U32),
        ],
        declarations: "#import numerics".to_string(),
        body: "let at = row * constants.columns + col;\n\
               store_first(at, valid, constants.gain * acc + load_bias(col, valid));\n\
               for (var i = 0u; i < valid; i += 1u) { visits[at + i] += 1u + split; }"
            .to_string(),
    };
    let product = Product { layout: Layout::Nt, m: 35, n: 71, k: 9 };
    let (a, b) = product.operands();
    let bias = noise(product.n, 3);
    for tile in [TILES[0], TILES[4]] {
        let shader = matmul::matmul(product.layout, tile, UNALIGNED, Some(&hooks));
        let rows = Size::per_sample(5);
        let mut constants = matmul::constants(rows, product.n, Size::fixed(product.k), 1);
        constants.push(tweedie::plan::Constant::F32(2.0));
        let elements = product.m * product.n;
        let buffers = [bits(&a), bits(&b), bits(&bias), unwritten(elements), vec![0; elements as usize]];
        let after = run(&shader, &constants, matmul::workgroups(tile, rows, product.n, 1), (7, 2), &buffers);
        assert!(after[4].iter().all(|visits| *visits == 1));
        for (at, value) in floats(&after[3]).into_iter().enumerate() {
            let (i, j) = (at as u64 / product.n, at as u64 % product.n);
            let expected = 2.0 * product.at(&a, &b, i, j).0 + bias[j as usize] as f64;
            assert_near(value, expected, 10.0, 2e-6, "epilogue");
        }
    }
}
