//! Scaled dot self-attention over a row's layers.
//!
//! For a row with layers `X = [e_0; ..; e_K]`, `n = K + 1`: `Q = X W_q`, `H = X W_k`, `V = X W_v`, `s = Q H^T / sqrt(key_dim)`,
//! `l_rj = theta_j + bound tanh(s_rj / bound)` (`theta_j + s_rj` without a bound), `P = softmax of each line of l`, `pooled = (1/n) 1^T P V`.
//!
//! With the mean weights `a = (1/n) P^T 1` this is `pooled = (sum_j a_j e_j) W_v`, which is how it is worked out: one product a row instead of n.
//! `W_q = 0` gives global weights; `W_v = I` a plain mix of the layers. The bound is ours, as in [`super::additive`].

use std::ops::Range;

use super::{CHUNK, add_groups, check_hops, chunks, for_groups, grouping, hops_mut, rows, rows_mut, scale_rows};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};
use crate::tile::{COLUMN_BLOCK, Left, Store, product};

mod chunk;
#[cfg(feature = "gpu")]
mod gpu;
mod reference;
#[cfg(test)]
mod tests;

use chunk::{Group, Matrices};
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

/// Scratch of the three passes. Allocates only when a larger problem comes.
#[derive(Debug, Clone, Default)]
pub struct DotWorkspace {
    matrices: Matrices,
    others: Matrices,
    groups: Vec<Group>,
    #[cfg(feature = "gpu")]
    gpu: gpu::Scratch,
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
    match device {
        Device::Cpu => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::forward(gpu, shape, parameters, hops, range, pooled, attention, &mut workspace.gpu);
            return Ok(());
        }
    }
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
                Store::Overwrite,
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
    match device {
        Device::Cpu => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let scratch = &mut workspace.gpu;
            gpu::backward(gpu, shape, parameters, hops, range, g, direct, d_parameters, scratch);
            return Ok(());
        }
    }
    let (theta, g) = (&parameters.host()[shape.theta()], g.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters.host(), range.len());
    let DotWorkspace { matrices, others: transposed, groups, .. } = workspace;
    transposed.pack_transposed(shape, parameters.host());
    let transposed = &*transposed;
    let outputs = hops_mut(direct, dim, &range);
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
    match device {
        Device::Cpu => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let scratch = &mut workspace.gpu;
            gpu::tangent(gpu, shape, parameters, (hops, d_hops), range, d_parameters, d_pooled, scratch);
            return Ok(());
        }
    }
    let (theta, theta_dot) = (&parameters.host()[shape.theta()], &d_parameters.host()[shape.theta()]);
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters.host(), range.len());
    let DotWorkspace { matrices, others: moved, groups, .. } = workspace;
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
