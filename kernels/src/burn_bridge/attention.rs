//! Attention within each sequence: `y_i = sum_j m_ij a_ij v_j`,
//! `a_i = softmax_j(q_i . k_j / sqrt(head width))`, over `j <= i` where it is causal, for each
//! head; `m` is the dropout.
//!
//! Backward, per head: with `P = m a`, `dV = P^T dY`; `da = m (dY V^T)`;
//! `dS_ij = a_ij (da_ij - sum_j a_ij da_ij) / sqrt(head width)`; `dQ = dS K`, `dK = dS^T Q`.
//!
//! # Source
//! Vaswani et al., *Attention Is All You Need*, NIPS 2017, eq. 1 and section 3.2.2.

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::drop::{Drop, drop_all};
use super::op::{Matrix, Op, OpBackend, Output, apply};
use super::sequences::Sequences;
use crate::elementary::exp;
use crate::simd::block_sum;
use crate::tile::{Left, Panels, ROW_BLOCK, Store, product};

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct Attention {
    sequences: Sequences,
    heads: usize,
    causal: bool,
    drop: Drop,
}

/// One sequence in the arrays of a call.
struct Piece<'a> {
    /// Its first row.
    first: usize,
    n: usize,
    /// Its first weight among all weights.
    first_weight: usize,
    rows: &'a mut [f32],
}

#[derive(Default)]
struct Scratch {
    panels: Panels,
    head: Vec<f32>,
    weights: Vec<f32>,
    d_weights: Vec<f32>,
}

/// Softmax of each row, over its first `i + 1` places where it is causal; the others become 0.
#[inline(always)]
fn softmax_rows_body<const FUSED: bool>(scores: &mut [f32], n: usize, causal: bool, scale: f32) {
    for (i, row) in scores.chunks_exact_mut(n).enumerate() {
        let (row, rest) = row.split_at_mut(if causal { i + 1 } else { n });
        rest.fill(0.0);
        let mut largest = f32::NEG_INFINITY;
        for score in row.iter() {
            largest = if *score > largest { *score } else { largest };
        }
        let mut lanes = [0.0; 16];
        let (blocks, tail) = row.as_chunks_mut::<16>();
        for block in blocks {
            for lane in 0..16 {
                block[lane] = exp::<FUSED>((block[lane] - largest) * scale);
                lanes[lane] += block[lane];
            }
        }
        for (lane, score) in lanes.iter_mut().zip(tail) {
            *score = exp::<FUSED>((*score - largest) * scale);
            *lane += *score;
        }
        let factor = 1.0 / block_sum(&lanes);
        row.iter_mut().for_each(|score| *score *= factor);
    }
}

/// `da` to `dS`, in place.
#[inline(always)]
fn d_scores_body<const FUSED: bool>(weights: &[f32], d: &mut [f32], n: usize, scale: f32) {
    for (weights, d) in weights.chunks_exact(n).zip(d.chunks_exact_mut(n)) {
        let mut lanes = [0.0; 16];
        for (weights, d) in weights.chunks(16).zip(d.chunks(16)) {
            for (lane, (w, d)) in lanes.iter_mut().zip(weights.iter().zip(d)) {
                *lane += w * d;
            }
        }
        let mean = block_sum(&lanes);
        weights.iter().zip(d).for_each(|(w, d)| *d = w * (*d - mean) * scale);
    }
}

crate::dispatch! { fn softmax_rows(scores: &mut [f32], n: usize, causal: bool, scale: f32) = softmax_rows_body }
crate::dispatch! { fn d_scores(weights: &[f32], d: &mut [f32], n: usize, scale: f32) = d_scores_body }

impl Attention {
    /// The sequences with the rows of `out`, `columns` wide, that belong to each.
    fn pieces<'a>(&self, mut out: &'a mut [f32], columns: usize) -> Vec<Piece<'a>> {
        let mut first_weight = 0;
        let mut pieces = Vec::with_capacity(self.sequences.len());
        for range in self.sequences.ranges() {
            let n = range.len();
            let (rows, rest) = std::mem::take(&mut out).split_at_mut(n * columns);
            out = rest;
            pieces.push(Piece { first: range.start, n, first_weight, rows });
            first_weight += self.heads * n * n;
        }
        pieces
    }
}

