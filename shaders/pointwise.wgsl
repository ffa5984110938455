// y[r, c] = f(x[r, c], …): whatever the caller's expression reads, computes and stores.
//
// Bindings: the caller's, from 1 on.
// Grid: one thread for each quad (four neighbouring columns of a row), row by row; ${THREADS} threads a workgroup.
//
// Why quads: 16-byte loads, one Philox counter gives the four random numbers of a quad, and one division finds its row.
#import grid

struct Constants {
    rows: u32,
    columns: u32,
    ${HOOK_CONSTANTS}
}

@group(0) @binding(0) var<uniform> constants: Constants;
${HOOK_BINDINGS}
${HOOK_DECLARATIONS}

fn body(row: u32, col: u32, valid: u32) {
    ${HOOK_BODY}
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let quad = workgroup_number(group, groups) * ${THREADS}u + local;
    let quads = (constants.columns + 3u) / 4u;
    let row = quad / quads;
    let col = quad % quads * 4u;
    if (row < constants.rows) {
        body(row, col, min(4u, constants.columns - col));
    }
}
