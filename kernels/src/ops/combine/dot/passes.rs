//! Dot attention of one chunk of rows on the processor.

use std::ops::Range;

use super::DotShape;
use crate::ops::combine::attention::{Arrived, Attention, Chunk, Group, Names, Passes};
use crate::ops::combine::groups::CHUNK;
use crate::ops::combine::layers::MAX_HOPS;
use crate::ops::combine::weights::{attend, centre, row_dots, scale_rows, through_bound};
use crate::tile::{COLUMN_BLOCK, Left, Panels, ROW_BLOCK, Store, product};

/// The three matrices as right factors: of `E W` (and of `E W_dot`), or of `D W^T`.
#[derive(Debug, Clone, Default)]
pub struct Matrices {
    query: Panels,
    key: Panels,
    value: Panels,
}

/// Scratch of one chunk.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// `[K + 1, CHUNK, key_dim]`, of one chunk; then their gradients or motions.
    queries: Vec<f32>,
    keys: Vec<f32>,
    d_queries: Vec<f32>,
    d_keys: Vec<f32>,
    /// `[K + 1, K + 1, CHUNK]`: scores, softmax, and its gradient or motion.
    scores: Vec<f32>,
    softmax: Vec<f32>,
    slopes: Vec<f32>,
    /// `[K + 1, CHUNK]`: mean weights, and their motion or the layers' values.
    means: Vec<f32>,
    values: Vec<f32>,
    /// `[CHUNK, dim]`: the mix of the layers, and what meets it.
    mix: Vec<f32>,
    other: Vec<f32>,
    right: Panels,
}

impl Passes for DotShape {
    const NAMES: Names = Names { forward: "dot_forward", backward: "dot_backward", tangent: "dot_tangent" };
    type Matrices = Matrices;
    type Scratch = Scratch;

    fn pack(&self, parameters: &[f32], matrices: &mut Matrices) {
        matrices.query.pack_rows(&parameters[self.query()], self.dim, self.key_dim);
        matrices.key.pack_rows(&parameters[self.key()], self.dim, self.key_dim);
        matrices.value.pack_rows(&parameters[self.value()], self.dim, self.dim);
    }

    fn pack_transposed(&self, parameters: &[f32], matrices: &mut Matrices) {
        matrices.query.pack_columns(&parameters[self.query()], self.key_dim, self.dim);
        matrices.key.pack_columns(&parameters[self.key()], self.key_dim, self.dim);
        matrices.value.pack_columns(&parameters[self.value()], self.dim, self.dim);
    }

    fn resize(&self, scratch: &mut Scratch) {
        let n_hops = self.n_hops();
        for part in [&mut scratch.queries, &mut scratch.keys, &mut scratch.d_queries, &mut scratch.d_keys] {
            part.resize(n_hops * CHUNK * self.key_dim, 0.0);
        }
        for part in [&mut scratch.scores, &mut scratch.softmax, &mut scratch.slopes] {
            part.resize(n_hops * n_hops * CHUNK, 0.0);
        }
        for part in [&mut scratch.means, &mut scratch.values] {
            part.resize(n_hops * CHUNK, 0.0);
        }
        for part in [&mut scratch.mix, &mut scratch.other] {
            part.resize(CHUNK * self.dim, 0.0);
        }
    }

    fn forward_chunk(&self, now: Chunk<'_, Matrices>, scratch: &mut Scratch, pooled: &mut [f32]) {
        let (dim, rows, n) = (self.dim, now.rows, now.rows.n);
        scratch.attend(self, &now);
        for k in 0..self.n_hops() {
            scale_rows(dim, &scratch.means[k * CHUNK..][..n], rows.layer(k), k > 0, &mut scratch.mix[..n * dim]);
        }
        let mix = Left::rows(&scratch.mix, n, dim);
        product(mix, now.matrices.value.all(), COLUMN_BLOCK, Store::Overwrite, pooled, dim);
    }

    fn weights(scratch: &Scratch) -> &[f32] {
        &scratch.means
    }