/// Columns `from..from + width` of `n` rows that are `stride` apart, as one matrix.
fn copy_columns(values: &[f32], n: usize, stride: usize, from: usize, width: usize, to: &mut Vec<f32>) {
    to.clear();
    values.chunks(stride).take(n).for_each(|row| to.extend_from_slice(&row[from..from + width]));
}

impl Op<1> for Attention {
    type Saved = Arc<Vec<f32>>;

    fn forward(&self, [qkv]: [Matrix<'_>; 1]) -> Output<Self::Saved> {
        let (columns, dim) = (qkv.columns, qkv.columns / 3);
        let width = dim / self.heads;
        let scale = 1.0 / (width as f32).sqrt();
        let (mut values, mut weights) = (vec![0.0; qkv.rows * dim], vec![0.0; self.heads * self.sequences.n_pairs()]);
        let mut rest = weights.as_mut_slice();
        let mut tasks = Vec::with_capacity(self.sequences.len());
        for piece in self.pieces(&mut values, dim) {
            let (own, later) = std::mem::take(&mut rest).split_at_mut(self.heads * piece.n * piece.n);
            rest = later;
            tasks.push((piece, own));
        }
        tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (piece, weights)| {
            let n = piece.n;
            let rows = &qkv.values[piece.first * columns..(piece.first + n) * columns];
            for (head, weights) in weights.chunks_exact_mut((n * n).max(1)).enumerate() {
                let at = head * width;
                copy_columns(rows, n, columns, dim + at, width, &mut scratch.head);
                scratch.panels.pack_columns(&scratch.head, width, n);
                let q = Left { values: &rows[at..], rows: n, row_stride: columns, depth_stride: 1 };
                product(q, scratch.panels.part(0, width), ROW_BLOCK, Store::Overwrite, weights, n);
                softmax_rows(weights, n, self.causal, scale);
                scratch.weights.clear();
                scratch.weights.extend_from_slice(weights);
                if !self.drop.is_nothing() {
                    drop_all(self.drop, piece.first_weight + head * n * n, &mut scratch.weights);
                }
                copy_columns(rows, n, columns, 2 * dim + at, width, &mut scratch.head);
                scratch.panels.pack_rows(&scratch.head, n, width);
                let p = Left::rows(&scratch.weights, n, n);
                product(p, scratch.panels.part(0, n), ROW_BLOCK, Store::Overwrite, &mut piece.rows[at..], dim);
            }
        });
        Output { values, columns: dim, saved: Arc::new(weights) }
    }

    fn backward(&self, [qkv]: [Matrix<'_>; 1], saved: &Self::Saved, gradient: Matrix<'_>) -> [Vec<f32>; 1] {
        let (columns, dim) = (qkv.columns, qkv.columns / 3);
        let width = dim / self.heads;
        let scale = 1.0 / (width as f32).sqrt();
        let mut d_qkv = vec![0.0; qkv.values.len()];
        let pieces = self.pieces(&mut d_qkv, columns);
        pieces.into_par_iter().for_each_init(Scratch::default, |scratch, piece| {
            let n = piece.n;
            let rows = &qkv.values[piece.first * columns..(piece.first + n) * columns];
            let d_y = &gradient.values[piece.first * dim..(piece.first + n) * dim];
            let Scratch { panels, head, weights, d_weights } = scratch;
            for index in 0..if n == 0 { 0 } else { self.heads } {
                let (at, first) = (index * width, piece.first_weight + index * n * n);
                let own = &saved[first..first + n * n];
                d_weights.resize(n * n, 0.0);
                weights.clear();
                weights.extend_from_slice(own);
                // da = m (dY V^T)
                copy_columns(rows, n, columns, 2 * dim + at, width, head);
                panels.pack_columns(head, width, n);
                let left = Left { values: &d_y[at..], rows: n, row_stride: dim, depth_stride: 1 };
                product(left, panels.part(0, width), ROW_BLOCK, Store::Overwrite, d_weights, n);
                if !self.drop.is_nothing() {
                    drop_all(self.drop, first, d_weights);
                    drop_all(self.drop, first, weights);
                }
                // dV = P^T dY
                copy_columns(d_y, n, dim, at, width, head);
                panels.pack_rows(head, n, width);
                let left = Left::transposed(weights, n, n);
                let out = &mut piece.rows[2 * dim + at..];
                product(left, panels.part(0, n), ROW_BLOCK, Store::Overwrite, out, columns);
                d_scores(own, d_weights, n, scale);
                // dQ = dS K
                copy_columns(rows, n, columns, dim + at, width, head);
                panels.pack_rows(head, n, width);
                let out = &mut piece.rows[at..];
                product(Left::rows(d_weights, n, n), panels.part(0, n), ROW_BLOCK, Store::Overwrite, out, columns);
                // dK = dS^T Q
                copy_columns(rows, n, columns, at, width, head);
                panels.pack_rows(head, n, width);
                let left = Left::transposed(d_weights, n, n);
                let out = &mut piece.rows[dim + at..];
                product(left, panels.part(0, n), ROW_BLOCK, Store::Overwrite, out, columns);
            }
        });
        [d_qkv]
    }
}

/// Attention of every position to those of its own sequence, or to those before it and itself where
/// it is causal.
///
/// # Shapes
/// - `qkv`: `[rows, 3 dim]`: queries, keys and values, each with its heads side by side; returns
///   `[rows, dim]`
pub fn attention<B: OpBackend>(
    qkv: Tensor<B, 2>,
    sequences: &Sequences,
    heads: usize,
    causal: bool,
    drop: Drop,
) -> Tensor<B, 2> {
    let [rows, columns] = qkv.dims();
    assert!(heads > 0 && columns % (3 * heads) == 0, "attention: each head should have columns of its own");
    assert_eq!(rows, sequences.n_rows(), "attention: rows should be those of the sequences");
    apply(&Attention { sequences: sequences.clone(), heads, causal, drop }, [qkv])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads, run};
    use crate::testing::numbers;

