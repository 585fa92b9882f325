//! Dot attention of one chunk of rows: the scratch and the three passes over it.

use super::super::{CHUNK, MAX_HOPS, attend, centre, row_dots, rows, scale_rows, through_bound};
use super::DotShape;
use crate::buffer::Buffer;
use crate::tile::{COLUMN_BLOCK, Left, Panels, ROW_BLOCK, Store, product};

/// The three matrices as right factors: of `E W` (and of `E W_dot`), or of `D W^T`.
#[derive(Debug, Clone, Default)]
pub(super) struct Matrices {
    query: Panels,
    key: Panels,
    pub(super) value: Panels,
}

impl Matrices {
    pub(super) fn pack(&mut self, shape: &DotShape, parameters: &[f32]) {
        self.query.pack_rows(&parameters[shape.query()], shape.dim, shape.key_dim);
        self.key.pack_rows(&parameters[shape.key()], shape.dim, shape.key_dim);
        self.value.pack_rows(&parameters[shape.value()], shape.dim, shape.dim);
    }

    pub(super) fn pack_transposed(&mut self, shape: &DotShape, parameters: &[f32]) {
        self.query.pack_columns(&parameters[shape.query()], shape.key_dim, shape.dim);
        self.key.pack_columns(&parameters[shape.key()], shape.key_dim, shape.dim);
        self.value.pack_columns(&parameters[shape.value()], shape.dim, shape.dim);
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
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
    pub(super) means: Vec<f32>,
    values: Vec<f32>,
    /// `[CHUNK, dim]`: the mix of the layers, and what meets it.
    pub(super) mix: Vec<f32>,
    other: Vec<f32>,
    right: Panels,
    pub(super) d_parameters: Vec<f32>,
}

impl Group {
    pub(super) fn reset(&mut self, shape: &DotShape) {
        let n_hops = shape.n_hops();
        for part in [&mut self.queries, &mut self.keys, &mut self.d_queries, &mut self.d_keys] {
            part.resize(n_hops * CHUNK * shape.key_dim, 0.0);
        }
        for part in [&mut self.scores, &mut self.softmax, &mut self.slopes] {
            part.resize(n_hops * n_hops * CHUNK, 0.0);
        }
        for part in [&mut self.means, &mut self.values] {
            part.resize(n_hops * CHUNK, 0.0);
        }
        for part in [&mut self.mix, &mut self.other] {
            part.resize(CHUNK * shape.dim, 0.0);
        }
    }

