//! Pooling the layers' vectors of a row into one: `pooled_i = sum_k a_ik e_ik`, with weights for all rows ([`weighted`], and [`global`] where they are
//! learned) or per row ([`additive`],
//! [`dot`]).
//!
//! `hops` is K + 1 matrices `[S, dim]`, layer 0 first; `range` picks the rows to treat, because users and items have parameters of their own. Every op
//! has a forward pass, a vector-Jacobian product and a Jacobian-vector product.
//!
//! Rows are cut into chunks of 128 and chunks into at most 32 groups by their number alone; one task treats a group from its first row to its last,
//! and the groups' shares of a parameter gradient are added in order.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::elementary::{exp, tanh};
use crate::error::{KernelError, Result, expect_len};
use crate::simd::{dot_blocks, mul_add};

pub mod additive;
pub mod dot;
pub mod global;
#[cfg(feature = "gpu")]
mod gpu;
pub mod weighted;

pub use additive::{AdditiveShape, AdditiveWorkspace, additive_backward, additive_forward, additive_tangent};
pub use dot::{DotShape, DotWorkspace, dot_backward, dot_forward, dot_tangent};
pub use global::{global_backward, global_forward, global_tangent, global_weights};
pub use weighted::{layer_dots, weighted_sum, weighted_sum_direct};

/// Most layers above layer 0.
pub const MAX_LAYERS: usize = 8;

const MAX_HOPS: usize = MAX_LAYERS + 1;
const CHUNK: usize = 128;
const GROUPS: usize = 32;

/// Checks that `hops` are `n_hops` equal matrices of whole rows which hold `range`; returns their number of rows.
fn check_hops(
    op: &'static str,
    argument: &'static str,
    dim: usize,
    n_hops: usize,
    hops: &[Buffer<f32>],
    range: &Range<usize>,
) -> Result<usize> {
    if n_hops == 0 || n_hops > MAX_HOPS {
        return Err(KernelError::Index { op, argument: "layers", index: n_hops.wrapping_sub(1), bound: MAX_HOPS });
    }
    expect_len(op, argument, hops.len(), n_hops)?;
    let n_rows = hops[0].len() / dim.max(1);
    for hop in hops {
        expect_len(op, argument, hop.len(), n_rows * dim)?;
    }
    if range.start > range.end || range.end > n_rows {
        return Err(KernelError::Index { op, argument: "range", index: range.end, bound: n_rows + 1 });
    }
    Ok(n_rows)
}

/// Rows in a group, and the number of groups.
fn grouping(n_rows: usize) -> (usize, usize) {
    let rows = n_rows.div_ceil(CHUNK).div_ceil(GROUPS).max(1) * CHUNK;
    (rows, n_rows.div_ceil(rows))
}

/// The chunks of one group: (first row, number of rows).
fn chunks(rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let end = rows.end;
    rows.step_by(CHUNK).map(move |from| (from, CHUNK.min(end - from)))
}

/// Rows `from..from + n` of a row-major matrix.
fn rows(matrix: &[f32], width: usize, from: usize, n: usize) -> &[f32] {
    &matrix[from * width..(from + n) * width]
}

/// The rows of `range` of a row-major matrix, to be written, with their width.
fn rows_mut<'a>(matrix: &'a mut Buffer<f32>, width: usize, range: &Range<usize>) -> (&'a mut [f32], usize) {
    (&mut matrix.host_mut()[range.start * width..range.end * width], width)
}

/// The rows of `range` of every hop, in the fixed-size form that [`for_groups`] takes; places past the last hop are empty.
fn hops_mut<'a>(hops: &'a mut [Buffer<f32>], dim: usize, range: &Range<usize>) -> [(&'a mut [f32], usize); MAX_HOPS] {
    let mut hops = hops.iter_mut();
    [(); MAX_HOPS].map(|()| hops.next().map_or((&mut [][..], 0), |hop| rows_mut(hop, dim, range)))
}

/// Runs `work(rows of the group, its scratch, its rows of each output)` for every group, in parallel.
///
/// Halving the outputs again and again hands each task its own rows without a list of slices per call.
fn for_groups<const N: usize, G: Send>(
    range: Range<usize>,
    rows_per_group: usize,
    groups: &mut [G],
    outputs: [(&mut [f32], usize); N],
    work: &(impl Fn(Range<usize>, &mut G, [&mut [f32]; N]) + Sync),
) {
    match groups {
        [] => {}
        [group] => work(range, group, outputs.map(|(rows, _)| rows)),
        _ => {
            let half = groups.len() / 2;
            let middle = range.start + half * rows_per_group;
            let (low_groups, high_groups) = groups.split_at_mut(half);
            let mut high = [(); N].map(|()| (&mut [][..], 0));
            let mut at = 0;
            let low = outputs.map(|(rows, width)| {
                let (low, rest) = rows.split_at_mut(rows.len().min(half * rows_per_group * width));
                high[at] = (rest, width);
                at += 1;
                (low, width)
            });
            rayon::join(
                || for_groups(range.start..middle, rows_per_group, low_groups, low, work),
                || for_groups(middle..range.end, rows_per_group, high_groups, high, work),
            );
        }
    }
}

/// `bound * tanh(s / bound)`, or `s` without a bound: how far a row's logit is from the layer's own.
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
fn bounded_reference(s: f64, bound: f32) -> (f64, f64) {
    let bound = f64::from(bound);
    if bound > 0.0 { (bound * (s / bound).tanh(), 1.0 - (s / bound).tanh().powi(2)) } else { (s, 1.0) }
}

fn softmax_reference(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - largest).exp()).sum();
    logits.iter().map(|l| (l - largest).exp() / sum).collect()
}

crate::dispatch! {
    /// Turns scores into weights, layer by layer: `a = softmax_k((theta_k + bounded(s_k)) / temperature)`. `scores` holds CHUNK rows per layer.
    fn attend(scores: &[f32], theta: &[f32], bound: f32, temperature: f32, weights: &mut [f32]) = attend_body
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
    fn scale_rows(dim: usize, weights: &[f32], from: &[f32], add: bool, out: &mut [f32]) = scale_rows_body
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
    fn row_dots(dim: usize, a: &[f32], b: &[f32], out: &mut [f32]) = row_dots_body
}

#[inline(always)]
fn row_dots_body<const FUSED: bool>(dim: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    for (out, (a, b)) in out.iter_mut().zip(a.chunks_exact(dim).zip(b.chunks_exact(dim))) {
        *out = dot_blocks::<FUSED>(a, b);
    }
}

crate::dispatch! {
    /// `p_k` becomes `a_k (p_k - sum_j a_j p_j) / temperature`, for the first `n` rows of a chunk.
    fn centre(weights: &[f32], p: &mut [f32], temperature: f32, n: usize) = centre_body
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
    fn through_bound(scores: &[f32], bound: f32, d: &mut [f32]) = through_bound_body
}

#[inline(always)]
fn through_bound_body<const FUSED: bool>(scores: &[f32], bound: f32, d: &mut [f32]) {
    for (d, &s) in d.iter_mut().zip(scores) {
        *d *= bounded_slope::<FUSED>(s, bound);
    }
}

/// Adds the groups' parameter gradients in their order.
fn add_groups<'a>(mut parts: impl Iterator<Item = &'a [f32]>, out: &mut [f32]) {
    match parts.next() {
        Some(first) => out.copy_from_slice(first),
        None => out.fill(0.0),
    }
    for part in parts {
        out.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}
