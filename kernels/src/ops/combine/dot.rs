//! Scaled dot self-attention over a row's layers.
//!
//! For a row with layers `X = [e_0; ..; e_K]`, `n = K + 1`: `Q = X W_q`, `H = X W_k`, `V = X W_v`, `s = Q H^T / sqrt(key_dim)`,
//! `l_rj = theta_j + bound tanh(s_rj / bound)` (`theta_j + s_rj` without a bound), `P = softmax of each line of l`, `pooled = (1/n) 1^T P V`.
//!
//! With the mean weights `a = (1/n) P^T 1` this is `pooled = (sum_j a_j e_j) W_v`, which is how it is worked out: one product a row instead of n.
//! `W_q = 0` gives global weights; `W_v = I` a plain mix of the layers. The bound is ours, as in [`super::additive`].

use std::ops::Range;

use super::{
    CHUNK, add_groups, attend, centre, check_hops, chunks, for_groups, grouping, row_dots, rows, rows_mut, scale_rows,
    through_bound,
};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};
use crate::tile::{COLUMN_BLOCK, Into, Left, Panels, ROW_BLOCK, product};

mod reference;
#[cfg(test)]
mod tests;

pub use reference::{dot_backward_reference, dot_reference, dot_tangent_reference};

/// Sizes and constants of dot attention. Its parameters are one flat array, `[theta | W_q | W_k | W_v]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DotShape {
    /// Columns of a row.
    pub dim: usize,
    /// Columns of a query or key, at least 1.
    pub key_dim: usize,
    /// K: layers above layer 0, 0..=8.
    pub layers: usize,
    /// Farthest that a logit may be from `theta`; 0 means no bound.
    pub bound: f32,
}

impl DotShape {
    /// Where the layers' own logits are: `[K + 1]`.
    pub fn theta(&self) -> Range<usize> {
        0..self.layers + 1
    }

    /// Where `W_q` is: `[dim, key_dim]`, row-major.
    pub fn query(&self) -> Range<usize> {
        let from = self.theta().end;
        from..from + self.dim * self.key_dim
    }

    /// Where `W_k` is: `[dim, key_dim]`, row-major.
    pub fn key(&self) -> Range<usize> {
        let from = self.query().end;
        from..from + self.dim * self.key_dim
    }

    /// Where `W_v` is: `[dim, dim]`, row-major.
    pub fn value(&self) -> Range<usize> {
        let from = self.key().end;
        from..from + self.dim * self.dim
    }

    /// Length of the parameter array.
    pub fn n_parameters(&self) -> usize {
        self.value().end
    }

    fn n_hops(&self) -> usize {
        self.layers + 1
    }

    fn scale(&self) -> f32 {
        1.0 / (self.key_dim as f32).sqrt()
    }
}

/// The three matrices as right factors: of `E W` (and of `E W_dot`), or of `D W^T`.
#[derive(Debug, Clone, Default)]
struct Matrices {
    query: Panels,
    key: Panels,
    value: Panels,
}

impl Matrices {
    fn pack(&mut self, shape: &DotShape, parameters: &[f32]) {
        self.query.pack_rows(&parameters[shape.query()], shape.dim, shape.key_dim);
        self.key.pack_rows(&parameters[shape.key()], shape.dim, shape.key_dim);
        self.value.pack_rows(&parameters[shape.value()], shape.dim, shape.dim);
    }

    fn pack_transposed(&mut self, shape: &DotShape, parameters: &[f32]) {
        self.query.pack_columns(&parameters[shape.query()], shape.key_dim, shape.dim);
        self.key.pack_columns(&parameters[shape.key()], shape.key_dim, shape.dim);
        self.value.pack_columns(&parameters[shape.value()], shape.dim, shape.dim);
    }
}

/// Scratch of the three passes. Allocates only when a larger problem comes.
#[derive(Debug, Clone, Default)]
pub struct DotWorkspace {
    matrices: Matrices,
    others: Matrices,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Default)]
struct Group {
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
    d_parameters: Vec<f32>,
}

