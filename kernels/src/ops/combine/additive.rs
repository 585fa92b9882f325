//! Additive attention over a row's layers.
//!
//! `s_ik = q . tanh(W e_ik + b)`, `l_ik = theta_k + bound tanh(s_ik / bound)` (`theta_k + s_ik` without a bound), `a_i = softmax_k(l_ik / T)`,
//! `pooled_i = sum_k a_ik e_ik`.
//!
//! The bound is ours: learnt freely under a pairwise loss the attention collapses onto layer 0, and a bounded deviation from global weights is what
//! keeps it near them. `q = 0` gives global weights, `theta = 0` as well uniform ones.

use std::ops::Range;

use super::{
    CHUNK, add_groups, attend, centre, check_hops, chunks, for_groups, grouping, row_dots, rows, rows_mut, scale_rows,
    through_bound,
};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementary::tanh;
use crate::error::{Result, expect_len};
use crate::simd::{block_sum, mul_add};
use crate::tile::{COLUMN_BLOCK, Left, Panels, ROW_BLOCK, Store, product};

#[cfg(feature = "gpu")]
mod gpu;
mod reference;
#[cfg(test)]
mod tests;

pub use reference::{additive_backward_reference, additive_reference, additive_tangent_reference};

/// Sizes and constants of additive attention. Its parameters are one flat array, `[theta | W | b | q]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdditiveShape {
    /// Columns of a row.
    pub dim: usize,
    /// Rows of `W`.
    pub hidden: usize,
    /// K: layers above layer 0, 0..=8.
    pub layers: usize,
    /// T, above 0.
    pub temperature: f32,
    /// Farthest that a row's logit may be from `theta`; 0 means no bound.
    pub bound: f32,
}

impl AdditiveShape {
    /// Where the layers' own logits are: `[K + 1]`.
    pub fn theta(&self) -> Range<usize> {
        0..self.layers + 1
    }

    /// Where `W` is: `[hidden, dim]`, row-major.
    pub fn weight(&self) -> Range<usize> {
        let from = self.theta().end;
        from..from + self.hidden * self.dim
    }

    /// Where `b` is: `[hidden]`.
    pub fn bias(&self) -> Range<usize> {
        let from = self.weight().end;
        from..from + self.hidden
    }

    /// Where `q` is: `[hidden]`.
    pub fn query(&self) -> Range<usize> {
        let from = self.bias().end;
        from..from + self.hidden
    }

    /// Length of the parameter array.
    pub fn n_parameters(&self) -> usize {
        self.query().end
    }

    fn n_hops(&self) -> usize {
        self.layers + 1
    }
}

/// Scratch of the three passes. Allocates only when a larger problem comes.
#[derive(Debug, Clone, Default)]
pub struct AdditiveWorkspace {
    /// `W` transposed, as the right factor of `E W^T`.
    across: Panels,
    across_dot: Panels,
    /// `W` itself, as the right factor of `delta W`.
    along: Panels,
    groups: Vec<Group>,
    #[cfg(feature = "gpu")]
    gpu: gpu::Scratch,
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// `tanh(W e + b)` of a chunk, later its deltas: `[CHUNK, hidden]`.
    hidden: Vec<f32>,
    hidden_dot: Vec<f32>,
    /// Per layer and row of a chunk, `[K + 1, CHUNK]`: scores, weights, and what the passes put beside them.
    scores: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
    e_rows: Panels,
    d_parameters: Vec<f32>,
}

impl Group {
    fn reset(&mut self, shape: &AdditiveShape) {
        self.hidden.resize(CHUNK * shape.hidden, 0.0);
        self.hidden_dot.resize(CHUNK * shape.hidden, 0.0);
        for values in [&mut self.scores, &mut self.weights, &mut self.slopes] {
            values.resize(CHUNK * shape.n_hops(), 0.0);
        }
    }
}

impl AdditiveWorkspace {
    /// Packs `W`, makes the groups, and says how many rows each has and how many there are.
    fn reset(&mut self, shape: &AdditiveShape, parameters: &[f32], n_rows: usize) -> (usize, usize) {
        self.across.pack_columns(&parameters[shape.weight()], shape.dim, shape.hidden);
        let (rows_per_group, n_groups) = grouping(n_rows);
        self.groups.resize_with(n_groups.max(self.groups.len()), Group::default);
        self.groups[..n_groups].iter_mut().for_each(|group| group.reset(shape));
        (rows_per_group, n_groups)
    }
}