    fn plain(op: &Attention, qkv: &[f64], dim: usize) -> Vec<f64> {
        let width = dim / op.heads;
        let (mut out, mut first_weight) = (vec![0.0; qkv.len() / 3], 0);
        for range in op.sequences.ranges() {
            let n = range.len();
            for head in 0..op.heads {
                let part = |row: usize, part: usize| &qkv[row * 3 * dim + part * dim + head * width..][..width];
                for i in 0..n {
                    let last = if op.causal { i + 1 } else { n };
                    let score = |j: usize| {
                        let (q, k) = (part(range.start + i, 0), part(range.start + j, 1));
                        (q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() / (width as f64).sqrt()).exp()
                    };
                    let total: f64 = (0..last).map(score).sum();
                    for j in 0..last {
                        let kept = f64::from(op.drop.factor(first_weight + head * n * n + i * n + j));
                        for c in 0..width {
                            out[(range.start + i) * dim + head * width + c] +=
                                kept * score(j) / total * part(range.start + j, 2)[c];
                        }
                    }
                }
            }
            first_weight += op.heads * n * n;
        }
        out
    }

    /// Weighted means of numbers below 1; the gradients sum at most 18 of them.
    #[test]
    fn value_and_gradient_match_the_formula() {
        for (starts, heads, dim, causal) in
            [(vec![0, 1, 8, 8, 25], 1, 5, true), (vec![0, 3, 20], 2, 6, false), (vec![0, 17], 2, 4, true)]
        {
            for drop in [Drop::NOTHING, Drop::new(0.4, 9)] {
                let op = Attention { sequences: Sequences::new(starts.clone()), heads, causal, drop };
                let shapes = [(op.sequences.n_rows(), 3 * dim)];
                check_against(&op, shapes, 1e-5, |inputs| plain(&op, &inputs[0], dim));
            }
        }
    }

    #[test]
    fn a_sequence_is_answered_as_it_is_alone_and_threads_change_nothing() {
        let starts = vec![0, 50, 61, 61, 100];
        let together = Attention { sequences: Sequences::new(starts), heads: 2, causal: true, drop: Drop::NOTHING };
        check_threads(&together, [(100, 3 * 34)]);
        let qkv = numbers(5, 100 * 3 * 34);
        let all = run(&together, std::array::from_ref(&qkv), [(100, 3 * 34)]);
        let alone = Attention { sequences: Sequences::new(vec![0, 11]), ..together };
        let one = run(&alone, &[qkv[50 * 3 * 34..61 * 3 * 34].to_vec()], [(11, 3 * 34)]);
        assert_eq!(one[0], all[0][50 * 34..61 * 34]);
    }
}
