// A keyed bijection of [0, n): a Feistel network over the fewest bits that hold n - 1, walked until it lands below n.
// The two halves may differ in width by one bit and change in turn, eight times, by a hash of the other and a key.
#import philox

fn bijection_round(x: u32, key: u32) -> u32 {
    var h = x * 0x9e3779b1u + key;
    h = (h ^ (h >> 16u)) * 0x7feb352du;
    h = (h ^ (h >> 15u)) * 0x846ca68bu;
    return h ^ (h >> 16u);
}

fn permute(index: u32, n: u32, key: vec2<u32>, epoch: u32) -> u32 {
    if (n < 2u) {
        return 0u;
    }
    let bits = 32u - countLeadingZeros(n - 1u);
    let left_bits = bits / 2u;
    let right_bits = bits - left_bits;
    let left_mask = (1u << left_bits) - 1u;
    let right_mask = (1u << right_bits) - 1u;
    let keys = philox4x32_10(vec4<u32>(epoch, n, 0u, 0x7065726du), key);
    var x = index;
    loop {
        var left = x >> right_bits;
        var right = x & right_mask;
#for round in 0..4
        left = left ^ (bijection_round(right, keys[${round}] + ${round}u) & left_mask);
        right = right ^ (bijection_round(left, keys[${round}] + ${round + 4}u) & right_mask);
#endfor
        x = (left << right_bits) | right;
        if (x < n) {
            break;
        }
    }
    return x;
}