/// Pools each row's layers with weights that additive attention gives them (formula in the module's doc).
///
/// # Shapes
/// - `parameters`: `[shape.n_parameters()]`; `hops`: K + 1 times `[S, dim]`
/// - `pooled`: `[S, dim]`, `attention`: `[S, K + 1]`; only the rows of `range` are written
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when `range` leaves the rows or K is above 8.
///
/// # Source
/// Bahdanau et al., *Neural machine translation by jointly learning to align and translate*, ICLR 2015, for the score; layers take the place of words.
#[allow(clippy::too_many_arguments)]
pub fn additive_forward(
    device: &Device,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    pooled: &mut Buffer<f32>,
    attention: &mut Buffer<f32>,
    workspace: &mut AdditiveWorkspace,
) -> Result<()> {
    let (op, n_hops) = ("additive_forward", shape.n_hops());
    let n_rows = check_hops(op, "hops", shape.dim, n_hops, hops, &range)?;
    expect_len(op, "parameters", parameters.len(), shape.n_parameters())?;
    expect_len(op, "pooled", pooled.len(), n_rows * shape.dim)?;
    expect_len(op, "attention", attention.len(), n_rows * n_hops)?;
    match device {
        Device::Cpu => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::forward(gpu, shape, parameters, hops, range, pooled, attention, &mut workspace.gpu);
            return Ok(());
        }
    }
    let parameters = parameters.host();
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let AdditiveWorkspace { across, groups, .. } = workspace;
    let outputs = [rows_mut(pooled, shape.dim, &range), rows_mut(attention, n_hops, &range)];
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, [pooled, attention]| {
        let Group { hidden, scores, weights, .. } = group;
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            for k in 0..n_hops {
                let e = rows(hops[k].host(), shape.dim, from, n);
                score(shape, parameters, across, e, n, hidden, &mut scores[k * CHUNK..k * CHUNK + n]);
            }
            attend(scores, &parameters[shape.theta()], shape.bound, shape.temperature, weights);
            let pooled = &mut pooled[(from - first) * shape.dim..][..n * shape.dim];
            for k in 0..n_hops {
                let e = rows(hops[k].host(), shape.dim, from, n);
                scale_rows(shape.dim, &weights[k * CHUNK..k * CHUNK + n], e, k > 0, pooled);
            }
            for (row, attention) in attention[(from - first) * n_hops..].chunks_exact_mut(n_hops).take(n).enumerate() {
                attention.iter_mut().enumerate().for_each(|(k, a)| *a = weights[k * CHUNK + row]);
            }
        }
    });
    Ok(())
}

/// `hidden = tanh(W e + b)` and `out = q . hidden` for `n` rows of one layer.
fn score(
    shape: &AdditiveShape,
    parameters: &[f32],
    across: &Panels,
    e: &[f32],
    n: usize,
    hidden: &mut [f32],
    out: &mut [f32],
) {
    product(Left::rows(e, n, shape.dim), across, 0, shape.dim, COLUMN_BLOCK, Store::Overwrite, hidden, shape.hidden);
    activate(&parameters[shape.bias()], &parameters[shape.query()], hidden, out);
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

/// The vector-Jacobian product: from `g = d loss / d pooled` to each layer's direct gradient and the parameters'.
///
/// With `p_ik = <g_i, e_ik>`, `m_i = sum_k a_ik p_ik`, `zeta_ik = a_ik (p_ik - m_i) / T` and `d s_ik = zeta_ik (1 - tanh^2(s_ik / bound))`:
/// `d theta_k = sum_i zeta_ik`, `d q = sum d s_ik h_ik`, `delta_ik = d s_ik q (1 - h_ik^2)`, `d b = sum delta_ik`, `d W = sum delta_ik e_ik^T`,
/// `direct_ik = a_ik g_i + W^T delta_ik`. `h` is worked out again.
///
/// # Shapes
/// - `attention`: `[S, K + 1]`, of the forward pass; `g`: `[S, dim]`
/// - `direct`: K + 1 times `[S, dim]`, of which the rows of `range` are overwritten; `d_parameters`: overwritten
///
/// # Errors
/// As [`additive_forward`].
#[allow(clippy::too_many_arguments)]
pub fn additive_backward(
    device: &Device,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    attention: &Buffer<f32>,
    g: &Buffer<f32>,
    direct: &mut [Buffer<f32>],
    d_parameters: &mut Buffer<f32>,
    workspace: &mut AdditiveWorkspace,
) -> Result<()> {
    let (op, n_hops, dim) = ("additive_backward", shape.n_hops(), shape.dim);
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
            gpu::backward(gpu, shape, parameters, hops, range, (attention, g), direct, d_parameters, scratch);
            return Ok(());
        }
    }
    let (parameters, attention, g) = (parameters.host(), attention.host(), g.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let AdditiveWorkspace { across, along, groups, .. } = workspace;
    along.pack_rows(&parameters[shape.weight()], shape.hidden, dim);
    let along = &*along;
    let query = &parameters[shape.query()];
    let outputs = super::hops_mut(direct, dim, &range);
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, direct| {
        let Group { hidden, scores, weights, slopes, e_rows, d_parameters, .. } = group;
        d_parameters.clear();
        d_parameters.resize(shape.n_parameters(), 0.0);
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            let g = rows(g, dim, from, n);
            for k in 0..n_hops {
                row_dots(dim, g, rows(hops[k].host(), dim, from, n), &mut slopes[k * CHUNK..k * CHUNK + n]);
                for (row, a) in rows(attention, n_hops, from, n).chunks_exact(n_hops).enumerate() {
                    weights[k * CHUNK + row] = a[k];
                }
            }
            centre(weights, slopes, shape.temperature, n);
            for k in 0..n_hops {
                let e = rows(hops[k].host(), dim, from, n);
                let layer = k * CHUNK..k * CHUNK + n;
                let slopes = &mut slopes[layer.clone()];
                d_parameters[k] += slopes.iter().sum::<f32>();
                score(shape, parameters, across, e, n, hidden, &mut scores[layer.clone()]);
                through_bound(&scores[layer.clone()], shape.bound, slopes);
                let (d_bias, d_query) = d_parameters[shape.bias().start..].split_at_mut(shape.hidden);
                deltas(query, slopes, &mut hidden[..n * shape.hidden], d_bias, d_query);
                e_rows.pack_rows(e, n, dim);
                let left = Left::transposed(hidden, shape.hidden, shape.hidden);
                product(left, e_rows, 0, n, ROW_BLOCK, Store::Add, &mut d_parameters[shape.weight()], dim);
                let direct = &mut direct[k][(from - first) * dim..][..n * dim];
                let left = Left::rows(hidden, n, shape.hidden);
                product(left, along, 0, shape.hidden, ROW_BLOCK, Store::Overwrite, direct, dim);
                scale_rows(dim, &weights[layer], g, true, direct);
            }
        }
    });
    add_groups(groups[..n_groups].iter().map(|group| &group.d_parameters[..]), d_parameters.host_mut());
    Ok(())
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