    /// Queries, keys, scores, softmax and mean weights of `n` rows from `from` on.
    pub(super) fn attend(
        &mut self,
        shape: &DotShape,
        theta: &[f32],
        matrices: &Matrices,
        hops: &[Buffer<f32>],
        from: usize,
        n: usize,
    ) {
        let (n_hops, key_dim) = (shape.n_hops(), shape.key_dim);
        for (k, hop) in hops.iter().enumerate() {
            let e = Left::rows(rows(hop.host(), shape.dim, from, n), n, shape.dim);
            let at = k * CHUNK * key_dim;
            product(e, &matrices.query, 0, shape.dim, COLUMN_BLOCK, Store::Overwrite, &mut self.queries[at..], key_dim);
            product(e, &matrices.key, 0, shape.dim, COLUMN_BLOCK, Store::Overwrite, &mut self.keys[at..], key_dim);
        }
        for r in 0..n_hops {
            for j in 0..n_hops {
                let scores = &mut self.scores[(r * n_hops + j) * CHUNK..][..n];
                row_dots(key_dim, vectors(&self.queries, key_dim, r, n), vectors(&self.keys, key_dim, j, n), scores);
                scores.iter_mut().for_each(|s| *s *= shape.scale());
            }
            let line = r * n_hops * CHUNK..(r + 1) * n_hops * CHUNK;
            attend(&self.scores[line.clone()], theta, shape.bound, 1.0, &mut self.softmax[line]);
        }
        mean_lines(&self.softmax, n_hops, &mut self.means);
    }
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

impl Group {
    /// The backward pass of one chunk, after [`Group::attend`].
    pub(super) fn backward(
        &mut self,
        shape: &DotShape,
        transposed: &Matrices,
        hops: &[Buffer<f32>],
        (from, n): (usize, usize),
        g: &[f32],
        direct: [&mut [f32]; MAX_HOPS],
    ) {
        let (n_hops, dim, key_dim) = (shape.n_hops(), shape.dim, shape.key_dim);
        let Group {
            queries,
            keys,
            d_queries,
            d_keys,
            scores,
            softmax,
            slopes,
            means,
            values,
            mix,
            other,
            right,
            d_parameters,
        } = self;
        let layer = |k: usize| rows(hops[k].host(), dim, from, n);
        let cell = |r: usize, j: usize| (r * n_hops + j) * CHUNK..(r * n_hops + j) * CHUNK + n;
        product(Left::rows(g, n, dim), &transposed.value, 0, dim, COLUMN_BLOCK, Store::Overwrite, other, dim);
        let y = &other[..n * dim];
        for k in 0..n_hops {
            row_dots(dim, layer(k), y, &mut values[k * CHUNK..][..n]);
            scale_rows(dim, &means[k * CHUNK..][..n], layer(k), k > 0, &mut mix[..n * dim]);
        }
        for r in 0..n_hops {
            let line = r * n_hops * CHUNK..(r + 1) * n_hops * CHUNK;
            slopes[line.clone()].copy_from_slice(values);
            centre(&softmax[line.clone()], &mut slopes[line], n_hops as f32, n);
            for j in 0..n_hops {
                let d = &mut slopes[cell(r, j)];
                d_parameters[j] += d.iter().sum::<f32>();
                through_bound(&scores[cell(r, j)], shape.bound, d);
                d.iter_mut().for_each(|d| *d *= shape.scale());
                scale_rows(key_dim, d, vectors(keys, key_dim, j, n), j > 0, vectors_mut(d_queries, key_dim, r, n));
                scale_rows(key_dim, d, vectors(queries, key_dim, r, n), r > 0, vectors_mut(d_keys, key_dim, j, n));
            }
        }
        right.pack_rows(g, n, dim);
        product(
            Left::transposed(mix, dim, dim),
            right,
            0,
            n,
            ROW_BLOCK,
            Store::Add,
            &mut d_parameters[shape.value()],
            dim,
        );
        for k in 0..n_hops {
            let direct = &mut direct[k][..n * dim];
            scale_rows(dim, &means[k * CHUNK..][..n], y, false, direct);
            for (d, matrix, part) in
                [(&*d_queries, &transposed.query, shape.query()), (&*d_keys, &transposed.key, shape.key())]
            {
                let d = vectors(d, key_dim, k, n);
                product(Left::rows(d, n, key_dim), matrix, 0, key_dim, ROW_BLOCK, Store::Add, direct, dim);
                right.pack_rows(d, n, key_dim);
                product(
                    Left::transposed(layer(k), dim, dim),
                    right,
                    0,
                    n,
                    ROW_BLOCK,
                    Store::Add,
                    &mut d_parameters[part],
                    key_dim,
                );
            }
        }
    }
}

impl Group {
    /// The tangent of one chunk, after [`Group::attend`].
    #[allow(clippy::too_many_arguments)]
    pub(super) fn tangent(
        &mut self,
        shape: &DotShape,
        theta_dot: &[f32],
        (matrices, moved): (&Matrices, &Matrices),
        hops: &[Buffer<f32>],
        d_hops: &[Buffer<f32>],
        (from, n): (usize, usize),
        d_pooled: &mut [f32],
    ) {
        let (n_hops, dim, key_dim) = (shape.n_hops(), shape.dim, shape.key_dim);
        let Group {
            queries,
            keys,
            d_queries,
            d_keys,
            scores,
            softmax,
            slopes,
            means,
            values: means_dot,
            mix,
            other,
            ..
        } = self;
        let (layer, layer_dot) =
            (|k: usize| rows(hops[k].host(), dim, from, n), |k: usize| rows(d_hops[k].host(), dim, from, n));
        for k in 0..n_hops {
            for (out, matrix, matrix_dot) in
                [(&mut *d_queries, &matrices.query, &moved.query), (&mut *d_keys, &matrices.key, &moved.key)]
            {
                let out = vectors_mut(out, key_dim, k, n);
                product(Left::rows(layer_dot(k), n, dim), matrix, 0, dim, COLUMN_BLOCK, Store::Overwrite, out, key_dim);
                product(Left::rows(layer(k), n, dim), matrix_dot, 0, dim, COLUMN_BLOCK, Store::Add, out, key_dim);
            }
        }
        for r in 0..n_hops {
            for (j, theta_dot) in theta_dot.iter().enumerate() {
                let cell = (r * n_hops + j) * CHUNK..(r * n_hops + j) * CHUNK + n;
                let (by_query, by_key) = (&mut slopes[cell.clone()], &mut other[..n]);
                row_dots(key_dim, vectors(d_queries, key_dim, r, n), vectors(keys, key_dim, j, n), by_query);
                row_dots(key_dim, vectors(queries, key_dim, r, n), vectors(d_keys, key_dim, j, n), by_key);
                by_query.iter_mut().zip(by_key).for_each(|(s, by_key)| *s = (*s + *by_key) * shape.scale());
                through_bound(&scores[cell.clone()], shape.bound, by_query);
                by_query.iter_mut().for_each(|s| *s += theta_dot);
            }
            let line = r * n_hops * CHUNK..(r + 1) * n_hops * CHUNK;
            centre(&softmax[line.clone()], &mut slopes[line], 1.0, n);
        }
        mean_lines(slopes, n_hops, means_dot);
        let (mix, mix_dot) = (&mut mix[..n * dim], &mut other[..n * dim]);
        for k in 0..n_hops {
            let (a, a_dot) = (&means[k * CHUNK..][..n], &means_dot[k * CHUNK..][..n]);
            scale_rows(dim, a, layer(k), k > 0, mix);
            scale_rows(dim, a_dot, layer(k), k > 0, mix_dot);
            scale_rows(dim, a, layer_dot(k), true, mix_dot);
        }
        product(Left::rows(mix_dot, n, dim), &matrices.value, 0, dim, COLUMN_BLOCK, Store::Overwrite, d_pooled, dim);
        product(Left::rows(mix, n, dim), &moved.value, 0, dim, COLUMN_BLOCK, Store::Add, d_pooled, dim);
    }
}
