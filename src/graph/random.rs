//! Random numbers by address: Philox4x32-10, uniforms, normals, and the keyed bijection that shuffles data.
//!
//! A draw is addressed by counter = (element / 4, global sample index, step, stream) and key = the seed's two words, so
//! its value depends on neither batch splitting nor launch order. Element `i` of a sample takes word `i % 4`. The step
//! is the clock's, or a number of the element's own (`Term::RandomAt`). The WGSL twins are
//! `shaders/shared/{philox,random,bijection}.wgsl`; words and uniforms are the same bits there, normals agree to 1e-5.

/// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
#[inline(always)]
pub const fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    let mut round = 0;
    while round < 10 {
        let product_0 = 0xd251_1f53_u64 * c0 as u64;
        let product_1 = 0xcd9e_8d57_u64 * c2 as u64;
        (c0, c1, c2, c3) = (
            (product_1 >> 32) as u32 ^ c1 ^ k0,
            product_1 as u32,
            (product_0 >> 32) as u32 ^ c3 ^ k1,
            product_0 as u32,
        );
        (k0, k1) = (k0.wrapping_add(0x9e37_79b9), k1.wrapping_add(0xbb67_ae85));
        round += 1;
    }
    [c0, c1, c2, c3]
}

/// The words of one quad of a draw. `clock` is `(step, sample_base, seed_lo, seed_hi)`, `sample` the batch element,
/// `quad` the element's index within the sample divided by 4.
#[inline(always)]
pub const fn words(clock: [u32; 4], sample: u32, quad: u32, stream: u32) -> [u32; 4] {
    philox4x32_10([quad, clock[1].wrapping_add(sample), clock[0], stream], [clock[2], clock[3]])
}

/// An odd multiple of 2^-24, strictly between 0 and 1; exact in f32.
#[inline(always)]
pub const fn uniform(word: u32) -> f32 {
    (2 * (word >> 9) + 1) as f32 * (1.0 / 16_777_216.0)
}

/// Four standard normals by Box-Muller on the word pairs (0, 1) and (2, 3), in the arithmetic of the WGSL.
#[inline(always)]
pub fn normals(words: [u32; 4]) -> [f32; 4] {
    let mut z = [0.0; 4];
    for pair in [0, 2] {
        let r = (-2.0 * log(uniform(words[pair]))).sqrt();
        let (sin, cos) = sin_cos_turn(uniform(words[pair + 1]));
        (z[pair], z[pair + 1]) = (r * cos, r * sin);
    }
    z
}

/// The same normals as f64 arithmetic gives them.
pub fn normals_f64(words: [u32; 4]) -> [f64; 4] {
    let mut z = [0.0; 4];
    for pair in [0, 2] {
        let r = (-2.0 * (uniform(words[pair]) as f64).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * uniform(words[pair + 1]) as f64).sin_cos();
        (z[pair], z[pair + 1]) = (r * cos, r * sin);
    }
    z
}

/// ln x of a positive normal f32, to 2e-7 of the result.
#[inline(always)]
fn log(x: f32) -> f32 {
    // x = m 2^e with m in [sqrt(1/2), sqrt 2); ln m = 2 atanh((m - 1) / (m + 1)) by its series.
    let t = x.to_bits().wrapping_add(0x004a_fb0d);
    let e = (t >> 23) as f32 - 127.0;
    let f = f32::from_bits((t & 0x007f_ffff) + 0x3f35_04f3) - 1.0;
    let s = f / (f + 2.0);
    let z = s * s;
    let tail = z * (0.333_333_33 + z * (0.2 + z * (0.142_857_14 + z * 0.111_111_11)));
    e * std::f32::consts::LN_2 + 2.0 * (s + s * tail)
}

/// sin and cos of 2 pi u for u in [0, 1], to 2e-7.
#[inline(always)]
fn sin_cos_turn(u: f32) -> (f32, f32) {
    // The reduction to an eighth of a turn is exact; then the series.
    let q = (u * 4.0 + 0.5).floor();
    let y = (u - q * 0.25) * std::f32::consts::TAU;
    let z = y * y;
    let s = y + y * z * (-0.166_666_67 + z * (0.008_333_333 + z * (-0.000_198_412_7 + z * 2.755_731_9e-6)));
    let c = 1.0 + z * (-0.5 + z * (0.041_666_667 + z * (-0.001_388_888_9 + z * (2.480_158_7e-5 - z * 2.755_732e-7))));
    // Without branches, so that loops over this become vector code.
    let quarter = q as u32;
    let (sin, cos) = if quarter & 1 == 0 { (s, c) } else { (c, s) };
    let signed = |x: f32, negative: u32| f32::from_bits(x.to_bits() ^ negative << 30);
    (signed(sin, quarter & 2), signed(cos, (quarter + 1) & 2))
}

