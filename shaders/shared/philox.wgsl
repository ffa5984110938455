// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
// ten rounds of two 32x32 -> 64 bit products over a 128-bit counter, keyed by 64 bits.
#import wide

fn philox4x32_10(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round += 1u) {
        let high_0 = mul_high(0xd2511f53u, c.x);
        let low_0 = 0xd2511f53u * c.x;
        let high_1 = mul_high(0xcd9e8d57u, c.z);
        let low_1 = 0xcd9e8d57u * c.z;
        c = vec4<u32>(high_1 ^ c.y ^ k.x, low_1, high_0 ^ c.w ^ k.y, low_0);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
