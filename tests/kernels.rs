//! Every kernel on a real device against its plain definition, at sizes that fit no tile, on folded grids.

#[path = "common/kernel_harness.rs"]
mod kernel_harness;

use kernel_harness::{bits, floats, run};
use tweedie::graph::{Reduction, Tick, random};
use tweedie::kernels::copy::{Box4, Side};
use tweedie::kernels::gather::{Gather, Stored};
use tweedie::kernels::matmul::{Aligned, Layout, TILES, Tile};
use tweedie::kernels::reduce::{Over, Shape};
use tweedie::kernels::{Binding, Element, Hooks, copy, gather, matmul, pointwise, reduce, ring, tick};
use tweedie::plan::{Size, Workgroups};

/// No folding.
const WIDE: u32 = 65_535;
/// What an output holds before a kernel has written it.
const UNWRITTEN: u32 = 0x7fc0_0bad;

/// Numbers in (-1, 1).
fn noise(count: u64, stream: u32) -> Vec<f32> {
    let words = (0..count.div_ceil(4) as u32).flat_map(|i| random::words([0, 0, 11, 0], 0, i, stream));
    words.take(count as usize).map(|w| 2.0 * random::uniform(w) - 1.0).collect()
}

fn unwritten(count: u64) -> Vec<u32> {
    vec![UNWRITTEN; count as usize]
}

/// Neither wrong by more than rounding nor NaN. `scale` is what errors are relative to.
fn assert_near(actual: f32, expected: f64, scale: f64, tolerance: f64, what: &str) {
    let error = (actual as f64 - expected).abs();
    assert!(error <= tolerance * scale, "{what}: {actual} instead of {expected}");
}

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

const ALIGNED: Aligned = Aligned { a: true, b: true, result: true };
const UNALIGNED: Aligned = Aligned { a: false, b: false, result: false };

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

