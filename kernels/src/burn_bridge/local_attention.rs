//! Attention of each position to those before it and itself, with a small network for the logits:
//! `y_t = sum_{j <= t} a_tj h_j`, `a_tj = sum_c v_c s(p_jc + q_tc)`, `s` being the sigmoid; or the
//! softmax of these over `j <= t`.
//!
//! Backward: `da_tj = dy_t . h_j` (for the softmax `a_tj (da_tj - sum_j a_tj da_tj)`);
//! `dh_j = sum_t a_tj dy_t`; with `s_tjc` the sigmoids, `dv_c = sum_tj da_tj s_tjc`, and
//! `da_tj v_c s_tjc (1 - s_tjc)` is what `p_jc` and `q_tc` get. The sigmoids are computed again,
//! not kept.
//!
//! # Source
//! Li et al., *Neural Attentive Session-based Recommendation*, CIKM 2017, eq. 6-8 (there the logits
//! are the weights).

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use super::sequences::Sequences;
use crate::elementary::softplus_sigmoid;
use crate::simd::block_sum;

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct LocalAttention {
    sequences: Sequences,
    normalised: bool,
}

/// `sum_c v_c s(p_jc + q_c)` for each row `j` of `p`.
#[inline(always)]
fn logits_body<const FUSED: bool>(p: &[f32], q: &[f32], v: &[f32], out: &mut [f32]) {
    for (p, out) in p.chunks_exact(q.len()).zip(out) {
        let mut lanes = [0.0; 16];
        for ((p, q), v) in p.chunks(16).zip(q.chunks(16)).zip(v.chunks(16)) {
            for (lane, ((p, q), v)) in lanes.iter_mut().zip(p.iter().zip(q).zip(v)) {
                *lane += v * softplus_sigmoid::<FUSED>(p + q).1;
            }
        }
        *out = block_sum(&lanes);
    }
}

/// What `d[j]`, the gradient of the logit of each row `j`, means for `p_j`, for `q` and for `v`:
/// added to each.
#[inline(always)]
fn logit_gradients_body<const FUSED: bool>(
    p: &[f32],
    q: &[f32],
    v: &[f32],
    d: &[f32],
    d_p: &mut [f32],
    d_q: &mut [f32],
    d_v: &mut [f32],
) {
    let width = q.len();
    for ((p, d_p), d) in p.chunks_exact(width).zip(d_p.chunks_exact_mut(width)).zip(d) {
        for c in 0..width {
            let s = softplus_sigmoid::<FUSED>(p[c] + q[c]).1;
            let inner = d * v[c] * s * (1.0 - s);
            d_p[c] += inner;
            d_q[c] += inner;
            d_v[c] += d * s;
        }
    }
}

#[inline(always)]
fn dots_body<const FUSED: bool>(rows: &[f32], one: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(one.len()).zip(out) {
        let mut lanes = [0.0; 16];
        for (row, one) in row.chunks(16).zip(one.chunks(16)) {
            for (lane, (a, b)) in lanes.iter_mut().zip(row.iter().zip(one)) {
                *lane += a * b;
            }
        }
        *out = block_sum(&lanes);
    }
}

#[inline(always)]
fn add_scaled_body<const FUSED: bool>(factor: f32, from: &[f32], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

crate::dispatch! { fn logits(p: &[f32], q: &[f32], v: &[f32], out: &mut [f32]) = logits_body }
crate::dispatch! {
    fn logit_gradients(p: &[f32], q: &[f32], v: &[f32], d: &[f32], d_p: &mut [f32], d_q: &mut [f32], d_v: &mut [f32])
        = logit_gradients_body
}
crate::dispatch! { fn dots(rows: &[f32], one: &[f32], out: &mut [f32]) = dots_body }
crate::dispatch! { fn add_scaled(factor: f32, from: &[f32], to: &mut [f32]) = add_scaled_body }

fn softmax(weights: &mut [f32]) {
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for weight in weights.iter_mut() {
        *weight = (*weight - largest).exp();
        sum += *weight;
    }
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

/// `values` cut where the sequences are, `width` numbers for each row.
fn pieces<'a>(sequences: &Sequences, mut values: &'a mut [f32], width: impl Fn(usize) -> usize) -> Vec<&'a mut [f32]> {
    let cut = |range: std::ops::Range<usize>| {
        let (own, later) = std::mem::take(&mut values).split_at_mut(width(range.len()));
        values = later;
        own
    };
    sequences.ranges().map(cut).collect()
}

