// 64-bit products and quotients in 32-bit words: WGSL has neither.

// The high word of x * y, by 16-bit halves.
fn mul_high(x: u32, y: u32) -> u32 {
    let x0 = x & 0xffffu;
    let x1 = x >> 16u;
    let y0 = y & 0xffffu;
    let y1 = y >> 16u;
    let middle = x1 * y0 + ((x0 * y0) >> 16u);
    let cross = x0 * y1 + (middle & 0xffffu);
    return x1 * y1 + (middle >> 16u) + (cross >> 16u);
}

// (low, high) / divisor: quotient modulo 2^32 in x, remainder in y. Binary long division.
fn divide_wide(low: u32, high: u32, divisor: u32) -> vec2<u32> {
    var remainder = high % divisor;
    var quotient = 0u;
    if (remainder == 0u) {
        return vec2<u32>(low / divisor, low % divisor);
    }
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let carry = remainder >> 31u;
        remainder = (remainder << 1u) | ((low >> (31u - bit)) & 1u);
        let fits = carry == 1u || remainder >= divisor;
        remainder = select(remainder, remainder - divisor, fits);
        quotient = (quotient << 1u) | select(0u, 1u, fits);
    }
    return vec2<u32>(quotient, remainder);
}