/// The Jacobian-vector product: how `pooled` moves along a motion of the hops and of the parameters.
///
/// `s_dot = q_dot . h + q . ((1 - h^2) (W e_dot + W_dot e + b_dot))`, `l_dot = theta_dot + (1 - tanh^2(s / bound)) s_dot`,
/// `a_dot = a (l_dot - <a, l_dot>) / T`, `pooled_dot = sum_k a_dot_k e_k + a_k e_dot_k`. The weights are worked out again.
///
/// # Shapes
/// - `d_hops`: K + 1 times `[S, dim]`; `d_parameters`: as the parameters; `d_pooled`: `[S, dim]`, of which the rows of `range` are written
///
/// # Errors
/// As [`additive_forward`].
#[allow(clippy::too_many_arguments)]
pub fn additive_tangent(
    device: &Device,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    d_hops: &[Buffer<f32>],
    d_parameters: &Buffer<f32>,
    d_pooled: &mut Buffer<f32>,
    workspace: &mut AdditiveWorkspace,
) -> Result<()> {
    let (op, n_hops, dim) = ("additive_tangent", shape.n_hops(), shape.dim);
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
    let (parameters, moved) = (parameters.host(), d_parameters.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let AdditiveWorkspace { across, across_dot, groups, .. } = workspace;
    across_dot.pack_columns(&moved[shape.weight()], dim, shape.hidden);
    let across_dot = &*across_dot;
    let outputs = [rows_mut(d_pooled, dim, &range)];
    for_groups(range, rows_per_group, &mut groups[..n_groups], outputs, &|group_rows, group, [d_pooled]| {
        let Group { hidden, hidden_dot, scores, weights, slopes, .. } = group;
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            for k in 0..n_hops {
                let (e, e_dot) = (rows(hops[k].host(), dim, from, n), rows(d_hops[k].host(), dim, from, n));
                let layer = k * CHUNK..k * CHUNK + n;
                score(shape, parameters, across, e, n, hidden, &mut scores[layer.clone()]);
                let out = &mut hidden_dot[..];
                product(Left::rows(e_dot, n, dim), across, 0, dim, COLUMN_BLOCK, Store::Overwrite, out, shape.hidden);
                product(Left::rows(e, n, dim), across_dot, 0, dim, COLUMN_BLOCK, Store::Add, out, shape.hidden);
                let (bias_dot, query_dot) = (&moved[shape.bias()], &moved[shape.query()]);
                score_dots(
                    &parameters[shape.query()],
                    query_dot,
                    bias_dot,
                    hidden,
                    hidden_dot,
                    &mut slopes[layer.clone()],
                );
                through_bound(&scores[layer.clone()], shape.bound, &mut slopes[layer.clone()]);
                slopes[layer].iter_mut().for_each(|s| *s += moved[k]);
            }
            attend(scores, &parameters[shape.theta()], shape.bound, shape.temperature, weights);
            centre(weights, slopes, shape.temperature, n);
            let d_pooled = &mut d_pooled[(from - first) * dim..][..n * dim];
            for k in 0..n_hops {
                let layer = k * CHUNK..k * CHUNK + n;
                scale_rows(dim, &slopes[layer.clone()], rows(hops[k].host(), dim, from, n), k > 0, d_pooled);
                scale_rows(dim, &weights[layer], rows(d_hops[k].host(), dim, from, n), true, d_pooled);
            }
        }
    });
    Ok(())
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
