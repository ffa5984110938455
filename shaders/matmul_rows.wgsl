// C = op(A) op(B), the layouts, splits, bindings and grid of matmul.wgsl, for drivers that run on a CPU.
//
// Tiling: no workgroup memory and no barrier, which such drivers pay for dearly; a workgroup is as wide as their vectors
// (${THREADS} lanes), every lane keeps ${THREAD_ROWS} rows of ${THREAD_COLUMNS} columns and takes four steps of k at a time.
#ifdef LANES
// Their loads go lane by lane, so that one which every lane repeats costs as much as one which brings new values: the lanes
// load different parts of A and pass them around. This needs subgroups of exactly ${LANES} lanes.
#else
// Their loads go lane by lane and component by component, but checks and addresses only load by load: so they are vectors.
#endif
#import matmul

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
#ifdef LANES
    @builtin(subgroup_invocation_id) lane: u32,
#endif
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
    let first_column = number % column_tiles * ${COLUMNS}u + local * 4u;
    let depth = ((constants.inner + constants.splits - 1u) / constants.splits + 3u) / 4u * 4u;
    let start = split * depth;
    let end = min(start + depth, constants.inner);
#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
    var acc_${i}_${c} = vec4<f32>(0.0);
#endfor
#endfor

    for (var k = start; k < end; k += 4u) {
        // b_(step)_(block of columns)
#ifdef B_TURNED
#for c in 0..THREAD_COLUMNS / 4
#for j in 0..4
        let column_${c}_${j} = b_quad(first_column + ${c * THREADS * 4 + j}u, k);
#endfor
#for k in 0..4
        let b_${k}_${c} = vec4<f32>(column_${c}_0[${k}], column_${c}_1[${k}], column_${c}_2[${k}], column_${c}_3[${k}]);
#endfor
#endfor
#else
#for k in 0..4
#for c in 0..THREAD_COLUMNS / 4
        let b_${k}_${c} = b_quad(k + ${k}u, first_column + ${c * THREADS * 4}u);
#endfor
#endfor
#endif
#ifdef LANES
#ifdef A_TURNED
        // A lane holds four steps of the rows lane, lane + ${LANES}, …
#for r in 0..THREAD_ROWS / LANES
        let held_${r} = a_quad(first_row + ${r * LANES}u + lane, k);
#endfor
#for i in 0..THREAD_ROWS
#for k in 0..4
        let a_${i}_${k} = vec4<f32>(subgroupShuffle(held_${i / LANES}[${k}], ${i % LANES}u));
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(a_${i}_${k}, b_${k}_${c}, acc_${i}_${c});
#endfor
#endfor
#endfor
#else
        // Two lanes hold a step: half of its rows each.
#for r in 0..THREAD_ROWS / 8
        let held_${r} = a_quad(k + lane / 2u, first_row + (lane & 1u) * ${THREAD_ROWS / 2}u + ${r * 4}u);
#endfor
#for i in 0..THREAD_ROWS
#for k in 0..4
        let a_${i}_${k} = vec4<f32>(subgroupShuffle(held_${i % (THREAD_ROWS / 2) / 4}[${i % 4}], ${k * 2 + i / (THREAD_ROWS / 2)}u));
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(a_${i}_${k}, b_${k}_${c}, acc_${i}_${c});
#endfor
#endfor
#endfor
#endif
#else
#ifdef A_TURNED
#for i in 0..THREAD_ROWS
        let a_${i} = a_quad(first_row + ${i}u, k);
#for k in 0..4
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(vec4<f32>(a_${i}[${k}]), b_${k}_${c}, acc_${i}_${c});
#endfor
#endfor
#endfor
#else
#for k in 0..4
#for r in 0..THREAD_ROWS / 4
        let a_${k}_${r} = a_quad(k + ${k}u, first_row + ${r * 4}u);
#endfor
#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(vec4<f32>(a_${k}_${i / 4}[${i % 4}]), b_${k}_${c}, acc_${i}_${c});
#endfor
#endfor
#endfor
#endif
#endif
    }

    // Rounds of four rows, after each of which the rows move up: so the epilogue's text is there four times, whatever the
    // number of rows. These drivers take long to compile, and longer to index an array of registers.
    for (var i = 0u; i < min(${THREAD_ROWS}u, constants.rows - first_row); i += 4u) {
#for i in 0..4
#for c in 0..THREAD_COLUMNS / 4
        finish(first_row + i + ${i}u, first_column + ${c * THREADS * 4}u, split, acc_${i}_${c});
#endfor
#endfor
#for i in 0..THREAD_ROWS - 4
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = acc_${i + 4}_${c};
#endfor
#endfor
    }
}
