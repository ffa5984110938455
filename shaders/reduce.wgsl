#ifdef OVER_COLUMNS
// y[r] = ${OP} over c of x[r, c]; with chunks > 1, y[r, s] covers the s-th part of the columns.
#else
// y[o, c] = ${OP} over r of x[o, r, c]; with chunks > 1, y[o, s, c] covers the s-th part of the rows.
#endif
// x is whatever the prologue loads or computes, a quad of columns at a time; it may store side outputs. The row that it
// is told is the number among all rows.
//
// Bindings: 1 = output, f32; the prologue's follow.
#ifdef OVER_COLUMNS
// Grid: one workgroup for ${THREADS / LANES} rows and one chunk, ${LANES} threads a row.
#else
// Grid: one workgroup for ${LANES} quads of columns, one chunk and one o, ${THREADS / LANES} threads a quad: neighbours read neighbours.
#endif
//
// Order: a thread adds blocks of 16 quads, then the blocks; threads meet in a tree; chunks are reduced by a second launch.
// So the order is fixed, rounding errors grow with the root of the length, and no compensation is there for fast math to drop.
#import grid

struct Constants {
    rows: u32,
    columns: u32,
    chunks: u32,
    outer: u32,
    ${HOOK_CONSTANTS}
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
${HOOK_BINDINGS}
${HOOK_DECLARATIONS}

fn prologue(row: u32, col: u32, valid: u32) -> vec4<f32> {
    ${HOOK_BODY}
    return value;
}

fn masked(row: u32, quad: u32) -> vec4<f32> {
    let valid = min(4u, constants.columns - quad * 4u);
    return select(vec4<f32>(${IDENTITY}), prologue(row, quad * 4u, valid), vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(valid));
}

#ifdef MAXIMUM
fn combine(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return max(x, y);
}

fn across(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}
#else
fn combine(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return x + y;
}

fn across(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}
#endif

#if THREADS_MEETING - 1
var<workgroup> meeting: array<vec4<f32>, ${THREADS}>;
#endif

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = workgroup_number(group, groups);
    let chunk = number % constants.chunks;
    let quads = (constants.columns + 3u) / 4u;
    var total = vec4<f32>(${IDENTITY});
    var block = vec4<f32>(${IDENTITY});
    var step = 0u;
#ifdef OVER_COLUMNS
    let first_row = number / constants.chunks * ${THREADS / LANES}u;
    if (first_row >= constants.rows) {
        return;
    }
    let row = first_row + local / ${LANES}u;
    let lane = local % ${LANES}u;
    let length = (quads + constants.chunks - 1u) / constants.chunks;
    let end = select(0u, min(chunk * length + length, quads), row < constants.rows);
    for (var quad = chunk * length + lane; quad < end; quad += ${LANES}u) {
        block = combine(block, masked(row, quad));
#else
    let per_outer = (quads + ${LANES - 1}u) / ${LANES}u * constants.chunks;
    let outer = number / per_outer;
    if (outer >= constants.outer) {
        return;
    }
    let first_row = outer * constants.rows;
    let quad = number % per_outer / constants.chunks * ${LANES}u + local % ${LANES}u;
    let lane = local / ${LANES}u;
    let length = (constants.rows + constants.chunks - 1u) / constants.chunks;
    let end = select(0u, min(chunk * length + length, constants.rows), quad < quads);
    for (var row = chunk * length + lane; row < end; row += ${THREADS / LANES}u) {
        block = combine(block, masked(first_row + row, quad));
#endif
        step += 1u;
        if ((step & 15u) == 0u) {
            total = combine(total, block);
            block = vec4<f32>(${IDENTITY});
        }
    }
    total = combine(total, block);
#if THREADS_MEETING - 1
    meeting[local] = total;
    workgroupBarrier();
    for (var half = ${THREADS_MEETING / 2}u; half > 0u; half >>= 1u) {
        if (lane < half) {
            meeting[local] = combine(meeting[local], meeting[local + half * ${STRIDE}u]);
        }
        workgroupBarrier();
    }
    total = meeting[local];
#endif
#ifdef OVER_COLUMNS
    if (lane == 0u && row < constants.rows) {
        output[row * constants.chunks + chunk] = across(total);
    }
#else
    if (lane == 0u && quad < quads) {
        let place = (outer * constants.chunks + chunk) * constants.columns + quad * 4u;
#for i in 0..4
        if (quad * 4u + ${i}u < constants.columns) {
            output[place + ${i}u] = total[${i}];
        }
#endfor
    }
#endif
}
