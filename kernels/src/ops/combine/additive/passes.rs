//! Additive attention of one chunk of rows on the processor.

use std::ops::Range;

use super::AdditiveShape;
use crate::elementary::tanh;
use crate::ops::combine::attention::{Arrived, Attention, Chunk, Group, Names, Passes};
use crate::ops::combine::groups::{CHUNK, Rows};
use crate::ops::combine::layers::MAX_HOPS;
use crate::ops::combine::weights::{attend, centre, row_dots, scale_rows, through_bound};
use crate::simd::{block_sum, mul_add};
use crate::tile::{COLUMN_BLOCK, Left, Panels, ROW_BLOCK, Store, product};

/// `W` as the right factor of `E W^T`, or of `delta W`.
#[derive(Debug, Clone, Default)]
pub struct Matrices {
    weight: Panels,
}

/// Scratch of one chunk.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// `tanh(W e + b)`, later its deltas: `[CHUNK, hidden]`.
    hidden: Vec<f32>,
    hidden_dot: Vec<f32>,
    /// Per layer and row, `[K + 1, CHUNK]`: scores, weights, and what the passes put beside them.
    scores: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
    e_rows: Panels,
}

impl Passes for AdditiveShape {
    const NAMES: Names =
        Names { forward: "additive_forward", backward: "additive_backward", tangent: "additive_tangent" };
    type Matrices = Matrices;
    type Scratch = Scratch;

    fn pack(&self, parameters: &[f32], matrices: &mut Matrices) {
        matrices.weight.pack_columns(&parameters[self.weight()], self.dim, self.hidden);
    }

    fn pack_transposed(&self, parameters: &[f32], matrices: &mut Matrices) {
        matrices.weight.pack_rows(&parameters[self.weight()], self.hidden, self.dim);
    }

    fn resize(&self, scratch: &mut Scratch) {
        scratch.hidden.resize(CHUNK * self.hidden, 0.0);
        scratch.hidden_dot.resize(CHUNK * self.hidden, 0.0);
        for values in [&mut scratch.scores, &mut scratch.weights, &mut scratch.slopes] {
            values.resize(CHUNK * self.n_hops(), 0.0);
        }
    }

    fn forward_chunk(&self, now: Chunk<'_, Matrices>, scratch: &mut Scratch, pooled: &mut [f32]) {
        let (rows, Scratch { hidden, scores, weights, .. }) = (now.rows, scratch);
        for k in 0..self.n_hops() {
            self.score(&now, k, hidden, &mut scores[layer(k, rows)]);
        }
        attend(scores, &now.flat[self.theta()], self.bound, self.temperature, weights);
        for k in 0..self.n_hops() {
            scale_rows(self.dim, &weights[layer(k, rows)], rows.layer(k), k > 0, pooled);
        }
    }

    fn weights(scratch: &Scratch) -> &[f32] {
        &scratch.weights
    }

    fn backward_chunk(
        &self,
        now: Chunk<'_, Matrices>,
        transposed: &Matrices,
        arrived: Arrived<'_>,
        group: &mut Group<Scratch>,
        direct: [&mut [f32]; MAX_HOPS],
    ) {
        let Group { scratch: Scratch { hidden, scores, weights, slopes, e_rows, .. }, d_parameters } = group;
        let (n_hops, dim, rows, n) = (self.n_hops(), self.dim, now.rows, now.rows.n);
        for k in 0..n_hops {
            row_dots(dim, arrived.g, rows.layer(k), &mut slopes[layer(k, rows)]);
            for (row, a) in arrived.attention.chunks_exact(n_hops).enumerate() {
                weights[k * CHUNK + row] = a[k];
            }
        }
        centre(weights, slopes, self.temperature, n);
        for (k, direct) in direct.into_iter().take(n_hops).enumerate() {
            let slopes = &mut slopes[layer(k, rows)];
            d_parameters[k] += slopes.iter().sum::<f32>();
            self.score(&now, k, hidden, &mut scores[layer(k, rows)]);
            through_bound(&scores[layer(k, rows)], self.bound, slopes);
            let (d_bias, d_query) = d_parameters[self.bias().start..].split_at_mut(self.hidden);
            deltas(&now.flat[self.query()], slopes, &mut hidden[..n * self.hidden], d_bias, d_query);
            e_rows.pack_rows(rows.layer(k), n, dim);
            let (left, to) = (Left::transposed(hidden, self.hidden, self.hidden), &mut d_parameters[self.weight()]);
            product(left, e_rows.all(), ROW_BLOCK, Store::Add, to, dim);
            let (left, to) = (Left::rows(hidden, n, self.hidden), &mut direct[..n * dim]);
            product(left, transposed.weight.all(), ROW_BLOCK, Store::Overwrite, to, dim);
            scale_rows(dim, &weights[layer(k, rows)], arrived.g, true, to);
        }
    }

