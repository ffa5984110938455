// out[b, c] = scale * data[row(b), c] + shift, for the samples b of a batch, with row(b) drawn without replacement:
// position = step * total_batch + sample_base + b (64 bits), epoch = position / n, row = permute(position mod n, n, seed, epoch).
// In order, row = position mod n.
//
// Bindings: 1 = clock, u32[4] = (step, sample_base, seed_lo, seed_hi); 2 = data, ${KIND}, rows packed tight,
// from row first_row on; 3 = out, f32[batch, columns]. Rows outside of the chunk leave out as it was.
// Grid: `lanes` threads for each sample, which take its quads in turn; ${THREADS} threads a workgroup.
//
// Why lanes: the row's number costs a long division and a few Feistel walks, so a thread should earn it over several quads,
// and neighbouring threads still read neighbouring words.
#import grid
#import bijection

struct Constants {
    batch: u32,
    columns: u32,
    total_batch: u32,
    n: u32,
    first_row: u32,
    chunk_rows: u32,
    lanes: u32,
    shuffled: u32,
    scale: f32,
    shift: f32,
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> clock: array<u32>;
@group(0) @binding(2) var<storage, read> data: array<${ELEMENT}>;
@group(0) @binding(3) var<storage, read_write> output: array<${OUT_ELEMENT}>;

#ifdef BYTES
#ifndef ALIGNED
fn byte_at(index: u32) -> u32 {
    return (data[index >> 2u] >> ((index & 3u) * 8u)) & 0xffu;
}
#endif
#endif

fn load_quad(index: u32, valid: u32) -> vec4<f32> {
#ifdef ALIGNED
#ifdef BYTES
    let word = data[index >> 2u];
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu));
#else
    return data[index >> 2u];
#endif
#else
    var quad = vec4<f32>(0.0);
#for i in 0..4
    if (valid > ${i}u) {
#ifdef BYTES
        quad[${i}] = f32(byte_at(index + ${i}u));
#else
        quad[${i}] = data[index + ${i}u];
#endif
    }
#endfor
    return quad;
#endif
}

fn store_quad(index: u32, valid: u32, value: vec4<f32>) {
#ifdef ALIGNED
    output[index >> 2u] = value;
#else
#for i in 0..4
    if (valid > ${i}u) {
        output[index + ${i}u] = value[${i}];
    }
#endfor
#endif
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let thread = workgroup_number(group, groups) * ${THREADS}u + local;
    let sample = thread / constants.lanes;
    if (sample >= constants.batch) {
        return;
    }
    let offset = clock[1] + sample;
    let product = clock[0] * constants.total_batch;
    let low = product + offset;
    let high = mul_high(clock[0], constants.total_batch) + select(0u, 1u, low < product) + select(0u, 1u, offset < sample);
    let epoch_index = divide_wide(low, high, constants.n);
    var row = epoch_index.y;
    if (constants.shuffled != 0u) {
        row = permute(row, constants.n, vec2<u32>(clock[2], clock[3]), epoch_index.x);
    }
    if (row < constants.first_row || row - constants.first_row >= constants.chunk_rows) {
        return;
    }
    let source_row = (row - constants.first_row) * constants.columns;
    for (var col = thread % constants.lanes * 4u; col < constants.columns; col += constants.lanes * 4u) {
        let valid = min(4u, constants.columns - col);
        let value = load_quad(source_row + col, valid) * constants.scale + vec4<f32>(constants.shift);
        store_quad(sample * constants.columns + col, valid, value);
    }
}
