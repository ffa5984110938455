// C = op(A) op(B): C[r, c] = sum over k of A[r, k] B[k, c], A and B stored in one of three layouts:
//   Nn: A[rows, inner], B[inner, columns]   Nt: A[rows, inner], B[columns, inner]   Tn: A[inner, rows], B[inner, columns].
// With splits > 1, split s sums its own range of k and the epilogue sees which; the partial sums are added elsewhere.
//
// Bindings: 1 = A, 2 = B, row-major f32 (vec4 where aligned: inner dimension a multiple of 4); the epilogue's follow.
// Grid: one workgroup per ${ROWS}x${COLUMNS} tile and split, columns fastest, so that neighbours share rows of A.
//
// Tiling: both operands are staged K-major as vec4, so a thread reads whole vectors of rows and of columns for each k:
// ${THREAD_ROWS / 4 + THREAD_COLUMNS / 4} shared loads feed ${THREAD_ROWS * THREAD_COLUMNS} multiply-adds. Operands that lie the other way are turned in registers, 4x4 at
// a time, because a store into one component of a shared vector may write the whole vector. A thread's quads
// lie a stride apart, so that neighbouring lanes read neighbouring vectors. K is written out in text: compilers do not unroll it.
#import matmul

var<workgroup> tile_a: array<vec4<f32>, ${DEPTH * ROWS / 4}>;
var<workgroup> tile_b: array<vec4<f32>, ${DEPTH * COLUMNS / 4}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let place = workgroup_number(group, groups);
    let column_tiles = (constants.columns + ${COLUMNS - 1}u) / ${COLUMNS}u;
    let per_row_tile = column_tiles * constants.splits;
#ifdef BATCHED
    let per_matrix = (constants.rows + ${ROWS - 1}u) / ${ROWS}u * per_row_tile;
    if (place / per_matrix >= constants.matrices) {
        return;
    }
    matrix = place / per_matrix;
    let number = place % per_matrix;
#else
    let number = place;
#endif
    let first_row = number / per_row_tile * ${ROWS}u;
    if (first_row >= constants.rows) {
        return;
    }
    let split = number % per_row_tile / column_tiles;
    let first_column = number % column_tiles * ${COLUMNS}u;
    let depth = ((constants.inner + constants.splits - 1u) / constants.splits + ${DEPTH - 1}u) / ${DEPTH}u * ${DEPTH}u;
    let start = split * depth;
    let end = min(start + depth, constants.inner);
    let across = local % ${ACROSS}u;
    let down = local / ${ACROSS}u;
#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
    var acc_${i}_${c} = vec4<f32>(0.0);
#endfor
#endfor

    for (var k = start; k < end; k += ${DEPTH}u) {
#ifdef A_TURNED
#for pass in 0..(ROWS * DEPTH / 16 + THREADS - 1) / THREADS
        {
            let block = local + ${pass * THREADS}u;
#if ROWS * DEPTH / 16 % THREADS
            if (block < ${ROWS * DEPTH / 16}u) {
#else
            {
#endif
                let row = block / ${DEPTH / 4}u;
                let step = block % ${DEPTH / 4}u * 4u;
                let quad_0 = a_quad(first_row + row * 4u, k + step);
                let quad_1 = a_quad(first_row + row * 4u + 1u, k + step);
                let quad_2 = a_quad(first_row + row * 4u + 2u, k + step);
                let quad_3 = a_quad(first_row + row * 4u + 3u, k + step);
                let place = step * ${ROWS / 4}u + row;
                tile_a[place] = vec4<f32>(quad_0.x, quad_1.x, quad_2.x, quad_3.x);
                tile_a[place + ${ROWS / 4}u] = vec4<f32>(quad_0.y, quad_1.y, quad_2.y, quad_3.y);
                tile_a[place + ${ROWS / 2}u] = vec4<f32>(quad_0.z, quad_1.z, quad_2.z, quad_3.z);
                tile_a[place + ${ROWS * 3 / 4}u] = vec4<f32>(quad_0.w, quad_1.w, quad_2.w, quad_3.w);
            }
        }
#endfor
#else
#for pass in 0..(ROWS * DEPTH / 4 + THREADS - 1) / THREADS
        {
            let place = local + ${pass * THREADS}u;
#if ROWS * DEPTH / 4 % THREADS
            if (place < ${ROWS * DEPTH / 4}u) {
#else
            {
#endif
                tile_a[place] = a_quad(k + place / ${ROWS / 4}u, first_row + place % ${ROWS / 4}u * 4u);
            }
        }
#endfor
#endif
#ifdef B_TURNED
#for pass in 0..(COLUMNS * DEPTH / 16 + THREADS - 1) / THREADS
        {
            // The threads that had no block of A come first.
            let block = (local + ${THREADS - ROWS * DEPTH / 16 % THREADS}u) % ${THREADS}u + ${pass * THREADS}u;
#if COLUMNS * DEPTH / 16 % THREADS
            if (block < ${COLUMNS * DEPTH / 16}u) {
#else
            {
#endif
                let column = block / ${DEPTH / 4}u;
                let step = block % ${DEPTH / 4}u * 4u;
                let quad_0 = b_quad(first_column + column * 4u, k + step);
                let quad_1 = b_quad(first_column + column * 4u + 1u, k + step);
                let quad_2 = b_quad(first_column + column * 4u + 2u, k + step);
                let quad_3 = b_quad(first_column + column * 4u + 3u, k + step);
                let place = step * ${COLUMNS / 4}u + column;
                tile_b[place] = vec4<f32>(quad_0.x, quad_1.x, quad_2.x, quad_3.x);
                tile_b[place + ${COLUMNS / 4}u] = vec4<f32>(quad_0.y, quad_1.y, quad_2.y, quad_3.y);
                tile_b[place + ${COLUMNS / 2}u] = vec4<f32>(quad_0.z, quad_1.z, quad_2.z, quad_3.z);
                tile_b[place + ${COLUMNS * 3 / 4}u] = vec4<f32>(quad_0.w, quad_1.w, quad_2.w, quad_3.w);
            }
        }
#endfor
#else
#for pass in 0..(COLUMNS * DEPTH / 4 + THREADS - 1) / THREADS
        {
            let place = local + ${pass * THREADS}u;
#if COLUMNS * DEPTH / 4 % THREADS
            if (place < ${COLUMNS * DEPTH / 4}u) {
#else
            {
#endif
                tile_b[place] = b_quad(k + place / ${COLUMNS / 4}u, first_column + place % ${COLUMNS / 4}u * 4u);
            }
        }
#endfor
#endif
        workgroupBarrier();
#for k in 0..DEPTH
#for r in 0..THREAD_ROWS / 4
        let a_${k}_${r} = tile_a[${k * ROWS / 4 + r * DOWN}u + down];
#endfor
#for c in 0..THREAD_COLUMNS / 4
        let b_${k}_${c} = tile_b[${k * COLUMNS / 4 + c * ACROSS}u + across];
#endfor
#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(vec4<f32>(a_${k}_${i / 4}[${i % 4}]), b_${k}_${c}, acc_${i}_${c});
#endfor
#endfor
#endfor
        workgroupBarrier();
    }

#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
    finish(first_row + (${i / 4 * DOWN}u + down) * 4u + ${i % 4}u, first_column + (${c * ACROSS}u + across) * 4u, split, acc_${i}_${c});
#endfor
#endfor
}