/// The stream of a draw: the 32-bit FNV-1a hash of its name.
pub const fn stream(name: &str) -> u32 {
    let (bytes, mut hash, mut i) = (name.as_bytes(), 0x811c_9dc5_u32, 0);
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// A bijection of `0..n`, another one for each key and epoch: a Feistel network over the fewest bits that hold `n - 1`,
/// walked until it lands below `n`. Gives 0 for `n < 2`; `index` must be below `n`.
pub fn permute(index: u32, n: u32, key: [u32; 2], epoch: u32) -> u32 {
    if n < 2 {
        return 0;
    }
    let bits = 32 - (n - 1).leading_zeros();
    let (left_bits, right_bits) = (bits / 2, bits - bits / 2);
    let (left_mask, right_mask) = ((1 << left_bits) - 1, (1 << right_bits) - 1);
    let keys = philox4x32_10([epoch, n, 0, 0x7065_726d], key);
    let mut x = index;
    loop {
        let (mut left, mut right) = (x >> right_bits, x & right_mask);
        for (round, key) in (0..).zip(keys) {
            left ^= mix(right, key.wrapping_add(round)) & left_mask;
            right ^= mix(left, key.wrapping_add(round + 4)) & right_mask;
        }
        x = left << right_bits | right;
        if x < n {
            return x;
        }
    }
}

fn mix(x: u32, key: u32) -> u32 {
    let h = x.wrapping_mul(0x9e37_79b1).wrapping_add(key);
    let h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    let h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// Which row of a data set of `n` a step's batch element reads: its place in the endless sequence of epochs, each
/// shuffled by [`permute`]. `position = step * total_batch + sample_base + batch element`.
pub fn row(position: u64, n: u32, key: [u32; 2]) -> u32 {
    let (epoch, index) = (position / n as u64, position % n as u64);
    permute(index as u32, n, key, epoch as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_known_answers() {
        let ones = u32::MAX;
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32_10(counter, key), expected);
        }
    }

    #[test]
    fn stream_is_published_fnv1a() {
        // From the test suite of the FNV reference implementation.
        assert_eq!([stream(""), stream("a"), stream("foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
    }

    #[test]
    fn uniforms_are_exact_and_open() {
        assert_eq!(uniform(0), 2f32.powi(-24));
        assert_eq!(uniform(u32::MAX), 1.0 - 2f32.powi(-24));
        assert_eq!(uniform(0x8000_0000), 0.5 + 2f32.powi(-24));
    }

    #[test]
    fn normals_agree_with_f64_and_have_normal_moments() {
        let mut moments = [0.0; 4];
        let count = 50_000;
        let corners = [0, u32::MAX, 0x8000_0000, 0x7fff_ffff, 0x2000_0000, 0x1fff_ffff, 0xb504_f333, 511, 512];
        let mut all: Vec<_> = (0..count).map(|i| words([3, 0, 1, 2], i, 5, 9)).collect();
        all.extend(corners.iter().flat_map(|&u| corners.map(|v| [u, v, v, u])));
        for (i, words) in all.into_iter().enumerate() {
            for (z, exact) in normals(words).into_iter().zip(normals_f64(words)) {
                assert!((z as f64 - exact).abs() < 2e-6, "{words:x?}: {z} and {exact}");
                if i < count as usize {
                    (1..5).for_each(|k| moments[k - 1] += exact.powi(k as i32) / (4.0 * count as f64));
                }
            }
        }
        // Standard errors of the first four moments of 200,000 normals: 1, sqrt 2, sqrt 15, sqrt 96 over 447.
        for (moment, (mean, error)) in moments.into_iter().zip([(0.0, 1.0f64), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)]) {
            assert!((moment - mean).abs() < 4.0 * (error / 200_000.0).sqrt(), "{moment} should be near {mean}");
        }
    }

    #[test]
    fn permute_is_a_bijection() {
        for n in (1..70).chain([127, 128, 129, 1000, 1797, 4096, 50_000]) {
            let mut seen = vec![false; n as usize];
            (0..n).for_each(|i| seen[permute(i, n, [7, n], n ^ 5) as usize] = true);
            assert!(seen.into_iter().all(|s| s), "n = {n}");
        }
        let n = u32::MAX;
        assert!(permute(n - 1, n, [1, 2], 3) < n);
    }

    #[test]
    fn permute_is_uniform_over_epochs_and_changes_with_the_key() {
        // Where index 0 and the pair (0, 1) land over 40,000 epochs: chi-square with 4 sigma of slack.
        let (n, epochs) = (11, 40_000);
        let (mut single, mut pairs) = (vec![0u32; n as usize], vec![0u32; (n * n) as usize]);
        for epoch in 0..epochs {
            let (x, y) = (permute(0, n, [1, 2], epoch), permute(1, n, [1, 2], epoch));
            single[x as usize] += 1;
            pairs[(x * n + y) as usize] += 1;
        }
        let chi_square = |counts: &[u32], cells: f64| -> f64 {
            let expected = epochs as f64 / cells;
            counts.iter().filter(|&&c| c > 0).map(|&c| (c as f64 - expected).powi(2) / expected).sum()
        };
        for (chi, cells) in [(chi_square(&single, 11.0), 11.0), (chi_square(&pairs, 110.0), 110.0f64)] {
            assert!(chi < cells - 1.0 + 4.0 * (2.0 * (cells - 1.0)).sqrt(), "chi-square {chi} over {cells} cells");
        }
        let moved = (0..1000).filter(|&i| permute(i, 1000, [1, 2], 0) != permute(i, 1000, [1, 3], 0)).count();
        assert!(moved > 980, "only {moved} rows moved with another key");
    }
}