impl Group {
    fn reset(&mut self, shape: &DotShape) {
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
    fn attend(
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
            product(e, &matrices.query, 0, shape.dim, COLUMN_BLOCK, Into::Overwrite, &mut self.queries[at..], key_dim);
            product(e, &matrices.key, 0, shape.dim, COLUMN_BLOCK, Into::Overwrite, &mut self.keys[at..], key_dim);
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

impl DotWorkspace {
    fn reset(&mut self, shape: &DotShape, parameters: &[f32], n_rows: usize) -> (usize, usize) {
        self.matrices.pack(shape, parameters);
        let (rows_per_group, n_groups) = grouping(n_rows);
        self.groups.resize_with(n_groups.max(self.groups.len()), Group::default);
        self.groups[..n_groups].iter_mut().for_each(|group| group.reset(shape));
        (rows_per_group, n_groups)
    }
}

/// Pools each row's layers by self-attention over them (formula in the module's doc).
///
/// # Shapes
/// - `parameters`: `[shape.n_parameters()]`; `hops`: K + 1 times `[S, dim]`
/// - `pooled`: `[S, dim]`, `attention`: `[S, K + 1]`, the mean weights `a`; only the rows of `range` are written
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when `range` leaves the rows or K is above 8.
///
/// # Source
/// Vaswani et al., *Attention is all you need*, NIPS 2017, eq. 1, one head; layers take the place of words and the lines of the result are averaged.
#[allow(clippy::too_many_arguments)]
pub fn dot_forward(
    device: &Device,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    pooled: &mut Buffer<f32>,
    attention: &mut Buffer<f32>,
    workspace: &mut DotWorkspace,
) -> Result<()> {
    let (op, n_hops, dim) = ("dot_forward", shape.n_hops(), shape.dim);
    let n_rows = check_hops(op, "hops", dim, n_hops, hops, &range)?;
    expect_len(op, "parameters", parameters.len(), shape.n_parameters())?;
    expect_len(op, "pooled", pooled.len(), n_rows * dim)?;
    expect_len(op, "attention", attention.len(), n_rows * n_hops)?;
    let Device::Cpu = device;
    let theta = &parameters.host()[shape.theta()];
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters.host(), range.len());
    let DotWorkspace { matrices, groups, .. } = workspace;
    let outputs = [rows_mut(pooled, dim, &range), rows_mut(attention, n_hops, &range)];
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, [pooled, attention]| {
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            group.attend(shape, theta, matrices, hops, from, n);
            for (k, hop) in hops.iter().enumerate() {
                let weights = &group.means[k * CHUNK..][..n];
                scale_rows(dim, weights, rows(hop.host(), dim, from, n), k > 0, &mut group.mix[..n * dim]);
            }
            let pooled = &mut pooled[(from - first) * dim..][..n * dim];
            product(
                Left::rows(&group.mix, n, dim),
                &matrices.value,
                0,
                dim,
                COLUMN_BLOCK,
                Into::Overwrite,
                pooled,
                dim,
            );
            for (row, attention) in attention[(from - first) * n_hops..].chunks_exact_mut(n_hops).take(n).enumerate() {
                attention.iter_mut().enumerate().for_each(|(k, a)| *a = group.means[k * CHUNK + row]);
            }
        }
    });
    Ok(())
}

/// The vector-Jacobian product: from `g = d loss / d pooled` to each layer's direct gradient and the parameters'.
///
/// With `y = W_v g`, `v_j = <e_j, y>`: `d l_rj = (1/n) P_rj (v_j - sum_i P_ri v_i)`, `d theta_j = sum_r d l_rj`,
/// `d s = d l (1 - tanh^2(s / bound)) / sqrt(key_dim)`, `d Q = d s H`, `d H = d s^T Q`, `d W_q = X^T d Q`, `d W_k = X^T d H`,
/// `d W_v = (sum_j a_j e_j) g^T`, `direct = d Q W_q^T + d H W_k^T + a y^T`, parameters' shares summed over rows. `P` is worked out again.
///
/// # Shapes
/// - `attention`: `[S, K + 1]`, of the forward pass; `g`: `[S, dim]`
/// - `direct`: K + 1 times `[S, dim]`, of which the rows of `range` are overwritten; `d_parameters`: overwritten
///
/// # Errors
/// As [`dot_forward`].
#[allow(clippy::too_many_arguments)]
pub fn dot_backward(
    device: &Device,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    attention: &Buffer<f32>,
    g: &Buffer<f32>,
    direct: &mut [Buffer<f32>],
    d_parameters: &mut Buffer<f32>,
    workspace: &mut DotWorkspace,
) -> Result<()> {
    let (op, n_hops, dim) = ("dot_backward", shape.n_hops(), shape.dim);
    let n_rows = check_hops(op, "hops", dim, n_hops, hops, &range)?;
    expect_len(op, "parameters", parameters.len(), shape.n_parameters())?;
    expect_len(op, "attention", attention.len(), n_rows * n_hops)?;
    expect_len(op, "g", g.len(), n_rows * dim)?;
    check_hops(op, "direct", dim, n_hops, direct, &range)?;
    expect_len(op, "direct", direct[0].len(), n_rows * dim)?;
    expect_len(op, "d_parameters", d_parameters.len(), shape.n_parameters())?;
    let Device::Cpu = device;
    let (theta, g) = (&parameters.host()[shape.theta()], g.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters.host(), range.len());
    let DotWorkspace { matrices, others: transposed, groups } = workspace;
    transposed.pack_transposed(shape, parameters.host());
    let transposed = &*transposed;
    let outputs = super::hops_mut(direct, dim, &range);
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, mut direct| {
        group.d_parameters.clear();
        group.d_parameters.resize(shape.n_parameters(), 0.0);
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            group.attend(shape, theta, matrices, hops, from, n);
            let direct = direct.each_mut().map(|d| d.get_mut((from - first) * dim..).unwrap_or_default());
            group.backward(shape, transposed, hops, (from, n), rows(g, dim, from, n), direct);
        }
    });
    add_groups(groups[..n_groups].iter().map(|group| &group.d_parameters[..]), d_parameters.host_mut());
    Ok(())
}

