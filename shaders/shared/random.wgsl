// Random draws addressed by what they are for: counter = (quad, global sample, step, stream), key = seed.
// `clock` is (step, sample_base, seed_lo, seed_hi), `sample` the batch element, `quad` the element's index in the sample / 4.
#import philox
#import numerics

fn words4(clock: vec4<u32>, sample: u32, quad: u32, stream: u32) -> vec4<u32> {
    return philox4x32_10(vec4<u32>(quad, clock.y + sample, clock.x, stream), clock.zw);
}

// Odd multiples of 2^-24, strictly between 0 and 1: exact, the same bits on every device.
fn uniform_of_words(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>((words >> vec4<u32>(9u)) * 2u + vec4<u32>(1u)) * 5.9604644775390625e-8;
}

// Box-Muller on the word pairs (0, 1) and (2, 3).
fn normal_of_words(words: vec4<u32>) -> vec4<f32> {
    let u = uniform_of_words(words);
    let r = sqrt(vec2<f32>(-2.0 * log_1(u.x), -2.0 * log_1(u.z)));
    return vec4<f32>(r.x * cos_turn_1(u.y), r.x * sin_turn_1(u.y), r.y * cos_turn_1(u.w), r.y * sin_turn_1(u.w));
}

fn uniform4(clock: vec4<u32>, sample: u32, quad: u32, stream: u32) -> vec4<f32> {
    return uniform_of_words(words4(clock, sample, quad, stream));
}

fn normal4(clock: vec4<u32>, sample: u32, quad: u32, stream: u32) -> vec4<f32> {
    return normal_of_words(words4(clock, sample, quad, stream));
}
