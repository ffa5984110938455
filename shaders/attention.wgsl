// Attention whose scores are never stored (Dao et al. 2022), and its gradients. For one head of one sample, with
// s[i, j] = scale q_i · k_j, p[i, j] = exp(s[i, j] - l_i), l_i = log sum over j of exp s[i, j],
// e[i, j] = du_i · v_j, D_i = sum over j of p[i, j] e[i, j], t[i, j] = scale p[i, j] (e[i, j] - D_i):
#ifdef FORWARD
//   u_i = sum over j of p[i, j] v_j, with a running maximum in the place of l_i and the division at the end.
#endif
#ifdef QUERIES
//   dq_i = sum over j of t[i, j] k_j, in a second round over all keys; the first finds l_i and D_i, which are kept.
#endif
#ifdef KEYS
//   dk_j = sum over i of t[i, j] q_i.
#endif
#ifdef VALUES
//   dv_j = sum over i of p[i, j] du_i.
#endif
// A row is a row of the result, and the sum runs over the others.
//
// Bindings: 1 = what the scores take of a row, 2 = of the others; where e is needed what it takes of a row and of the
// others; what is summed, where that is not 2; l and D, [matrix, query, 2], but forwards; the result. A tensor is
// [sample, position, head, width], width being whole quads.
// Grid: one workgroup for ${ROWS} rows of one matrix (a head of a sample), ${THREADS} threads.
//
// Tiling: the threads compute a tile of ${ROWS} x 16 weights, four each, and leave them in workgroup memory; then each adds
// up one quad of columns for ${ROWS_EACH} of the rows. Rows and others past the end are computed with the last, and left out.
#import grid
#import numerics

struct Constants {
    rows: u32,
    others: u32,
    heads: u32,
    quads: u32,
    matrices: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> row_score: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> other_score: array<vec4<f32>>;
#ifdef FORWARD
@group(0) @binding(3) var<storage, read> summed: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4<f32>>;
#endif
#ifdef QUERIES
@group(0) @binding(3) var<storage, read> row_error: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> other_error: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> kept: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> result: array<vec4<f32>>;
#endif
#ifdef KEYS
@group(0) @binding(3) var<storage, read> row_error: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> other_error: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> kept: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> result: array<vec4<f32>>;
#endif
#ifdef VALUES
@group(0) @binding(3) var<storage, read> summed: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> kept: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4<f32>>;
#endif

// A tile of weights: four others of a row each.
var<workgroup> weights: array<vec4<f32>, ${ROWS * 4}>;
#ifdef FORWARD
var<workgroup> scores: array<vec4<f32>, ${ROWS * 4}>;
#endif
#ifndef KEYS
#ifndef VALUES
// For each row what its sum so far is to be multiplied by; or what its threads found.
var<workgroup> found: array<vec4<f32>, ${ROWS * 4}>;
#endif
#endif

// The first quad of a row of a matrix of so many.
fn place(matrix: u32, row: u32, rows: u32) -> u32 {
    return ((matrix / constants.heads * rows + min(row, rows - 1u)) * constants.heads + matrix % constants.heads) * constants.quads;
}

fn score(row: u32, other: vec4<u32>) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < constants.quads; i += 1u) {
        let x = row_score[row + i];
        sum += vec4<f32>(dot(x, other_score[other.x + i]), dot(x, other_score[other.y + i]), dot(x, other_score[other.z + i]), dot(x, other_score[other.w + i]));
    }
    return sum * constants.scale;
}

#ifdef ERRORS
fn error(row: u32, other: vec4<u32>) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < constants.quads; i += 1u) {
        let x = row_error[row + i];
        sum += vec4<f32>(dot(x, other_error[other.x + i]), dot(x, other_error[other.y + i]), dot(x, other_error[other.z + i]), dot(x, other_error[other.w + i]));
    }
    return sum;
}
#endif