    fn backward_chunk(
        &self,
        now: Chunk<'_, Matrices>,
        transposed: &Matrices,
        arrived: Arrived<'_>,
        group: &mut Group<Scratch>,
        mut direct: [&mut [f32]; MAX_HOPS],
    ) {
        let Group { scratch, d_parameters } = group;
        scratch.attend(self, &now);
        let (n_hops, dim, key_dim, g) = (self.n_hops(), self.dim, self.key_dim, arrived.g);
        let (rows, n) = (now.rows, now.rows.n);
        let Scratch { queries, keys, d_queries, d_keys, scores, softmax, slopes, .. } = scratch;
        let Scratch { means, values, mix, other, right, .. } = scratch;
        let y = &mut other[..n * dim];
        product(Left::rows(g, n, dim), transposed.value.all(), COLUMN_BLOCK, Store::Overwrite, y, dim);
        for k in 0..n_hops {
            row_dots(dim, rows.layer(k), y, &mut values[k * CHUNK..][..n]);
            scale_rows(dim, &means[k * CHUNK..][..n], rows.layer(k), k > 0, &mut mix[..n * dim]);
        }
        for r in 0..n_hops {
            let line = line(n_hops, r);
            slopes[line.clone()].copy_from_slice(values);
            centre(&softmax[line.clone()], &mut slopes[line], n_hops as f32, n);
            for (j, d_theta) in d_parameters[..n_hops].iter_mut().enumerate() {
                let cell = cell(n_hops, r, j, n);
                let d = &mut slopes[cell.clone()];
                *d_theta += d.iter().sum::<f32>();
                through_bound(&scores[cell], self.bound, d);
                d.iter_mut().for_each(|d| *d *= self.scale());
                scale_rows(key_dim, d, vectors(keys, key_dim, j, n), j > 0, vectors_mut(d_queries, key_dim, r, n));
                scale_rows(key_dim, d, vectors(queries, key_dim, r, n), r > 0, vectors_mut(d_keys, key_dim, j, n));
            }
        }
        right.pack_rows(g, n, dim);
        let left = Left::transposed(mix, dim, dim);
        product(left, right.all(), ROW_BLOCK, Store::Add, &mut d_parameters[self.value()], dim);
        for (k, direct) in direct.iter_mut().take(n_hops).enumerate() {
            let direct = &mut direct[..n * dim];
            scale_rows(dim, &means[k * CHUNK..][..n], y, false, direct);
            let parts = [(&*d_queries, &transposed.query, self.query()), (&*d_keys, &transposed.key, self.key())];
            for (d, matrix, part) in parts {
                let d = vectors(d, key_dim, k, n);
                product(Left::rows(d, n, key_dim), matrix.all(), ROW_BLOCK, Store::Add, direct, dim);
                right.pack_rows(d, n, key_dim);
                let left = Left::transposed(rows.layer(k), dim, dim);
                product(left, right.all(), ROW_BLOCK, Store::Add, &mut d_parameters[part], key_dim);
            }
        }
    }

