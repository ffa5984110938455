// step <- step + steps, sample_base <- kept sample_base + samples, unless the status word says that something went wrong.
//
// Bindings: 1 = status, f32[1], 0 when all is well (tested by its bits: a NaN is not well); 2 = clock, u32[4] =
// (step, sample_base, seed_lo, seed_hi).
// Grid: one thread.

struct Constants {
    steps: u32,
    kept: u32,
    samples: u32,
}

@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> status: array<f32>;
@group(0) @binding(2) var<storage, read_write> clock: array<u32>;

@compute @workgroup_size(1)
fn main() {
    if ((bitcast<u32>(status[0]) & 0x7fffffffu) == 0u) {
        clock[0] += constants.steps;
        clock[1] = constants.kept * clock[1] + constants.samples;
    }
}