fn across(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

fn largest(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = workgroup_number(group, groups);
    let per_matrix = (constants.rows + ${ROWS - 1}u) / ${ROWS}u;
    let matrix = number / per_matrix;
    if (matrix >= constants.matrices) {
        return;
    }
    let first_row = number % per_matrix * ${ROWS}u;
    // Of the tile of weights: four others of a row.
    let row = local / 4u;
    let quad = local % 4u;
    let row_place = place(matrix, first_row + row, constants.rows);
    // Of the result: a quad of columns of some rows.
    let column = local % ${LANES}u;
    let part = local / ${LANES}u * ${ROWS_EACH}u;
    let inside = column < constants.quads;
#for i in 0..ROWS_EACH
    var acc_${i} = vec4<f32>(0.0);
#endfor
#ifdef FORWARD
    var top = -3.402823e38;
    var total = 0.0;
#endif

#ifdef QUERIES
    // The first round: each thread for the others that it sees.
    var top = -3.402823e38;
    var total = 0.0;
    var mixed = 0.0;
    for (var first = 0u; first < constants.others; first += 16u) {
        let others = vec4<u32>(0u, 1u, 2u, 3u) + first + quad * 4u;
        let there = others < vec4<u32>(constants.others);
        let places = vec4<u32>(
#for i in 0..4
            place(matrix, others[${i}], constants.others),
#endfor
        );
        let s = select(vec4<f32>(-3.402823e38), score(row_place, places), there);
        let higher = max(top, largest(s));
        let power = select(vec4<f32>(0.0), exp_4(s - higher), there);
        let less = exp_1(top - higher);
        total = total * less + across(power);
        mixed = mixed * less + across(power * error(row_place, places));
        top = higher;
    }
    found[local] = vec4<f32>(top, total, mixed, 0.0);
    workgroupBarrier();
    let found_0 = found[row * 4u];
    let found_1 = found[row * 4u + 1u];
    let found_2 = found[row * 4u + 2u];
    let found_3 = found[row * 4u + 3u];
    let highest = largest(vec4<f32>(found_0.x, found_1.x, found_2.x, found_3.x));
    let lower = exp_4(vec4<f32>(found_0.x, found_1.x, found_2.x, found_3.x) - highest);
    let sum = dot(lower, vec4<f32>(found_0.y, found_1.y, found_2.y, found_3.y));
    let row_kept = vec2<f32>(highest + log_1(sum), dot(lower, vec4<f32>(found_0.z, found_1.z, found_2.z, found_3.z)) / sum);
    if (quad == 0u && first_row + row < constants.rows) {
        kept[matrix * constants.rows + first_row + row] = row_kept;
    }
#endif

    for (var first = 0u; first < constants.others; first += 16u) {
        let others = vec4<u32>(0u, 1u, 2u, 3u) + first + quad * 4u;
        let there = others < vec4<u32>(constants.others);
        let places = vec4<u32>(
#for i in 0..4
            place(matrix, others[${i}], constants.others),
#endfor
        );
        let s = score(row_place, places);
#ifdef FORWARD
        scores[local] = select(vec4<f32>(-3.402823e38), s, there);
        workgroupBarrier();
        let highest = max(max(largest(scores[row * 4u]), largest(scores[row * 4u + 1u])), max(largest(scores[row * 4u + 2u]), largest(scores[row * 4u + 3u])));
        let higher = max(top, highest);
        let power = select(vec4<f32>(0.0), exp_4(s - higher), there);
        let less = exp_1(top - higher);
        total = total * less + across(power);
        top = higher;
        weights[local] = power;
        found[local] = vec4<f32>(less);
        workgroupBarrier();
#for i in 0..ROWS_EACH
        acc_${i} *= found[(part + ${i}u) * 4u];
#endfor
#else
        // What the last tile's sums still read is not written over.
        workgroupBarrier();
#ifdef QUERIES
        let power = exp_4(s - row_kept.x) * constants.scale;
        weights[local] = select(vec4<f32>(0.0), power * (error(row_place, places) - row_kept.y), there);
#else
        let of_others = matrix * constants.others + min(others, vec4<u32>(constants.others - 1u));
        let kept_0 = kept[of_others.x];
        let kept_1 = kept[of_others.y];
        let kept_2 = kept[of_others.z];
        let kept_3 = kept[of_others.w];
        let power = exp_4(s - vec4<f32>(kept_0.x, kept_1.x, kept_2.x, kept_3.x));
#ifdef KEYS
        let mean = vec4<f32>(kept_0.y, kept_1.y, kept_2.y, kept_3.y);
        weights[local] = select(vec4<f32>(0.0), power * constants.scale * (error(row_place, places) - mean), there);
#else
        weights[local] = select(vec4<f32>(0.0), power, there);
#endif
#endif
        workgroupBarrier();
#endif
        if (inside) {
            for (var four = 0u; four < 4u; four += 1u) {
#for i in 0..4
                let value_${i} = ${SUMMED}[place(matrix, first + four * 4u + ${i}u, constants.others) + column];
#endfor
#for i in 0..ROWS_EACH
                let weight_${i} = weights[(part + ${i}u) * 4u + four];
                acc_${i} += weight_${i}.x * value_0 + weight_${i}.y * value_1 + weight_${i}.z * value_2 + weight_${i}.w * value_3;
#endfor
            }
        }
    }
#ifdef FORWARD
    workgroupBarrier();
    found[local] = vec4<f32>(total);
    workgroupBarrier();
#endif
    if (inside) {
#for i in 0..ROWS_EACH
        if (first_row + part + ${i}u < constants.rows) {
#ifdef FORWARD
            let at = (part + ${i}u) * 4u;
            acc_${i} /= (found[at] + found[at + 1u]) + (found[at + 2u] + found[at + 3u]);
#endif
            result[place(matrix, first_row + part + ${i}u, constants.rows) + column] = acc_${i};
        }
#endfor
    }
}
