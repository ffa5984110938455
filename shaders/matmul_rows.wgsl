// C = op(A) op(B), the layouts, splits, bindings and grid of matmul.wgsl, for drivers that run on a CPU.
// (Turned operands, A in Nn and Nt, B in Nt, lie with k innermost.)
//
// Tiling: no workgroup memory and no barrier, which such drivers pay for dearly; a workgroup is as wide as their vectors
// (${THREADS} lanes), every lane keeps ${THREAD_ROWS} rows of ${THREAD_COLUMNS} columns. Rows and columns past the end are
// clamped, so that no load needs a condition, and never stored.
#import matmul

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = workgroup_number(group, groups);
    let column_tiles = (constants.columns + ${COLUMNS - 1}u) / ${COLUMNS}u;
    let per_row_tile = column_tiles * constants.splits;
    let first_row = number / per_row_tile * ${ROWS}u;
    if (first_row >= constants.rows) {
        return;
    }
    let split = number % per_row_tile / column_tiles;
    let first_column = number % column_tiles * ${COLUMNS}u;
    let depth = (constants.inner + constants.splits - 1u) / constants.splits;
    let start = min(split * depth, constants.inner);
    let end = min(start + depth, constants.inner);
    let across = local % ${ACROSS}u;
    let down = local / ${ACROSS}u;
    // Where k = 0 of each row and column lies, and how far the next k is.
#ifdef A_TURNED
    let a_step = 1u;
    let a_row = constants.inner;
#else
    let a_step = constants.rows;
    let a_row = 1u;
#endif
#ifdef B_TURNED
    let b_step = 1u;
    let b_column = constants.inner;
#else
    let b_step = constants.columns;
    let b_column = 1u;
#endif
#for i in 0..THREAD_ROWS
    var at_a_${i} = min(first_row + (${i / 4 * DOWN}u + down) * 4u + ${i % 4}u, constants.rows - 1u) * a_row + start * a_step;
#endfor
#for j in 0..THREAD_COLUMNS
    var at_b_${j} = min(first_column + (${j / 4 * ACROSS}u + across) * 4u + ${j % 4}u, constants.columns - 1u) * b_column + start * b_step;
#endfor
#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
    var acc_${i}_${c} = vec4<f32>(0.0);
#endfor
#endfor

    for (var k = start; k < end; k += 1u) {
#for c in 0..THREAD_COLUMNS / 4
        let b_${c} = vec4<f32>(b[at_b_${c * 4}], b[at_b_${c * 4 + 1}], b[at_b_${c * 4 + 2}], b[at_b_${c * 4 + 3}]);
#endfor
#for i in 0..THREAD_ROWS
        let a_${i} = vec4<f32>(a[at_a_${i}]);
#for c in 0..THREAD_COLUMNS / 4
        acc_${i}_${c} = fma(a_${i}, b_${c}, acc_${i}_${c});
#endfor
        at_a_${i} += a_step;
#endfor
#for j in 0..THREAD_COLUMNS
        at_b_${j} += b_step;
#endfor
    }

#for i in 0..THREAD_ROWS
#for c in 0..THREAD_COLUMNS / 4
    finish(first_row + (${i / 4 * DOWN}u + down) * 4u + ${i % 4}u, first_column + (${c * ACROSS}u + across) * 4u, split, acc_${i}_${c});
#endfor
#endfor
}
