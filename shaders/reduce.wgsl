#ifdef OVER_COLUMNS
// y[r] = ${OP} over c of x[r, c]; with chunks > 1, y[r, s] covers the s-th part of the columns.
#else
// y[o, c] = ${OP} over r of x[o, r, c]; with chunks > 1, y[o, s, c] covers the s-th part of the rows.
#endif
// x is whatever the prologue loads or computes, a quad of columns at a time; it may store side outputs. The row that it
// is told is the number among all rows.
//
// ${VALUES} of these at once: the prologue gives as many x from one pass over what it reads.
//
// Bindings: the outputs, f32, from 1 on; the prologue's follow.
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
#for v in 0..VALUES
@group(0) @binding(${v + 1}) var<storage, read_write> output_${v}: array<f32>;
#endfor
${HOOK_BINDINGS}
${HOOK_DECLARATIONS}

struct Values {
#for v in 0..VALUES
    value_${v}: vec4<f32>,
#endfor
}

fn prologue(row: u32, col: u32, valid: u32) -> Values {
    ${HOOK_BODY}
    var values: Values;
#for v in 0..VALUES
    values.value_${v} = value_${v};
#endfor
    return values;
}

fn masked(value: vec4<f32>, valid: u32) -> vec4<f32> {
    return select(vec4<f32>(${IDENTITY}), value, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(valid));
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
var<workgroup> meeting: array<vec4<f32>, ${THREADS * VALUES}>;
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
#for v in 0..VALUES
    var total_${v} = vec4<f32>(${IDENTITY});
    var block_${v} = vec4<f32>(${IDENTITY});
#endfor
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
        let prologue_row = row;
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
        let prologue_row = first_row + row;
#endif
        let valid = min(4u, constants.columns - quad * 4u);
        let values = prologue(prologue_row, quad * 4u, valid);
#for v in 0..VALUES
        block_${v} = combine(block_${v}, masked(values.value_${v}, valid));
#endfor
        step += 1u;
        if ((step & 15u) == 0u) {
#for v in 0..VALUES
            total_${v} = combine(total_${v}, block_${v});
            block_${v} = vec4<f32>(${IDENTITY});
#endfor
        }
    }
#for v in 0..VALUES
    total_${v} = combine(total_${v}, block_${v});
#endfor
#if THREADS_MEETING - 1
#for v in 0..VALUES
    meeting[local + ${v * THREADS}u] = total_${v};
#endfor
    workgroupBarrier();
    for (var half = ${THREADS_MEETING / 2}u; half > 0u; half >>= 1u) {
        if (lane < half) {
#for v in 0..VALUES
            meeting[local + ${v * THREADS}u] =
                combine(meeting[local + ${v * THREADS}u], meeting[local + ${v * THREADS}u + half * ${STRIDE}u]);
#endfor
        }
        workgroupBarrier();
    }
#for v in 0..VALUES
    total_${v} = meeting[local + ${v * THREADS}u];
#endfor
#endif
#ifdef OVER_COLUMNS
    if (lane == 0u && row < constants.rows) {
#for v in 0..VALUES
        output_${v}[row * constants.chunks + chunk] = across(total_${v});
#endfor
    }
#else
    if (lane == 0u && quad < quads) {
        let place = (outer * constants.chunks + chunk) * constants.columns + quad * 4u;
#for i in 0..4
        if (quad * 4u + ${i}u < constants.columns) {
#for v in 0..VALUES
            output_${v}[place + ${i}u] = total_${v}[${i}];
#endfor
        }
#endfor
    }
#endif
}