/// On a GPU with other subgroups these tiles are never chosen; what is asked of them there is that naga takes them.
#[test]
fn matmul_tiles_with_subgroups_of_eight() {
    if kernel_harness::gpu().lanes != 8 {
        eprintln!("subgroups here have {} lanes and not 8: these tiles cannot run", kernel_harness::gpu().lanes);
        return;
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

/// Reduces `values[rows, columns]` with this many chunks, and the partial results after that.
fn reduced(
    over: Over,
    op: Reduction,
    shape: Shape,
    values: &[f32],
    (rows, columns): (u64, u64),
    chunks: u64,
    longest: u32,
) -> Vec<f32> {
    let aligned = columns.is_multiple_of(4);
    let left = if over == Over::Columns { rows } else { columns };
    let once = |values: Vec<u32>, rows: u64, columns: u64, chunks: u64, aligned: bool| {
        // Rows that depend on the batch.
        let size = Size { fixed: rows - 1, per_sample: 1 };
        let groups = reduce::workgroups(over, shape, size, columns, chunks);
        let constants = reduce::constants(size, Size::fixed(columns), chunks);
        let shader = reduce::reduce(over, op, shape, 1, &reduce::load(aligned, 1));
        run(&shader, &constants, groups, (1, longest), &[unwritten(left * chunks), values]).swap_remove(0)
    };
    let mut result = once(bits(values), rows, columns, chunks, aligned);
    if chunks > 1 {
        let (rows, columns) = if over == Over::Columns { (rows, chunks) } else { (chunks, columns) };
        // Shapes as before, so that this needs few more pipelines.
        result = once(result, rows, columns, 1, aligned && columns.is_multiple_of(4));
    }
    floats(&result)
}

#[test]
fn reductions_agree_with_their_definition() {
    for (over, op, software) in [
        (Over::Columns, Reduction::Sum, false),
        (Over::Columns, Reduction::Max, true),
        (Over::Rows, Reduction::Max, false),
        (Over::Rows, Reduction::Sum, true),
    ] {
        for shape in reduce::shapes(over, software) {
            let sizes = [((1, 1), 1), ((5, 3), 1), ((67, 130), 3), ((3, 1028), 2), ((130, 17), 5), ((33, 68), 1)];
            for ((rows, columns), chunks) in sizes {
                let values = noise(rows * columns, 4);
                let actual = reduced(over, op, *shape, &values, (rows, columns), chunks, 3);
                let at = |r: u64, c: u64| values[(r * columns + c) as usize] as f64;
                for (i, actual) in (0..).zip(actual) {
                    let line: Vec<f64> = match over {
                        Over::Columns => (0..columns).map(|c| at(i, c)).collect(),
                        Over::Rows => (0..rows).map(|r| at(r, i)).collect(),
                    };
                    let (expected, scale) = match op {
                        Reduction::Sum => (line.iter().sum(), line.iter().map(|x| x.abs()).sum()),
                        Reduction::Max => (line.iter().copied().fold(f64::MIN, f64::max), 0.0),
                    };
                    assert_near(
                        actual,
                        expected,
                        scale,
                        1e-6,
                        &format!("{op:?} {over:?} {shape:?} {rows}x{columns} at {i}"),
                    );
                }
            }
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    // A million times 0.1: one running f32 sum would be wrong by about 1 %.
    let count = 1_000_000;
    let values = vec![0.1; count as usize];
    for software in [false, true] {
        let shape = reduce::choose(Over::Columns, count, software);
        let chunks = reduce::chunks(Over::Columns, shape, 1, count);
        assert!(chunks > 1, "a long sum is cut");
        let sum = reduced(Over::Columns, Reduction::Sum, shape, &values, (1, count), chunks, WIDE)[0];
        assert_near(sum, count as f64 * 0.1f32 as f64, count as f64 * 0.1, 1e-6, "long sum");
    }
}

#[test]
fn a_prologue_runs_once_for_each_quad_may_store_and_gives_several_sums() {
    for (over, shape) in
        [(Over::Columns, Shape { threads: 64, lanes: 8 }), (Over::Rows, Shape { threads: 8, lanes: 8 })]
    {
        let hooks = Hooks {
            bindings: vec![Binding::write("visits", Element::F32)],
            body: "let at = row * constants.columns + col;\n\
                   store_visits(at, valid, load_visits(at, valid) + vec4<f32>(f32(row)));\n\
                   let value_0 = vec4<f32>(f32(col)) + vec4<f32>(0.0, 1.0, 2.0, 3.0);\n\
                   let value_1 = vec4<f32>(f32(row * row));\n\
                   let value_2 = value_0 * value_0;"
                .to_string(),
            ..Hooks::default()
        };
        let (rows, columns) = (9, 39);
        let left = if over == Over::Columns { rows } else { columns };
        let after = run(
            &reduce::reduce(over, Reduction::Sum, shape, 3, &hooks),
            &reduce::constants(Size::fixed(rows), Size::fixed(columns), 1),
            reduce::workgroups(over, shape, Size::fixed(rows), columns, 1),
            (1, WIDE),
            &[unwritten(left), unwritten(left), unwritten(left), bits(&vec![0.5; (rows * columns) as usize])],
        );
        for (at, visits) in (0..).zip(floats(&after[3])) {
            assert_eq!(visits, (at / columns) as f32 + 0.5);
        }
        for i in 0..left {
            let line = |value: &dyn Fn(u64, u64) -> u64| -> u64 {
                match over {
                    Over::Columns => (0..columns).map(|column| value(i, column)).sum(),
                    Over::Rows => (0..rows).map(|row| value(row, i)).sum(),
                }
            };
            let expected = [line(&|_, column| column), line(&|row, _| row * row), line(&|_, column| column * column)];
            let sums = [0, 1, 2].map(|output| floats(&after[output])[i as usize] as u64);
            assert_eq!(sums, expected, "{over:?} at {i}");
        }
    }
}

#[test]
fn pointwise_visits_every_element_once() {
    let hooks = Hooks {
        constants: vec!["offset: u32".to_string()],
        bindings: vec![Binding::write("seen", Element::F32)],
        body: "let at = row * constants.columns + col;\n\
               store_seen(at, valid, load_seen(at, valid) + vec4<f32>(f32(at + constants.offset)));"
            .to_string(),
        ..Hooks::default()
    };
    let shader = pointwise::pointwise(&hooks);
    for (rows, columns, longest) in [(1, 1, WIDE), (5, 3, WIDE), (67, 130, 2), (130, 33, 64), (3, 1030, 3)] {
        let size = Size { fixed: 0, per_sample: rows };
        for (mut constants, groups) in [
            (pointwise::constants(size, columns), pointwise::workgroups(size, columns)),
            (pointwise::flat_constants(size * columns), pointwise::flat_workgroups(size * columns)),
        ] {
            let flat = constants[0] == tweedie::plan::Constant::U32(Size::fixed(1));
            constants.push(tweedie::plan::Constant::U32(Size::fixed(7)));
            let before = bits(&vec![0.25; (rows * columns) as usize]);
            let after = run(&shader, &constants, groups, (1, longest), &[before]);
            let columns = if flat { rows * columns } else { columns };
            for (at, value) in (0..).zip(floats(&after[0])) {
                let first = at / columns * columns + at % columns / 4 * 4;
                assert_eq!(value, (first + 7) as f32 + 0.25, "{rows}x{columns} at {at}");
            }
        }
    }
}

#[test]
fn random_numbers_are_those_of_the_host() {
    let hooks = Hooks {
        bindings: vec![
            Binding::read("clock", Element::U32),
            Binding::write("raw", Element::U32),
            Binding::write("uniforms", Element::F32),
            Binding::write("normals", Element::F32),
        ],
        declarations: "#import random".to_string(),
        body: "let now = vec4<u32>(clock[0], clock[1], clock[2], clock[3]);\n\
               let at = row * constants.columns + col;\n\
               let drawn = words4(now, row, col / 4u, clock[4]);\n\
               for (var i = 0u; i < valid; i += 1u) { raw[at + i] = drawn[i]; }\n\
               store_uniforms(at, valid, uniform4(now, row, col / 4u, clock[4]));\n\
               store_normals(at, valid, normal4(now, row, col / 4u, clock[4]));"
            .to_string(),
        ..Hooks::default()
    };
    let (rows, columns) = (201, 101);
    let clock = [41, u32::MAX - 100, 0xdead_beef, 0x0bad_cafe, random::stream("noise")];
    let size = Size::fixed(rows);
    let after = run(
        &pointwise::pointwise(&hooks),
        &pointwise::constants(size, columns),
        pointwise::workgroups(size, columns),
        (1, 64),
        &[clock.to_vec(), unwritten(rows * columns), unwritten(rows * columns), unwritten(rows * columns)],
    );
    for (at, word) in after[1].iter().enumerate() {
        let (row, col) = (at as u32 / columns as u32, at as u32 % columns as u32);
        let words = random::words([clock[0], clock[1], clock[2], clock[3]], row, col / 4, clock[4]);
        let lane = col as usize % 4;
        assert_eq!(*word, words[lane], "word");
        assert_eq!(after[2][at], random::uniform(words[lane]).to_bits(), "uniform");
        let normal = f32::from_bits(after[3][at]);
        assert_near(normal, random::normals_f64(words)[lane], 1.0, 1e-5, "normal");
        assert_near(normal, random::normals(words)[lane] as f64, 1.0, 1e-5, "normal of the twin");
    }
}

#[test]
fn philox_known_answers_on_the_device() {
    // counter, key, words: the vectors that the authors of Philox publish.
    #[rustfmt::skip]
    let cases: [u32; 30] = [
        0, 0, 0, 0, 0, 0, 0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8,
        !0, !0, !0, !0, !0, !0, 0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd,
        0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344, 0xa409_3822, 0x299f_31d0,
        0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1,
    ];
    let hooks = Hooks {
        bindings: vec![Binding::read("cases", Element::U32), Binding::write("raw", Element::U32)],
        declarations: "#import philox".to_string(),
        body: "let at = row * 10u;\n\
               let counter = vec4<u32>(cases[at], cases[at + 1u], cases[at + 2u], cases[at + 3u]);\n\
               let drawn = philox4x32_10(counter, vec2<u32>(cases[at + 4u], cases[at + 5u]));\n\
               for (var i = 0u; i < valid; i += 1u) { raw[row * 4u + i] = drawn[i]; }"
            .to_string(),
        ..Hooks::default()
    };
    let size = Size::fixed(3);
    let groups = pointwise::workgroups(size, 4);
    let buffers = [cases.to_vec(), unwritten(12)];
    let after = run(&pointwise::pointwise(&hooks), &pointwise::constants(size, 4), groups, (1, WIDE), &buffers);
    for case in 0..3 {
        assert_eq!(after[1][case * 4..][..4], cases[case * 10 + 6..][..4]);
    }
}

/// The WGSL function, its f64 truth, the relative error allowed for each 1 + |x| (WGSL grants exp 3 + 2 |x| units in the
/// last place), the absolute error allowed.
type Function = (&'static str, fn(f64) -> f64, f64, f64);

const FUNCTIONS: [Function; 9] = [
    ("expm1", f64::exp_m1, 5e-7, 1e-30),
    ("tanh", f64::tanh, 1e-6, 1e-30),
    ("sigmoid", |x| 1.0 / (1.0 + (-x).exp()), 5e-7, 1e-33),
    ("silu", |x| x / (1.0 + (-x).exp()), 5e-7, 1e-31),
    ("softplus", |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 1e-6, 1e-30),
    ("exp", f64::exp, 5e-7, 1.3e-38),
    ("log1p", |x| if x > -1.0 { x.ln_1p() } else { f64::NAN }, 1e-6, 1e-30),
    ("log", |x| if x > 0.0 { x.ln() } else { f64::NAN }, 5e-7, 1e-30),
    ("is_finite", |_| 1.0, 0.0, 0.0),
];

#[test]
fn numerics_agree_with_f64_everywhere() {
    let mut points: Vec<f32> = (-875..=875).map(|i| i as f32 * 0.1).collect();
    points.extend((0..200).flat_map(|i| [1.0f32, -1.0].map(|s| s * 10f32.powf(-i as f32 * 0.15))));
    points.extend([0.0, 0.29, 0.2900001, -0.29, 0.4, -0.4, 0.3999999, 1.0, -0.9999999, 0.707, 1.415]);
    while !points.len().is_multiple_of(4) {
        points.push(2.0);
    }
    let columns = points.len() as u64;
    let mut bindings = vec![Binding::read("x", Element::Quad)];
    let mut body = "let value = load_x(col, valid);\n".to_string();
    let (count, half) = (FUNCTIONS.len(), Binding::write("y", Element::Quad));
    bindings.push(half);
    for (i, (name, ..)) in FUNCTIONS.iter().enumerate() {
        body += &format!(
            "store_y({}u * constants.columns + col, valid, {name}_4(value));\n\
             store_y({}u * constants.columns + col, valid, \
             vec4<f32>({name}_1(value.x), {name}_1(value.y), {name}_1(value.z), {name}_1(value.w)));\n",
            2 * i,
            2 * i + 1
        );
    }
    let hooks = Hooks { bindings, declarations: "#import numerics".to_string(), body, ..Hooks::default() };
    let size = Size::fixed(1);
    let after = run(
        &pointwise::pointwise(&hooks),
        &pointwise::constants(size, columns),
        pointwise::workgroups(size, columns),
        (1, WIDE),
        &[bits(&points), unwritten(columns * 2 * count as u64)],
    );
    let y = floats(&after[1]);
    for (i, (name, truth, relative, absolute)) in FUNCTIONS.iter().enumerate() {
        for (j, x) in points.iter().enumerate() {
            let expected = truth(*x as f64);
            if expected.is_nan() || expected.abs() > 1e38 {
                continue;
            }
            for width in 0..2 {
                let actual = y[(2 * i + width) * points.len() + j];
                let error = (actual as f64 - expected).abs();
                assert!(
                    error <= relative * (1.0 + x.abs() as f64) * expected.abs() + absolute,
                    "{name}({x}) = {actual} instead of {expected}"
                );
            }
        }
    }
}

#[test]
fn numerics_stand_extremes() {
    let x = [f32::MAX, f32::MIN, 1e30, -1e30, 88.5, -200.0, 0.0, 1e-30];
    let hooks = Hooks {
        bindings: vec![Binding::read("x", Element::Quad), Binding::read("odd", Element::Quad), Binding::write("y", Element::Quad)],
        declarations: "#import numerics".to_string(),
        body: "let value = load_x(col, valid);\n\
               store_y(col, valid, tanh_4(value));\n\
               store_y(8u + col, valid, sigmoid_4(value));\n\
               store_y(16u + col, valid, is_finite_4(exp_4(value)) * is_finite_4(softplus_4(value)) * is_finite_4(silu_4(value)));\n\
               store_y(24u + col, valid, is_finite_4(load_odd(col, valid)));"
            .to_string(),
        ..Hooks::default()
    };
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, f32::MAX, -f32::NAN, 1e-40, -1.0];
    let size = Size::fixed(1);
    let groups = pointwise::workgroups(size, 8);
    let buffers = [bits(&x), bits(&odd), unwritten(32)];
    let y = floats(&run(&pointwise::pointwise(&hooks), &pointwise::constants(size, 8), groups, (1, WIDE), &buffers)[2]);
    assert_eq!(y[..7], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0]);
    for (i, value) in y[8..16].iter().enumerate() {
        assert_near(*value, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.5][i], 1.0, 1e-6, "sigmoid");
    }
    assert_eq!(y[16..24], [1.0; 8]);
    assert_eq!(y[24..], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
}

/// Runs a gather for each chunk of a set of `n` rows.
fn gathered(stored: Stored, job: Gather, chunk: u64, clock: [u32; 4], batch: u64, data: &[u8]) -> Vec<u32> {
    let mut out = unwritten(batch * job.columns);
    let shader = gather::gather(stored, job.columns.is_multiple_of(4));
    let per_sample = Size::per_sample(1);
    for first_row in (0..job.n).step_by(chunk as usize) {
        let chunk_rows = chunk.min(job.n - first_row);
        let job = Gather { first_row, chunk_rows, ..job };
        let range = (first_row * job.columns) as usize..((first_row + chunk_rows) * job.columns) as usize;
        let words: Vec<u32> = match stored {
            Stored::Floats => data[range].iter().map(|b| (*b as f32).to_bits()).collect(),
            Stored::Bytes => {
                let word = |quad: &[u8]| quad.iter().rev().fold(0, |word, byte| word << 8 | *byte as u32);
                data[range].chunks(4).map(word).collect()
            }
        };
        let groups = gather::workgroups(&job, per_sample);
        let buffers = [clock.to_vec(), words, out];
        out = run(&shader, &gather::constants(&job, per_sample), groups, (batch, 3), &buffers).swap_remove(2);
    }
    out
}

#[test]
fn gather_reads_the_rows_that_the_host_names() {
    for (stored, columns) in [(Stored::Bytes, 68), (Stored::Bytes, 7), (Stored::Floats, 12), (Stored::Floats, 3)] {
        for (n, chunk, batch, clock) in [
            (23, 23, 50, [0, 0, 5, 6]),
            (37, 10, 13, [9, 4, 5, 6]),
            (1, 1, 3, [2, 0, 5, 6]),
            (97, 97, 9, [u32::MAX - 1, u32::MAX - 3, 7, 8]),
        ] {
            let data: Vec<u8> = (0..n * columns).map(|i| (i * 37 + i / columns * 11) as u8).collect();
            for shuffled in [true, false] {
                let total_batch = if clock[0] > 100 { 1 << 20 } else { batch };
                let job = Gather {
                    columns,
                    total_batch: Size::fixed(total_batch),
                    n,
                    first_row: 0,
                    chunk_rows: n,
                    shuffled,
                    scale: 0.5,
                    shift: -3.0,
                };
                let out = floats(&gathered(stored, job, chunk, clock, batch, &data));
                for b in 0..batch {
                    let position = clock[0] as u64 * total_batch + clock[1] as u64 + b;
                    let row = match shuffled {
                        true => random::row(position, n as u32, [clock[2], clock[3]]) as u64,
                        false => position % n,
                    };
                    for c in 0..columns {
                        let expected = 0.5 * data[(row * columns + c) as usize] as f32 - 3.0;
                        assert_eq!(
                            out[(b * columns + c) as usize],
                            expected,
                            "{stored:?} n = {n}, sample {b}, column {c}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_epoch_of_gathers_reads_each_row_once() {
    let (n, columns, batch) = (101u64, 1, 20);
    let data: Vec<u8> = (0..n).map(|i| i as u8).collect();
    let job = Gather {
        columns,
        total_batch: Size::per_sample(1),
        n,
        first_row: 0,
        chunk_rows: n,
        shuffled: true,
        scale: 1.0,
        shift: 0.0,
    };
    let steps = (0..11).flat_map(|step| gathered(Stored::Bytes, job, n, [step, 0, 3, 4], batch, &data));
    let rows: Vec<u32> = steps.map(|word| f32::from_bits(word) as u32).collect();
    let (first, second) = (&rows[..101], &rows[101..202]);
    for epoch in [first, second] {
        let mut sorted = epoch.to_vec();
        sorted.sort();
        assert_eq!(sorted, (0..101).collect::<Vec<_>>());
    }
    assert_ne!(first, second, "each epoch has an order of its own");
}

#[test]
fn copies_move_what_they_should_and_nothing_else() {
    let fixed = |values: [u64; 4]| values.map(Size::fixed);
    let dense = |sizes: [u64; 4]| [sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1];
    // sizes, input (offset, strides, floats), output likewise.
    type Part = (u64, [u64; 4], u64);
    let cases: [([u64; 4], Part, Part); 4] = [
        // A transposition of the middle dimensions.
        ([3, 5, 2, 7], (0, dense([3, 5, 2, 7]), 210), (0, [70, 7, 35, 1], 210)),
        // Columns 3.. of 17 into columns 1.. of 5.
        ([1, 1, 33, 4], (3, [0, 0, 17, 1], 561), (1, [0, 0, 5, 1], 165)),
        // A broadcast of a row.
        ([1, 1, 9, 5], (0, [0, 0, 0, 1], 5), (0, [0, 0, 5, 1], 45)),
        // Whole vectors: into the right half of rows of 24.
        ([1, 67, 3, 8], (0, [0, 24, 8, 1], 1608), (8, [0, 72, 24, 1], 4824)),
    ];
    for (i, (sizes, (from, from_strides, from_floats), (to, to_strides, to_floats))) in cases.into_iter().enumerate() {
        let job = Box4 {
            sizes: fixed(sizes),
            input: Side { offset: Size::fixed(from), strides: fixed(from_strides) },
            output: Side { offset: Size::fixed(to), strides: fixed(to_strides) },
        };
        assert_eq!(job.quads(), i == 3);
        let input = noise(from_floats, 8);
        let buffers = [bits(&input), unwritten(to_floats)];
        let after = run(&copy::copy(job.quads()), &copy::constants(&job), copy::workgroups(&job), (1, 2), &buffers);
        let mut expected = unwritten(to_floats);
        for element in 0..sizes.iter().product() {
            let (mut rest, mut places) = (element, [from, to]);
            for d in (0..4).rev() {
                places[0] += rest % sizes[d] * from_strides[d];
                places[1] += rest % sizes[d] * to_strides[d];
                rest /= sizes[d];
            }
            expected[places[1] as usize] = input[places[0] as usize].to_bits();
        }
        assert!(after[1] == expected, "copy {i}");
    }
}

#[test]
fn copies_follow_the_batch() {
    let job = Box4 {
        sizes: [Size::per_sample(1), Size::fixed(1), Size::fixed(1), Size::fixed(6)],
        input: Side {
            offset: Size::per_sample(2),
            strides: [Size::fixed(6), Size::fixed(0), Size::fixed(0), Size::fixed(1)],
        },
        output: Side {
            offset: Size::fixed(0),
            strides: [Size::fixed(1), Size::fixed(0), Size::fixed(0), Size::per_sample(1)],
        },
    };
    assert!(!job.quads());
    let buffers = [bits(&noise(5 * 8, 9)), unwritten(30)];
    let after = run(&copy::copy(false), &copy::constants(&job), copy::workgroups(&job), (5, WIDE), &buffers);
    for (b, c) in (0..5).flat_map(|b| (0..6).map(move |c| (b, c))) {
        assert_eq!(after[1][c * 5 + b], buffers[0][10 + b * 6 + c]);
    }
}

#[test]
fn ring_and_clock_stop_when_the_status_is_not_zero() {
    let one = Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 };
    assert_eq!((ring::workgroups(), tick::workgroups()), (one, one));
    for (status, runs) in
        [(0.0, true), (-0.0, true), (1.0, false), (f32::NAN, false), (f32::INFINITY, false), (1e-40, false)]
    {
        let clock = vec![u32::MAX, 1, 2, 3];
        let after = run(&tick::tick(), &tick::constants(Tick::Step), one, (1, WIDE), &[bits(&[status]), clock.clone()]);
        assert_eq!(after[1], if runs { vec![0, 1, 2, 3] } else { clock.clone() }, "status {status}");
        for (by, next) in [(Tick::Part, [u32::MAX, 6, 2, 3]), (Tick::Last, [0, 0, 2, 3])] {
            let after = run(&tick::tick(), &tick::constants(by), one, (5, WIDE), &[bits(&[status]), clock.clone()]);
            assert_eq!(after[1], if runs { next.to_vec() } else { clock.clone() }, "{by:?}, status {status}");
        }

        for record in [1, 3] {
            let mut buffers = vec![vec![9, 0, 0, 0], bits(&[status]), unwritten(7 * record as u64)];
            buffers.extend((0..record).map(|i| bits(&[i as f32 + 0.5])));
            let after = run(&ring::ring(record), &ring::constants(7), one, (1, WIDE), &buffers);
            for (place, word) in (0..).zip(&after[2]) {
                let hit = runs && place / record == 9 % 7;
                assert_eq!(*word, if hit { ((place % record) as f32 + 0.5).to_bits() } else { UNWRITTEN });
            }
        }
    }
}
