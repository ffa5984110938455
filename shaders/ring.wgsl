// ring[step mod length] <- a record of ${RECORD} floats, unless the status word says that something went wrong.
//
// Bindings: 1 = clock, u32[4]; 2 = status, f32[1]; 3 = ring, f32[length, ${RECORD}]; from 4 on the inputs, f32[1] each.
// Grid: one thread: the record is a few floats that the host reads some steps later.

struct Constants {
    length: u32,
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> clock: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<f32>;
@group(0) @binding(3) var<storage, read_write> ring: array<f32>;
#for i in 0..RECORD
@group(0) @binding(${4 + i}) var<storage, read> input_${i}: array<f32>;
#endfor

@compute @workgroup_size(1)
fn main() {
    if ((bitcast<u32>(status[0]) & 0x7fffffffu) == 0u) {
        let place = clock[0] % constants.length * ${RECORD}u;
#for i in 0..RECORD
        ring[place + ${i}u] = input_${i}[0];
#endfor
    }
}