impl Group {
    /// The backward pass of one chunk, after [`Group::attend`].
    fn backward(
        &mut self,
        shape: &DotShape,
        transposed: &Matrices,
        hops: &[Buffer<f32>],
        (from, n): (usize, usize),
        g: &[f32],
        direct: [&mut [f32]; super::MAX_HOPS],
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
        product(Left::rows(g, n, dim), &transposed.value, 0, dim, COLUMN_BLOCK, Into::Overwrite, other, dim);
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
            Into::Add,
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
                product(Left::rows(d, n, key_dim), matrix, 0, key_dim, ROW_BLOCK, Into::Add, direct, dim);
                right.pack_rows(d, n, key_dim);
                product(
                    Left::transposed(layer(k), dim, dim),
                    right,
                    0,
                    n,
                    ROW_BLOCK,
                    Into::Add,
                    &mut d_parameters[part],
                    key_dim,
                );
            }
        }
    }
}

/// The Jacobian-vector product: how `pooled` moves along a motion of the hops and of the parameters.
///
/// `Q_dot = X_dot W_q + X W_q_dot`, `H_dot` likewise, `l_dot = theta_dot + (1 - tanh^2(s / bound)) (Q_dot H^T + Q H_dot^T) / sqrt(key_dim)`,
/// `P_dot = P (l_dot - its mean under P)`, `a_dot = (1/n) P_dot^T 1`, `pooled_dot = (sum_j a_dot_j e_j + a_j e_dot_j) W_v + (sum_j a_j e_j) W_v_dot`.
///
/// # Shapes
/// - `d_hops`: K + 1 times `[S, dim]`; `d_parameters`: as the parameters; `d_pooled`: `[S, dim]`, of which the rows of `range` are written
///
/// # Errors
/// As [`dot_forward`].
#[allow(clippy::too_many_arguments)]
pub fn dot_tangent(
    device: &Device,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    d_hops: &[Buffer<f32>],
    d_parameters: &Buffer<f32>,
    d_pooled: &mut Buffer<f32>,
    workspace: &mut DotWorkspace,
) -> Result<()> {
    let (op, n_hops, dim) = ("dot_tangent", shape.n_hops(), shape.dim);
    let n_rows = check_hops(op, "hops", dim, n_hops, hops, &range)?;
    expect_len(op, "parameters", parameters.len(), shape.n_parameters())?;
    check_hops(op, "d_hops", dim, n_hops, d_hops, &range)?;
    expect_len(op, "d_hops", d_hops[0].len(), n_rows * dim)?;
    expect_len(op, "d_parameters", d_parameters.len(), shape.n_parameters())?;
    expect_len(op, "d_pooled", d_pooled.len(), n_rows * dim)?;
    let Device::Cpu = device;
    let (theta, theta_dot) = (&parameters.host()[shape.theta()], &d_parameters.host()[shape.theta()]);
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters.host(), range.len());
    let DotWorkspace { matrices, others: moved, groups } = workspace;
    moved.pack(shape, d_parameters.host());
    let moved = &*moved;
    let outputs = [rows_mut(d_pooled, dim, &range)];
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, [d_pooled]| {
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            group.attend(shape, theta, matrices, hops, from, n);
            let d_pooled = &mut d_pooled[(from - first) * dim..][..n * dim];
            group.tangent(shape, theta_dot, (matrices, moved), hops, d_hops, (from, n), d_pooled);
        }
    });
    Ok(())
}

impl Group {
    /// The tangent of one chunk, after [`Group::attend`].
    #[allow(clippy::too_many_arguments)]
    fn tangent(
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
                product(Left::rows(layer_dot(k), n, dim), matrix, 0, dim, COLUMN_BLOCK, Into::Overwrite, out, key_dim);
                product(Left::rows(layer(k), n, dim), matrix_dot, 0, dim, COLUMN_BLOCK, Into::Add, out, key_dim);
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
        product(Left::rows(mix_dot, n, dim), &matrices.value, 0, dim, COLUMN_BLOCK, Into::Overwrite, d_pooled, dim);
        product(Left::rows(mix, n, dim), &moved.value, 0, dim, COLUMN_BLOCK, Into::Add, d_pooled, dim);
    }
}
