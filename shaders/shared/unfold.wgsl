// The operand A of a convolution as a matrix product: the unfolded images, which are never stored.
//   A[(image, i, j), (tap row, tap column, channel)] = images[image, s i + tap row - top, s j + tap column - left, channel]
//   TRANSPOSED: the place is a pixel of the result, and tap row and column meet the pixel ((i + top - tap row) / s, …) of
//   the images where that divides.
// Outside of the images it is 0. `a` holds them as [image, row, column, channel].
//
// What depends on the place, or on the tap, alone does not change along one of a tile's loops, and compilers move it out.
// Divisions by lengths that the text does not know go through floats: software drivers divide integers lane by lane.

const OUTSIDE = 0xffffffffu;

// n / d for n < 2^24, given 1 / d: the product of floats is off by less than one.
fn quotient(n: u32, d: u32, inverse: f32) -> u32 {
    let guess = u32(f32(n) * inverse);
    // One too many wraps around.
    let rest = n - guess * d;
    return select(select(guess, guess + 1u, rest >= d), guess - 1u, rest >= 0x80000000u);
}

// Image, row and column of a place of the kernel.
fn place_of(number: u32) -> vec3<u32> {
    let line = quotient(number, constants.grid_width, constants.per_grid_width);
    let image = quotient(line, constants.grid_height, constants.per_grid_height);
    return vec3<u32>(image, line - image * constants.grid_height, number - line * constants.grid_width);
}

// Which pixel of the images an element of a row of A is of, OUTSIDE if of none, and its channel.
fn source_of(place: vec3<u32>, element: u32) -> vec2<u32> {
    let tap = quotient(element, constants.channels, constants.per_channels);
    let channel = element - tap * constants.channels;
    // What is left of or above the images wraps around to a large number.
#ifdef TRANSPOSED
    let down = place.y + constants.top - tap / ${KERNEL_WIDTH}u;
    let across = place.z + constants.left - tap % ${KERNEL_WIDTH}u;
    let row = down / ${STRIDE}u;
    let column = across / ${STRIDE}u;
    let meets = down % ${STRIDE}u + across % ${STRIDE}u == 0u;
#else
    let row = (place.y * ${STRIDE}u + tap / ${KERNEL_WIDTH}u - constants.top) / ${UPSAMPLE}u;
    let column = (place.z * ${STRIDE}u + tap % ${KERNEL_WIDTH}u - constants.left) / ${UPSAMPLE}u;
    let meets = true;
#endif
    let pixel = (place.x * constants.height + row) * constants.width + column;
    return vec2<u32>(select(OUTSIDE, pixel, meets && row < constants.height && column < constants.width), channel);
}

fn a_quad(major: u32, minor: u32) -> vec4<f32> {
    let place = place_of(major);
#ifdef A_ALIGNED
    // Channels are whole quads.
    let source = source_of(place, minor);
    let inside = source.x != OUTSIDE && major < constants.${A_MAJORS} && minor < constants.${A_MINORS};
    return stored_quad(source.x, source.y, constants.channels, inside);
#else
    let valid = select(0u, constants.${A_MINORS} - min(minor, constants.${A_MINORS}), major < constants.${A_MAJORS});
#for i in 0..4
    let source_${i} = source_of(place, minor + ${i}u);
    let inside_${i} = source_${i}.x != OUTSIDE && valid > ${i}u;
#endfor
    return vec4<f32>(
#for i in 0..4
        stored(source_${i}.x, source_${i}.y, constants.channels, inside_${i}),
#endfor
    );
#endif
}

#ifdef TRANSPOSED
// B[(tap, channel out), channel in] of a data gradient: the kernel is stored as [tap, channel in, channel out].
fn b_quad(major: u32, minor: u32) -> vec4<f32> {
    let gap = (constants.columns - 1u) * constants.channels;
    let first = major * constants.channels + minor;
#ifdef B_ALIGNED
    let index = first + quotient(minor, constants.channels, constants.per_channels) * gap;
    let inside = major < constants.columns && minor < constants.inner;
    return select(vec4<f32>(0.0), b[select(0u, index >> 2u, inside)], inside);
#else
    let valid = select(0u, constants.inner - min(minor, constants.inner), major < constants.columns);
#for i in 0..4
    let index_${i} = first + ${i}u + quotient(minor + ${i}u, constants.channels, constants.per_channels) * gap;
#endfor
    return vec4<f32>(
#for i in 0..4
        select(0.0, b[select(0u, index_${i}, valid > ${i}u)], valid > ${i}u),
#endfor
    );
#endif
}
#endif
