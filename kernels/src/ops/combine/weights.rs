//! From scores to layer weights, chunk by chunk: the bounded logits, their softmax, and the way
//! back.
//!
//! Arrays per layer and row are `[K + 1, CHUNK]`.

use super::groups::CHUNK;
use crate::elementary::{exp, tanh};
use crate::simd::{dot_blocks, mul_add};

/// `bound * tanh(s / bound)`, or `s` without a bound: how far a row's logit is from the layer's
/// own.
#[inline(always)]
fn bounded<const FUSED: bool>(s: f32, bound: f32) -> f32 {
    if bound > 0.0 { bound * tanh::<FUSED>(s / bound) } else { s }
}

/// The derivative of [`bounded`].
#[inline(always)]
fn bounded_slope<const FUSED: bool>(s: f32, bound: f32) -> f32 {
    if bound > 0.0 {
        let t = tanh::<FUSED>(s / bound);
        mul_add::<FUSED>(-t, t, 1.0)
    } else {
        1.0
    }
}

/// The same two in f64, for the references.
pub(super) fn bounded_reference(s: f64, bound: f32) -> (f64, f64) {
    let bound = f64::from(bound);
    if bound > 0.0 { (bound * (s / bound).tanh(), 1.0 - (s / bound).tanh().powi(2)) } else { (s, 1.0) }
}

pub(super) fn softmax_reference(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - largest).exp()).sum();
    logits.iter().map(|l| (l - largest).exp() / sum).collect()
}

crate::dispatch! {
    /// Turns scores into weights, layer by layer:
    /// `a = softmax_k((theta_k + bounded(s_k)) / temperature)`.
    pub(super) fn attend(scores: &[f32], theta: &[f32], bound: f32, temperature: f32, weights: &mut [f32]) = attend_body
}

#[inline(always)]
fn attend_body<const FUSED: bool>(scores: &[f32], theta: &[f32], bound: f32, temperature: f32, weights: &mut [f32]) {
    let scores = scores.as_chunks::<CHUNK>().0;
    let weights = weights.as_chunks_mut::<CHUNK>().0;
    let mut largest = [f32::NEG_INFINITY; CHUNK];
    for ((scores, weights), theta) in scores.iter().zip(weights.iter_mut()).zip(theta) {
        for row in 0..CHUNK {
            weights[row] = (theta + bounded::<FUSED>(scores[row], bound)) / temperature;
            largest[row] = if weights[row] > largest[row] { weights[row] } else { largest[row] };
        }
    }
    let mut sum = [0.0; CHUNK];
    for weights in weights.iter_mut() {
        for row in 0..CHUNK {
            weights[row] = exp::<FUSED>(weights[row] - largest[row]);
            sum[row] += weights[row];
        }
    }
    for weights in weights.iter_mut() {
        for row in 0..CHUNK {
            weights[row] /= sum[row];
        }
    }
}

crate::dispatch! {
    /// `out_r = a_r e_r`, or added to what is there.
    pub(super) fn scale_rows(dim: usize, weights: &[f32], from: &[f32], add: bool, out: &mut [f32]) = scale_rows_body
}

#[inline(always)]
fn scale_rows_body<const FUSED: bool>(dim: usize, weights: &[f32], from: &[f32], add: bool, out: &mut [f32]) {
    for ((out, from), &a) in out.chunks_exact_mut(dim).zip(from.chunks_exact(dim)).zip(weights) {
        for (out, &x) in out.iter_mut().zip(from) {
            *out = if add { mul_add::<FUSED>(a, x, *out) } else { a * x };
        }
    }
}

crate::dispatch! {
    /// `out_r = <a_r, b_r>`, in blocks of 16 columns.
    pub(super) fn row_dots(dim: usize, a: &[f32], b: &[f32], out: &mut [f32]) = row_dots_body
}

#[inline(always)]
fn row_dots_body<const FUSED: bool>(dim: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    for (out, (a, b)) in out.iter_mut().zip(a.chunks_exact(dim).zip(b.chunks_exact(dim))) {
        *out = dot_blocks::<FUSED>(a, b);
    }
}

crate::dispatch! {
    /// `p_k` becomes `a_k (p_k - sum_j a_j p_j) / temperature`, for the first `n` rows of a chunk.
    pub(super) fn centre(weights: &[f32], p: &mut [f32], temperature: f32, n: usize) = centre_body
}

#[inline(always)]
fn centre_body<const FUSED: bool>(weights: &[f32], p: &mut [f32], temperature: f32, n: usize) {
    let mut mean = [0.0; CHUNK];
    for (weights, p) in weights.chunks_exact(CHUNK).zip(p.chunks_exact(CHUNK)) {
        for row in 0..n {
            mean[row] = mul_add::<FUSED>(weights[row], p[row], mean[row]);
        }
    }
    for (weights, p) in weights.chunks_exact(CHUNK).zip(p.chunks_exact_mut(CHUNK)) {
        for row in 0..n {
            p[row] = weights[row] * (p[row] - mean[row]) / temperature;
        }
    }
}

crate::dispatch! {
    /// `d` becomes `d (1 - tanh^2(s / bound))`.
    pub(super) fn through_bound(scores: &[f32], bound: f32, d: &mut [f32]) = through_bound_body
}

#[inline(always)]
fn through_bound_body<const FUSED: bool>(scores: &[f32], bound: f32, d: &mut [f32]) {
    for (d, &s) in d.iter_mut().zip(scores) {
        *d *= bounded_slope::<FUSED>(s, bound);
    }
}
