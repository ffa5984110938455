// What all tiles of the matrix product share: constants, operands, guarded loads of four floats, the epilogue.
#import grid

struct Constants {
    rows: u32,
    columns: u32,
    inner: u32,
    splits: u32,
#ifdef UNFOLD
    grid_height: u32,
    grid_width: u32,
    height: u32,
    width: u32,
    top: u32,
    left: u32,
    channels: u32,
    per_grid_height: f32,
    per_grid_width: f32,
    per_channels: f32,
#endif
#ifdef BATCHED
    matrices: u32,
#endif
#ifdef JOINED
    first: u32,
#endif
    ${HOOK_CONSTANTS}
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> a: array<${A_ELEMENT}>;
@group(0) @binding(2) var<storage, read> b: array<${B_ELEMENT}>;
#ifdef JOINED
// The columns of A from `first` on; `a` holds those before.
@group(0) @binding(3) var<storage, read> a_rest: array<${A_ELEMENT}>;
#endif
#ifdef BATCHED
// On which of the matrices this workgroup works. They lie one after the other; the epilogue is told rows among all.
var<private> matrix: u32;
#endif
${HOOK_BINDINGS}
${HOOK_DECLARATIONS}

fn epilogue(row: u32, col: u32, valid: u32, split: u32, acc: vec4<f32>) {
    ${HOOK_BODY}
}

fn finish(row: u32, col: u32, split: u32, acc: vec4<f32>) {
    if (row < constants.rows && col < constants.columns) {
#ifdef BATCHED
        epilogue(matrix * constants.rows + row, col, min(4u, constants.columns - col), split, acc);
#else
        epilogue(row, col, min(4u, constants.columns - col), split, acc);
#endif
    }
}

#ifdef A_ALIGNED
// The four floats from `column` on of a row of A as it is stored, 0 unless they are `inside`.
fn stored_quad(row: u32, column: u32, columns: u32, inside: bool) -> vec4<f32> {
#ifdef JOINED
    if (column >= constants.first) {
        let index = row * (columns - constants.first) + column - constants.first;
        return select(vec4<f32>(0.0), a_rest[select(0u, index >> 2u, inside)], inside);
    }
    let index = row * constants.first + column;
#else
    let index = row * columns + column;
#endif
    return select(vec4<f32>(0.0), a[select(0u, index >> 2u, inside)], inside);
}
#else
// One float of a row of A as it is stored, 0 unless it is `inside`.
fn stored(row: u32, column: u32, columns: u32, inside: bool) -> f32 {
#ifdef JOINED
    if (column >= constants.first) {
        let index = row * (columns - constants.first) + column - constants.first;
        return select(0.0, a_rest[select(0u, index, inside)], inside);
    }
    let index = row * constants.first + column;
#else
    let index = row * columns + column;
#endif
    return select(0.0, a[select(0u, index, inside)], inside);
}
#endif

#ifdef UNFOLD
#import unfold
#else
// The four floats from (major, minor) on along the rows of an operand as it is stored, 0 outside of it.
fn a_quad(major: u32, minor: u32) -> vec4<f32> {
    let minors = constants.${A_MINORS};
#ifdef BATCHED
    let row = matrix * constants.${A_MAJORS} + major;
#else
    let row = major;
#endif
#ifdef A_ALIGNED
    return stored_quad(row, minor, minors, major < constants.${A_MAJORS} && minor < minors);
#else
    let valid = select(0u, minors - min(minor, minors), major < constants.${A_MAJORS});
    return vec4<f32>(
#for i in 0..4
        stored(row, minor + ${i}u, minors, valid > ${i}u),
#endfor
    );
#endif
}
#endif

#ifndef TRANSPOSED
fn b_quad(major: u32, minor: u32) -> vec4<f32> {
    let minors = constants.${B_MINORS};
#ifdef BATCHED
    let index = (matrix * constants.${B_MAJORS} + major) * minors + minor;
#else
    let index = major * minors + minor;
#endif
#ifdef B_ALIGNED
    let inside = major < constants.${B_MAJORS} && minor < minors;
    return select(vec4<f32>(0.0), b[select(0u, index >> 2u, inside)], inside);
#else
    let valid = select(0u, minors - min(minor, minors), major < constants.${B_MAJORS});
    return vec4<f32>(
#for i in 0..4
        select(0.0, b[select(0u, index + ${i}u, valid > ${i}u)], valid > ${i}u),
#endfor
    );
#endif
}
#endif
