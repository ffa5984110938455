//! The two element types of the executor.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::functions as f;
use crate::graph::expr::{self, Unary};

/// `c = alpha c + beta a b`: m, n, k; c with its strides from column to column and row to row, and whether to read it;
/// a and b with theirs; alpha, beta; three conjugations; threads.
pub type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    gemm_common::Parallelism,
);

/// f32, for speed, or f64, for truth.
pub trait Real:
    Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// −∞, the start of a maximum.
    const LOWEST: Self;
    /// Whether it has loops for each width of vectors (see `wide`): they take long to compile.
    const FAST: bool;

    /// The matrix product of `gemm`, for this machine.
    fn gemm() -> Gemm<Self>;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;

    /// This number in f64, exactly.
    fn to_f64(self) -> f64;

    /// This f32, exactly.
    fn from_f32(x: f32) -> Self {
        Self::from_f64(f64::from(x))
    }

    /// The larger; the other one if one is NaN.
    fn larger(self, other: Self) -> Self;

    /// The smaller; the other one if one is NaN.
    fn smaller(self, other: Self) -> Self;

    /// `out[i] = op(x[i])`. Both slices have the same length.
    fn unary(op: Unary, x: &[Self], out: &mut [Self]);
}

/// Work that gains from wide vectors. `run` must be `#[inline(always)]`, and so must what it calls.
pub(super) trait Wide {
    /// What it computes with.
    type Number: Real;
    /// Its result.
    type Output;

    /// Does it.
    fn run(self) -> Self::Output;
}

/// Does `work` with vectors as wide as this machine has, if its numbers are for speed. The bits are the same for every
/// width.
#[inline(always)]
pub(super) fn wide<W: Wide>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if const { W::Number::FAST } {
        use std::arch::is_x86_feature_detected;
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
        fn avx512<W: Wide>(work: W) -> W::Output {
            work.run()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<W: Wide>(work: W) -> W::Output {
            work.run()
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
        {
            // SAFETY: the machine has these four features, as was just asked.
            return unsafe { avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2, as was just asked.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}

/// `out[i] = f(x[i])`.
#[inline(always)]
fn map<T: Copy>(x: &[T], out: &mut [T], f: impl Fn(T) -> T) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = Self::NEG_INFINITY;
    const FAST: bool = true;

    fn gemm() -> Gemm<Self> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }

    fn from_f64(x: f64) -> Self {
        x as Self
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.max(other)
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.min(other)
    }

    #[inline(always)]
    fn unary(op: Unary, x: &[Self], out: &mut [Self]) {
        match op {
            Unary::Neg => map(x, out, Self::neg),
            Unary::Abs => map(x, out, Self::abs),
            Unary::Exp => map(x, out, f::exp),
            Unary::Expm1 => map(x, out, f::expm1),
            Unary::Ln => map(x, out, f::ln),
            Unary::Log1p => map(x, out, f::log1p),
            Unary::Sqrt => map(x, out, Self::sqrt),
            Unary::Sin => {
                map(x, out, f::sin);
                f::repair_large(x, out, Self::sin);
            }
            Unary::Cos => {
                map(x, out, f::cos);
                f::repair_large(x, out, Self::cos);
            }
            Unary::Tanh => map(x, out, f::tanh),
            Unary::Sigmoid => map(x, out, f::sigmoid),
            Unary::Softplus => map(x, out, f::softplus),
            Unary::IsFinite => map(x, out, f::is_finite),
            Unary::Detached => out.copy_from_slice(x),
        }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = Self::NEG_INFINITY;
    const FAST: bool = false;

    fn gemm() -> Gemm<Self> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }

    fn from_f64(x: f64) -> Self {
        x
    }

    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.max(other)
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.min(other)
    }

    fn unary(op: Unary, x: &[Self], out: &mut [Self]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = expr::unary(op, *x);
        }
    }
}