    fn tangent_chunk(
        &self,
        now: Chunk<'_, Matrices>,
        moved: Chunk<'_, Matrices>,
        scratch: &mut Scratch,
        d_pooled: &mut [f32],
    ) {
        let Scratch { hidden, hidden_dot, scores, weights, slopes, .. } = scratch;
        let (dim, rows, n) = (self.dim, now.rows, now.rows.n);
        for k in 0..self.n_hops() {
            self.score(&now, k, hidden, &mut scores[layer(k, rows)]);
            let (e, e_dot) = (Left::rows(rows.layer(k), n, dim), Left::rows(moved.rows.layer(k), n, dim));
            product(e_dot, now.matrices.weight.all(), COLUMN_BLOCK, Store::Overwrite, hidden_dot, self.hidden);
            product(e, moved.matrices.weight.all(), COLUMN_BLOCK, Store::Add, hidden_dot, self.hidden);
            let (query, slopes) = (&now.flat[self.query()], &mut slopes[layer(k, rows)]);
            let [query_dot, bias_dot] = [self.query(), self.bias()].map(|part| &moved.flat[part]);
            score_dots(query, query_dot, bias_dot, hidden, hidden_dot, slopes);
            through_bound(&scores[layer(k, rows)], self.bound, slopes);
            slopes.iter_mut().for_each(|s| *s += moved.flat[k]);
        }
        attend(scores, &now.flat[self.theta()], self.bound, self.temperature, weights);
        centre(weights, slopes, self.temperature, n);
        for k in 0..self.n_hops() {
            scale_rows(dim, &slopes[layer(k, rows)], rows.layer(k), k > 0, d_pooled);
            scale_rows(dim, &weights[layer(k, rows)], moved.rows.layer(k), true, d_pooled);
        }
    }
}

/// The places of a chunk's rows in an array per layer and row.
fn layer(k: usize, rows: Rows<'_>) -> Range<usize> {
    k * CHUNK..k * CHUNK + rows.n
}

impl AdditiveShape {
    /// `hidden = tanh(W e + b)` and `out = q . hidden` for the rows of layer `k`.
    fn score(&self, now: &Chunk<'_, Matrices>, k: usize, hidden: &mut [f32], out: &mut [f32]) {
        let e = Left::rows(now.rows.layer(k), now.rows.n, self.dim);
        product(e, now.matrices.weight.all(), COLUMN_BLOCK, Store::Overwrite, hidden, self.hidden);
        activate(&now.flat[self.bias()], &now.flat[self.query()], hidden, out);
    }
}

crate::dispatch! { fn activate(bias: &[f32], query: &[f32], hidden: &mut [f32], out: &mut [f32]) = activate_body }

#[inline(always)]
fn activate_body<const FUSED: bool>(bias: &[f32], query: &[f32], hidden: &mut [f32], out: &mut [f32]) {
    if bias.is_empty() {
        return out.fill(0.0);
    }
    let ((b, b_rest), (q, q_rest)) = (bias.as_chunks::<16>(), query.as_chunks::<16>());
    for (out, row) in out.iter_mut().zip(hidden.chunks_exact_mut(bias.len())) {
        let (h, h_rest) = row.as_chunks_mut::<16>();
        let mut lanes = [0.0; 16];
        for ((h, b), q) in h.iter_mut().zip(b).zip(q) {
            for lane in 0..16 {
                h[lane] = tanh::<FUSED>(h[lane] + b[lane]);
                lanes[lane] = mul_add::<FUSED>(q[lane], h[lane], lanes[lane]);
            }
        }
        for (lane, ((h, b), q)) in lanes.iter_mut().zip(h_rest.iter_mut().zip(b_rest).zip(q_rest)) {
            *h = tanh::<FUSED>(*h + b);
            *lane = mul_add::<FUSED>(*q, *h, *lane);
        }
        *out = block_sum(&lanes);
    }
}

crate::dispatch! {
    /// Row by row: `d_query += d h`, `h` becomes `delta = d q (1 - h^2)`, `d_bias += delta`.
    fn deltas(query: &[f32], d: &[f32], hidden: &mut [f32], d_bias: &mut [f32], d_query: &mut [f32]) = deltas_body
}

#[inline(always)]
fn deltas_body<const FUSED: bool>(
    query: &[f32],
    d: &[f32],
    hidden: &mut [f32],
    d_bias: &mut [f32],
    d_query: &mut [f32],
) {
    for (&d, h) in d.iter().zip(hidden.chunks_exact_mut(query.len().max(1))) {
        for (((h, q), d_bias), d_query) in h.iter_mut().zip(query).zip(d_bias.iter_mut()).zip(d_query.iter_mut()) {
            *d_query = mul_add::<FUSED>(d, *h, *d_query);
            *h = d * q * mul_add::<FUSED>(-*h, *h, 1.0);
            *d_bias += *h;
        }
    }
}

crate::dispatch! {
    /// `out = q_dot . h + q . ((1 - h^2) (u_dot + b_dot))`.
    fn score_dots(q: &[f32], q_dot: &[f32], b_dot: &[f32], h: &[f32], u_dot: &[f32], out: &mut [f32]) = score_dots_body
}

#[inline(always)]
fn score_dots_body<const FUSED: bool>(
    q: &[f32],
    q_dot: &[f32],
    b_dot: &[f32],
    h: &[f32],
    u_dot: &[f32],
    out: &mut [f32],
) {
    if q.is_empty() {
        return out.fill(0.0);
    }
    for (out, (h, u_dot)) in out.iter_mut().zip(h.chunks_exact(q.len()).zip(u_dot.chunks_exact(q.len()))) {
        let mut lanes = [0.0; 16];
        for at in (0..q.len()).step_by(16) {
            let end = q.len().min(at + 16);
            let (h, u_dot, q, q_dot, b_dot) =
                (&h[at..end], &u_dot[at..end], &q[at..end], &q_dot[at..end], &b_dot[at..end]);
            for lane in 0..end - at {
                let inner = q[lane] * mul_add::<FUSED>(-h[lane], h[lane], 1.0);
                lanes[lane] = mul_add::<FUSED>(inner, u_dot[lane] + b_dot[lane], lanes[lane]);
                lanes[lane] = mul_add::<FUSED>(q_dot[lane], h[lane], lanes[lane]);
            }
        }
        *out = block_sum(&lanes);
    }
}
