//! Philox on the device: known answers, and the words, uniforms and normals of the host.

use super::{WIDE, assert_near, unwritten};
use crate::common::kernel_harness::run;
use tweedie::graph::random;
use tweedie::kernels::{Binding, Element, Hooks, pointwise};
use tweedie::plan::Size;

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
