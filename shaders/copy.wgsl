// out[o + sum of i_d p_d] = in[s + sum of i_d q_d] over a box of up to four dimensions: slices, concatenations,
// broadcasts (stride 0), transpositions.
//
// Bindings: 1 = input, 2 = output, ${ELEMENT} each; offsets and strides count these elements.
// Grid: one thread for each element, the last dimension fastest, ${THREADS} threads a workgroup.
//
// Why so plain: it moves bytes and reuses nothing; coalesced where the last strides are 1.
#import grid

struct Constants {
    size_0: u32,
    size_1: u32,
    size_2: u32,
    size_3: u32,
    input_offset: u32,
    input_0: u32,
    input_1: u32,
    input_2: u32,
    input_3: u32,
    output_offset: u32,
    output_0: u32,
    output_1: u32,
    output_2: u32,
    output_3: u32,
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> input: array<${ELEMENT}>;
@group(0) @binding(2) var<storage, read_write> output: array<${ELEMENT}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let element = workgroup_number(group, groups) * ${THREADS}u + local;
    let i_3 = element % constants.size_3;
    let rest_2 = element / constants.size_3;
    let i_2 = rest_2 % constants.size_2;
    let rest_1 = rest_2 / constants.size_2;
    let i_1 = rest_1 % constants.size_1;
    let i_0 = rest_1 / constants.size_1;
    if (i_0 >= constants.size_0) {
        return;
    }
    let from_place = constants.input_offset
        + i_0 * constants.input_0 + i_1 * constants.input_1 + i_2 * constants.input_2 + i_3 * constants.input_3;
    let to_place = constants.output_offset
        + i_0 * constants.output_0 + i_1 * constants.output_1 + i_2 * constants.output_2 + i_3 * constants.output_3;
    output[to_place] = input[from_place];
}
