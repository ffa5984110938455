//! Functions of one f32 without branches, so that loops over them become vector code; accurate to a few ulp.
//!
//! Reductions and polynomials are those of Moshier's Cephes library (single precision). No fused multiply-add is used:
//! the bits are those of IEEE 754 on every machine, whatever the width of its vectors.

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 = `LN2_HIGH + LN2_LOW`; products of the first with integers below 2^10 are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting 1.5 · 2^23 rounds to an integer, which then stands in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
const ROUND_BITS: i32 = 0x4b40_0000;
/// From here on sin and cos leave the argument reduction to the standard library.
const LARGE_ANGLE: f32 = 1e8;

/// 2^k for k in −126..=127.
#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits(((k + 127) << 23) as u32)
}

/// NaN stays NaN.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `(n, e^r − 1)` where x = n ln 2 + r and |r| ≤ ln 2 / 2.
#[inline(always)]
fn reduced_expm1(x: f32) -> (i32, f32) {
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    ((shifted.to_bits() as i32).wrapping_sub(ROUND_BITS), p * (r * r) + r)
}

/// eˣ
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (n, p) = reduced_expm1(clamp(x, -104.0, 89.0));
    // In two steps, so that neither the largest results nor subnormal ones need a power that f32 lacks.
    let half = n >> 1;
    (p + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// eˣ − 1
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let (n, p) = reduced_expm1(clamp(x, -30.0, 89.0));
    let half = power_of_two(n.wrapping_sub(1));
    2.0 * (half * p + (half - 0.5))
}

/// Natural logarithm
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 33_554_432.0 } else { x };
    // scaled = m 2^e with m in [√½, √2).
    let bits = scaled.to_bits() as i32;
    let exponent = bits.wrapping_sub(0x3f35_04f3) >> 23;
    let f = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32) - 1.0;
    let e = exponent as f32 - if tiny { 25.0 } else { 0.0 };
    let z = f * f;
    let p = 7.037_683_6e-2;
    let p = p * f - 1.151_461e-1;
    let p = p * f + 1.167_699_9e-1;
    let p = p * f - 1.242_014_1e-1;
    let p = p * f + 1.424_932_3e-1;
    let p = p * f - 1.666_805_8e-1;
    let p = p * f + 2.000_071_5e-1;
    let p = p * f - 2.499_999_4e-1;
    let p = p * f + 3.333_333e-1;
    let y = p * f * z + LN2_LOW * e - 0.5 * z;
    let result = (f + y) + LN2_HIGH * e;
    let result = if x < f32::INFINITY { result } else { x };
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    if x < 0.0 { f32::NAN } else { result }
}

/// ln(1 + x)
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // The factor undoes the rounding of 1 + x.
    let result = ln(u) * (x / (u - 1.0));
    let result = if u == 1.0 { x } else { result };
    if x == f32::INFINITY { x } else { result }
}

/// Hyperbolic tangent
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = expm1(2.0 * clamp(x.abs(), 0.0, 10.0));
    (e / (e + 2.0)).copysign(x)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// ln(1 + eˣ)
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    (if x < 0.0 { 0.0 } else { x }) + log1p(exp(-x.abs()))
}

/// 1 if neither infinite nor NaN, else 0
#[inline(always)]
pub fn is_finite(x: f32) -> f32 {
    if x.is_finite() { 1.0 } else { 0.0 }
}

/// `(quadrant, sin r, cos r)` where x = quadrant · π/2 + r and |r| ≤ π/4; |x| below [`LARGE_ANGLE`].
#[inline(always)]
fn quarter_turns(x: f32) -> (u32, f32, f32) {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // π/2 in two parts; products of the first with integers below 2^28 are exact.
    const HIGH: f64 = f64::from_bits(0x3ff9_21fb_5000_0000);
    const LOW: f64 = 1.589_325_477_352_819_6e-8;
    let x = f64::from(x);
    let shifted = x * std::f64::consts::FRAC_2_PI + ROUND;
    let n = shifted - ROUND;
    let r = ((x - n * HIGH) - n * LOW) as f32;
    let z = r * r;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * r + r;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    (shifted.to_bits() as u32, sin, cos)
}

/// Sine, of angles below [`LARGE_ANGLE`]; [`repair_large`] sees to the others.
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (quadrant, sin, cos) = quarter_turns(x);
    let y = if quadrant & 1 == 0 { sin } else { cos };
    f32::from_bits(y.to_bits() ^ (quadrant & 2) << 30)
}

/// Cosine, of angles below [`LARGE_ANGLE`]; [`repair_large`] sees to the others.
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (quadrant, sin, cos) = quarter_turns(x);
    let y = if quadrant & 1 == 0 { cos } else { sin };
    f32::from_bits(y.to_bits() ^ (quadrant.wrapping_add(1) & 2) << 30)
}

/// Computes the results of large angles (and of infinities and NaN) with `exact`.
#[inline(always)]
pub fn repair_large(x: &[f32], out: &mut [f32], exact: impl Fn(f32) -> f32) {
    let x = &x[..out.len()];
    let small = |x: &f32| x.abs() < LARGE_ANGLE;
    if x.iter().fold(true, |all, x| all & small(x)) {
        return;
    }
    for i in 0..x.len() {
        if !small(&x[i]) {
            out[i] = exact(x[i]);
        }
    }
}