impl Op<4> for LocalAttention {
    /// `n^2` weights for each sequence of `n`, zero above the diagonal.
    type Saved = Arc<Vec<f32>>;

    fn forward(&self, [p, q, v, h]: [Matrix<'_>; 4]) -> Output<Self::Saved> {
        let (width, columns) = (p.columns, h.columns);
        let (mut values, mut weights) = (vec![0.0; h.values.len()], vec![0.0; self.sequences.n_pairs()]);
        let ranges: Vec<_> = self.sequences.ranges().collect();
        let tasks = pieces(&self.sequences, &mut values, |n| n * columns).into_par_iter();
        let tasks = tasks.zip(pieces(&self.sequences, &mut weights, |n| n * n)).zip(ranges);
        tasks.for_each(|((values, weights), range)| {
            let n = range.len();
            let rows = |width: usize| range.start * width..(range.start + n) * width;
            let (own_p, own_h) = (&p.values[rows(width)], &h.values[rows(columns)]);
            for t in 0..n {
                let at = (range.start + t) * width;
                let weights = &mut weights[t * n..t * n + t + 1];
                logits(&own_p[..(t + 1) * width], &q.values[at..at + width], v.values, weights);
                if self.normalised {
                    softmax(weights);
                }
                let out = &mut values[t * columns..(t + 1) * columns];
                for (weight, h) in weights.iter().zip(own_h.chunks_exact(columns)) {
                    add_scaled(*weight, h, out);
                }
            }
        });
        Output { values, columns, saved: Arc::new(weights) }
    }

    fn backward(&self, [p, q, v, h]: [Matrix<'_>; 4], saved: &Self::Saved, gradient: Matrix<'_>) -> [Vec<f32>; 4] {
        let (width, columns) = (p.columns, h.columns);
        let mut first_weight = 0;
        let mut ranges = Vec::with_capacity(self.sequences.len());
        for range in self.sequences.ranges() {
            let n = range.len();
            ranges.push((range, first_weight));
            first_weight += n * n;
        }
        let [mut d_p, mut d_q] = [p, q].map(|matrix| vec![0.0; matrix.values.len()]);
        let mut d_h = vec![0.0; h.values.len()];
        let tasks = pieces(&self.sequences, &mut d_p, |n| n * width).into_par_iter();
        let tasks = tasks.zip(pieces(&self.sequences, &mut d_q, |n| n * width));
        let tasks = tasks.zip(pieces(&self.sequences, &mut d_h, |n| n * columns)).zip(ranges);
        let parts: Vec<Vec<f32>> = tasks
            .map(|(((d_p, d_q), d_h), (range, first_weight))| {
                let n = range.len();
                let (mut d_v, mut d) = (vec![0.0; width], vec![0.0; n]);
                let own_p = &p.values[range.start * width..(range.start + n) * width];
                let own_h = &h.values[range.start * columns..(range.start + n) * columns];
                for t in 0..n {
                    let weights = &saved[first_weight + t * n..first_weight + t * n + t + 1];
                    let d_y = &gradient.values[(range.start + t) * columns..(range.start + t + 1) * columns];
                    let d = &mut d[..t + 1];
                    dots(&own_h[..(t + 1) * columns], d_y, d);
                    for (weight, d_h) in weights.iter().zip(d_h.chunks_exact_mut(columns)) {
                        add_scaled(*weight, d_y, d_h);
                    }
                    if self.normalised {
                        let mean: f32 = weights.iter().zip(&*d).map(|(weight, d)| weight * d).sum();
                        d.iter_mut().zip(weights).for_each(|(d, weight)| *d = weight * (*d - mean));
                    }
                    let own_q = &q.values[(range.start + t) * width..(range.start + t + 1) * width];
                    let (d_p, d_q) = (&mut d_p[..(t + 1) * width], &mut d_q[t * width..(t + 1) * width]);
                    logit_gradients(&own_p[..(t + 1) * width], own_q, v.values, d, d_p, d_q, &mut d_v);
                }
                d_v
            })
            .collect();
        let mut d_v = vec![0.0; width];
        for part in parts {
            d_v.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        [d_p, d_q, d_v, d_h]
    }
}

/// What each position gathers from those before it and itself.
///
/// # Shapes
/// - `p`, `q`: `[rows, width]`; `v`: `[1, width]`; `h`: `[rows, columns]`; returns
///   `[rows, columns]`
pub fn local_attention<B: OpBackend>(
    p: Tensor<B, 2>,
    q: Tensor<B, 2>,
    v: Tensor<B, 2>,
    h: Tensor<B, 2>,
    sequences: &Sequences,
    normalised: bool,
) -> Tensor<B, 2> {
    let (rows, [_, width]) = (sequences.n_rows(), p.dims());
    assert!(width > 0 && h.dims()[1] > 0, "local_attention: there should be columns");
    assert!(p.dims() == q.dims() && v.dims() == [1, width], "local_attention: widths differ");
    assert!(p.dims()[0] == rows && h.dims()[0] == rows, "local_attention: rows should be those of the sequences");
    apply(&LocalAttention { sequences: sequences.clone(), normalised }, [p, q, v, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads, run};
    use crate::testing::numbers;

    fn plain(op: &LocalAttention, inputs: &[Vec<f64>; 4], width: usize, columns: usize) -> Vec<f64> {
        let [p, q, v, h] = inputs;
        let mut out = vec![0.0; h.len()];
        for range in op.sequences.ranges() {
            for t in range.clone() {
                let logit = |j: usize| -> f64 {
                    (0..width).map(|c| v[c] / (1.0 + (-p[j * width + c] - q[t * width + c]).exp())).sum()
                };
                let mut weights: Vec<f64> = (range.start..=t).map(logit).collect();
                if op.normalised {
                    let sum: f64 = weights.iter().map(|weight| weight.exp()).sum();
                    weights.iter_mut().for_each(|weight| *weight = weight.exp() / sum);
                }
                for (j, weight) in (range.start..).zip(weights) {
                    for c in 0..columns {
                        out[t * columns + c] += weight * h[j * columns + c];
                    }
                }
            }
        }
        out
    }

    /// Sums of at most 9 products of 19 terms below 1.
    #[test]
    fn value_and_gradient_match_the_formula() {
        for (starts, width, columns, normalised) in
            [(vec![0, 1, 5, 5, 14], 5, 3, false), (vec![0, 4, 9], 19, 2, true), (vec![0, 7], 1, 1, true)]
        {
            let op = LocalAttention { sequences: Sequences::new(starts), normalised };
            let rows = op.sequences.n_rows();
            let shapes = [(rows, width), (rows, width), (1, width), (rows, columns)];
            check_against(&op, shapes, 5e-5, |inputs| plain(&op, inputs, width, columns));
        }
    }

    #[test]
    fn a_sequence_is_answered_as_it_is_alone_and_threads_change_nothing() {
        let together = LocalAttention { sequences: Sequences::new(vec![0, 9, 20, 20, 41]), normalised: true };
        let shapes = [(41, 13), (41, 13), (1, 13), (41, 17)];
        check_threads(&together, shapes);
        let inputs = [numbers(1, 41 * 13), numbers(2, 41 * 13), numbers(3, 13), numbers(4, 41 * 17)];
        let all = run(&together, &inputs, shapes);
        let alone = LocalAttention { sequences: Sequences::new(vec![0, 11]), normalised: true };
        let [p, q, v, h] = inputs;
        let own = [p[9 * 13..20 * 13].to_vec(), q[9 * 13..20 * 13].to_vec(), v, h[9 * 17..20 * 17].to_vec()];
        let one = run(&alone, &own, [(11, 13), (11, 13), (1, 13), (11, 17)]);
        assert_eq!(one[0], all[0][9 * 17..20 * 17]);
    }
}
