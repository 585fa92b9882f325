//! Exponential, hyperbolic tangent and what follows from them, written so that loops become vector
//! code.
//!
//! `e^x = 2^n e^r` with `n` the integer nearest `x / ln 2` and `|r| <= ln(2) / 2`;
//! `e^r - 1 = r + r^2 P(r)` with a polynomial of degree 4 fitted to the smallest greatest error
//! relative to `e^r` (3e-9 before rounding to f32). No system math library enters, so results do
//! not change with its version.

use crate::simd::mul_add;

/// `1.5 * 2^23 + 127`: adding it rounds to an integer whose low bits, moved up by 23, are the power
/// of two itself.
const ROUND: f32 = 12_583_039.0;
/// The high part of ln 2, short enough that `n * LN2_HIGH` is exact for `|n| < 2^9`.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;
const P: [f32; 5] = [0.499_999_94, 0.166_665_18, 0.041_668_423, 0.008_369_063, 0.001_381_388];
/// Below, `e^x` counts as 0 (it would be subnormal); above [`HIGH`] it stays at its value there,
/// the largest before infinity.
const LOW: f32 = -87.33;
const HIGH: f32 = 88.37;

/// `(2^n, e^r - 1)` for `LOW <= x <= HIGH`.
#[inline(always)]
fn split_exp<const FUSED: bool>(x: f32) -> (f32, f32) {
    let shifted = mul_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let scale = f32::from_bits(shifted.to_bits() << 23);
    let r = mul_add::<FUSED>(n, -LN2_LOW, mul_add::<FUSED>(n, -LN2_HIGH, x));
    let p = mul_add::<FUSED>(
        mul_add::<FUSED>(mul_add::<FUSED>(mul_add::<FUSED>(P[4], r, P[3]), r, P[2]), r, P[1]),
        r,
        P[0],
    );
    (scale, mul_add::<FUSED>(r * r, p, r))
}

/// `e^x` to about 1e-7 relative; 0 below -87.33, constant above 88.37, NaN for NaN.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    let (scale, rest) = split_exp::<FUSED>(x.clamp(LOW, HIGH));
    let value = mul_add::<FUSED>(scale, rest, scale);
    if x < LOW { 0.0 } else { value }
}

/// `tanh x` to about 2e-7 relative, small arguments included: `(e^2x - 1) / (e^2x + 1)` without the
/// cancellation.
#[inline(always)]
pub(crate) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    // Beyond 10 the result rounds to 1.
    let (scale, rest) = split_exp::<FUSED>(2.0 * x.clamp(-10.0, 10.0));
    let less_one = mul_add::<FUSED>(scale, rest, scale - 1.0);
    less_one / (less_one + 2.0)
}

/// `ln(1 + t)` for `0 <= t <= 1`: the series of `2 atanh(z)`, `z = t / (2 + t) <= 1/3`; what is
/// left out is below 2e-8 of it.
#[inline(always)]
pub(crate) fn ln_1p<const FUSED: bool>(t: f32) -> f32 {
    let z = t / (2.0 + t);
    let y = z * z;
    let mut series = 1.0 / 13.0;
    for odd in [11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = mul_add::<FUSED>(series, y, 1.0 / odd);
    }
    2.0 * z * series
}

/// `(softplus(x), sigmoid(x)) = (ln(1 + e^x), 1 / (1 + e^-x))`, safe for every `x`.
#[inline(always)]
pub(crate) fn softplus_sigmoid<const FUSED: bool>(x: f32) -> (f32, f32) {
    let t = exp::<FUSED>(-x.abs());
    let sigmoid = if x >= 0.0 { 1.0 } else { t } / (1.0 + t);
    (x.max(0.0) + ln_1p::<FUSED>(t), sigmoid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::grid;

    fn exp_all_body<const FUSED: bool>(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = exp::<FUSED>(*x));
    }
    fn tanh_all_body<const FUSED: bool>(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = tanh::<FUSED>(*x));
    }
    fn softplus_all_body<const FUSED: bool>(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = softplus_sigmoid::<FUSED>(*x).0);
    }
    crate::dispatch! { fn exp_all(x: &mut [f32]) = exp_all_body }
    crate::dispatch! { fn tanh_all(x: &mut [f32]) = tanh_all_body }
    crate::dispatch! { fn softplus_all(x: &mut [f32]) = softplus_all_body }

    /// The largest error relative to the f64 value, over a fine grid.
    fn worst(op: fn(&mut [f32]), truth: fn(f64) -> f64, low: f32, high: f32) -> f64 {
        let x = grid(low, high, 200_003);
        let mut y = x.clone();
        op(&mut y);
        x.iter()
            .zip(&y)
            .map(|(&x, &y)| (f64::from(y) / truth(x.into()) - 1.0).abs())
            .filter(|e| e.is_finite())
            .fold(0.0, f64::max)
    }

    /// Two f32 roundings of 6e-8 each end the polynomial; the portable path adds those of unfused
    /// products.
    #[test]
    fn the_exponential_is_right_to_a_few_parts_in_ten_million() {
        assert!(worst(exp_all, f64::exp, -87.3, 88.3) < 2e-7);
    }

    #[test]
    fn the_hyperbolic_tangent_is_right_also_for_small_arguments() {
        assert!(worst(tanh_all, f64::tanh, -12.0, 12.0) < 4e-7);
        assert!(worst(tanh_all, f64::tanh, -1e-3, 1e-3) < 4e-7);
    }

    #[test]
    fn softplus_is_right_relative_to_its_size_until_it_vanishes() {
        assert!(worst(softplus_all, |x| x.exp().ln_1p(), -80.0, 30.0) < 5e-7);
    }

    #[test]
    fn extreme_arguments_saturate_and_nan_stays_nan() {
        let mut x = [f32::NEG_INFINITY, -1e4, 0.0, 1e4, f32::INFINITY, f32::NAN];
        exp_all(&mut x);
        assert_eq!(x[..3], [0.0, 0.0, 1.0]);
        assert!(x[3] > 1e38 && x[3].is_finite() && x[4] == x[3] && x[5].is_nan());
        let mut x = [f32::NEG_INFINITY, -30.0, 0.0, 30.0, f32::INFINITY, f32::NAN];
        tanh_all(&mut x);
        assert_eq!(x[..5], [-1.0, -1.0, 0.0, 1.0, 1.0]);
        assert!(x[5].is_nan());
    }
}