    fn tangent_chunk(
        &self,
        now: Chunk<'_, Matrices>,
        moved: Chunk<'_, Matrices>,
        scratch: &mut Scratch,
        d_pooled: &mut [f32],
    ) {
        scratch.attend(self, &now);
        let (n_hops, dim, key_dim) = (self.n_hops(), self.dim, self.key_dim);
        let (rows, d_rows, n) = (now.rows, moved.rows, now.rows.n);
        let (matrices, matrices_dot) = (now.matrices, moved.matrices);
        let Scratch { queries, keys, d_queries, d_keys, scores, softmax, slopes, .. } = scratch;
        let Scratch { means, values: means_dot, mix, other, .. } = scratch;
        for k in 0..n_hops {
            let (e, e_dot) = (Left::rows(rows.layer(k), n, dim), Left::rows(d_rows.layer(k), n, dim));
            for (out, matrix, matrix_dot) in [
                (&mut *d_queries, &matrices.query, &matrices_dot.query),
                (&mut *d_keys, &matrices.key, &matrices_dot.key),
            ] {
                let out = vectors_mut(out, key_dim, k, n);
                product(e_dot, matrix.all(), COLUMN_BLOCK, Store::Overwrite, out, key_dim);
                product(e, matrix_dot.all(), COLUMN_BLOCK, Store::Add, out, key_dim);
            }
        }
        for r in 0..n_hops {
            for (j, theta_dot) in moved.flat[self.theta()].iter().enumerate() {
                let cell = cell(n_hops, r, j, n);
                let (by_query, by_key) = (&mut slopes[cell.clone()], &mut other[..n]);
                row_dots(key_dim, vectors(d_queries, key_dim, r, n), vectors(keys, key_dim, j, n), by_query);
                row_dots(key_dim, vectors(queries, key_dim, r, n), vectors(d_keys, key_dim, j, n), by_key);
                by_query.iter_mut().zip(by_key).for_each(|(s, by_key)| *s = (*s + *by_key) * self.scale());
                through_bound(&scores[cell], self.bound, by_query);
                by_query.iter_mut().for_each(|s| *s += theta_dot);
            }
            let line = line(n_hops, r);
            centre(&softmax[line.clone()], &mut slopes[line], 1.0, n);
        }
        mean_lines(slopes, n_hops, means_dot);
        let (mix, mix_dot) = (&mut mix[..n * dim], &mut other[..n * dim]);
        for k in 0..n_hops {
            let (a, a_dot) = (&means[k * CHUNK..][..n], &means_dot[k * CHUNK..][..n]);
            scale_rows(dim, a, rows.layer(k), k > 0, mix);
            scale_rows(dim, a_dot, rows.layer(k), k > 0, mix_dot);
            scale_rows(dim, a, d_rows.layer(k), true, mix_dot);
        }
        let (still, moving) = (Left::rows(mix, n, dim), Left::rows(mix_dot, n, dim));
        product(moving, matrices.value.all(), COLUMN_BLOCK, Store::Overwrite, d_pooled, dim);
        product(still, matrices_dot.value.all(), COLUMN_BLOCK, Store::Add, d_pooled, dim);
    }
}

impl Scratch {
    /// Queries, keys, scores, softmax and mean weights of the chunk's rows.
    fn attend(&mut self, shape: &DotShape, now: &Chunk<'_, Matrices>) {
        let (n_hops, key_dim, rows, n) = (shape.n_hops(), shape.key_dim, now.rows, now.rows.n);
        for k in 0..n_hops {
            let e = Left::rows(rows.layer(k), n, shape.dim);
            for (matrix, out) in [(&now.matrices.query, &mut self.queries), (&now.matrices.key, &mut self.keys)] {
                let out = &mut out[k * CHUNK * key_dim..];
                product(e, matrix.all(), COLUMN_BLOCK, Store::Overwrite, out, key_dim);
            }
        }
        for r in 0..n_hops {
            for j in 0..n_hops {
                let scores = &mut self.scores[cell(n_hops, r, j, n)];
                row_dots(key_dim, vectors(&self.queries, key_dim, r, n), vectors(&self.keys, key_dim, j, n), scores);
                scores.iter_mut().for_each(|s| *s *= shape.scale());
            }
            let line = line(n_hops, r);
            let (scores, softmax) = (&self.scores[line.clone()], &mut self.softmax[line]);
            attend(scores, &now.flat[shape.theta()], shape.bound, 1.0, softmax);
        }
        mean_lines(&self.softmax, n_hops, &mut self.means);
    }
}

/// Line `r` of a `[K + 1, K + 1, CHUNK]` array.
fn line(n_hops: usize, r: usize) -> Range<usize> {
    r * n_hops * CHUNK..(r + 1) * n_hops * CHUNK
}

/// The numbers of `n` rows for layers `r` and `j` in such an array.
fn cell(n_hops: usize, r: usize, j: usize, n: usize) -> Range<usize> {
    let from = (r * n_hops + j) * CHUNK;
    from..from + n
}

/// The `n` vectors of layer `k` in a `[K + 1, CHUNK, key_dim]` array.
fn vectors(all: &[f32], key_dim: usize, k: usize, n: usize) -> &[f32] {
    &all[k * CHUNK * key_dim..][..n * key_dim]
}

fn vectors_mut(all: &mut [f32], key_dim: usize, k: usize, n: usize) -> &mut [f32] {
    &mut all[k * CHUNK * key_dim..][..n * key_dim]
}

/// `out_j = (1/n) sum_r lines_rj`.
fn mean_lines(lines: &[f32], n_hops: usize, out: &mut [f32]) {
    out.fill(0.0);
    for line in lines.chunks_exact(n_hops * CHUNK) {
        out.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
    }
    let share = 1.0 / n_hops as f32;
    out.iter_mut().for_each(|x| *x *= share);
}
