// Elementary functions for ${F}, safe under fast math: no infinities, no cancellation, NaN tests by bits.
// Polynomials are the series of exp, atanh, sin and cos, cut where the next term is below 1e-8 of the result.

// exp with its argument clamped to where the result is a normal number.
fn exp_${S}(x: ${F}) -> ${F} {
    return exp(clamp(x, ${F}(-87.0), ${F}(88.0)));
}

// ln(1 + f) = 2 atanh(s) with s = f / (2 + f), for 1 + f in [0.7, 1.42].
fn log1p_near_${S}(f: ${F}) -> ${F} {
    let s = f / (f + ${F}(2.0));
    let z = s * s;
    let tail = z * (${F}(0.33333333) + z * (${F}(0.2) + z * (${F}(0.14285714) + z * ${F}(0.11111111))));
    return ${F}(2.0) * (s + s * tail);
}

// ln x of a positive normal number: x = m 2^e with m in [sqrt(1/2), sqrt 2).
fn log_${S}(x: ${F}) -> ${F} {
    let t = bitcast<${U}>(x) + ${U}(0x004afb0du);
    let e = ${F}(t >> ${U}(23u)) - ${F}(127.0);
    let m = bitcast<${F}>((t & ${U}(0x007fffffu)) + ${U}(0x3f3504f3u));
    return e * ${F}(0.69314718) + log1p_near_${S}(m - ${F}(1.0));
}

// ln(1 + x) for x > -1.
fn log1p_${S}(x: ${F}) -> ${F} {
    let near = abs(x) < ${F}(0.29);
    return select(log_${S}(max(x + ${F}(1.0), ${F}(1.2e-38))), log1p_near_${S}(select(${F}(0.0), x, near)), near);
}

// exp(x) - 1.
fn expm1_${S}(x: ${F}) -> ${F} {
    let near = abs(x) < ${F}(0.4);
    let y = select(${F}(0.0), x, near);
    let tail = ${F}(0.041666667) + y * (${F}(0.0083333333) + y * (${F}(0.0013888889) + y * ${F}(0.00019841270)));
    let series = y + y * y * (${F}(0.5) + y * (${F}(0.16666667) + y * tail));
    return select(exp_${S}(x) - ${F}(1.0), series, near);
}

// tanh, by expm1 of a clamped argument: it is 1 in f32 from 9.02 on.
fn tanh_${S}(x: ${F}) -> ${F} {
    let t = expm1_${S}(${F}(2.0) * min(abs(x), ${F}(10.0)));
    return sign(x) * (t / (t + ${F}(2.0)));
}

fn sigmoid_${S}(x: ${F}) -> ${F} {
    return ${F}(1.0) / (${F}(1.0) + exp_${S}(-clamp(x, ${F}(-80.0), ${F}(80.0))));
}

fn silu_${S}(x: ${F}) -> ${F} {
    return x * sigmoid_${S}(x);
}

// ln(1 + exp x).
fn softplus_${S}(x: ${F}) -> ${F} {
    return max(x, ${F}(0.0)) + log1p_${S}(exp_${S}(-abs(x)));
}

// 1 where x is finite, 0 where it is infinite or NaN.
fn is_finite_${S}(x: ${F}) -> ${F} {
    return select(${F}(1.0), ${F}(0.0), (bitcast<${U}>(x) & ${U}(0x7f800000u)) == ${U}(0x7f800000u));
}

// cos(2 pi u) and sin(2 pi u) for u in [0, 1]: the reduction to an eighth of a turn is exact.
fn cos_turn_${S}(u: ${F}) -> ${F} {
    return turn_${S}(u, ${U}(1u));
}

fn sin_turn_${S}(u: ${F}) -> ${F} {
    return turn_${S}(u, ${U}(0u));
}

// sin(2 pi (u + quarter / 4)).
fn turn_${S}(u: ${F}, quarter: ${U}) -> ${F} {
    let q = floor(u * ${F}(4.0) + ${F}(0.5));
    let y = (u - q * ${F}(0.25)) * ${F}(6.2831853);
    let z = y * y;
    let s = y + y * z * (${F}(-0.16666667) + z * (${F}(0.0083333333) + z * (${F}(-0.00019841270) + z * ${F}(2.7557319e-6))));
    let c = ${F}(1.0) + z * (${F}(-0.5) + z * (${F}(0.041666667) + z * (${F}(-0.0013888889) + z * (${F}(2.4801587e-5) - z * ${F}(2.7557319e-7)))));
    let k = ${U}(q) + quarter;
    let value = select(s, c, (k & ${U}(1u)) == ${U}(1u));
    return select(value, -value, (k & ${U}(2u)) == ${U}(2u));
}
