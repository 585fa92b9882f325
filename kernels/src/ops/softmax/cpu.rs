//! The CPU path of the softmax losses.

use rayon::prelude::*;

use super::{SoftmaxInput, SoftmaxWorkspace};
use crate::buffer::Buffer;
use crate::elementary::exp;
use crate::error::{KernelError, Result, expect_len};
use crate::simd::{block_sum, dot_blocks, mul_add};
use crate::tile::{COLUMN_BLOCK, Left, Panels, ROW_BLOCK, Store, product};

/// Candidates in a tile.
const TILE: usize = 256;
/// Distance of a tile's rows: one line more than its width, so that a column's elements do not fall
/// into the same cache sets.
const PITCH: usize = TILE + 16;
/// Queries that are scored against a tile at once: 128 rows of scores stay in the second cache.
const QUERIES: usize = 128;
/// Most groups of tiles, hence most tasks and most partial sums of `d_q`.
const GROUPS: usize = 16;
/// Exponentials of the forward pass are kept for the backward pass up to this many (256 MiB).
pub(super) const KEPT: usize = 1 << 26;
/// Examples or rows that one task of the closing loops treats.
const CHUNK: usize = 256;

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    forward: Partials,
    tangent: Partials,
    scores: Vec<f32>,
    scores_dot: Vec<f32>,
    /// Exponentials of the forward pass, tile by tile; empty when there are too many.
    kept: Vec<f32>,
    columns: Panels,
    columns_dot: Panels,
    d_q: Vec<f32>,
}

/// Per tile and query: the largest score, the sum of exponentials below it, and (tangent) that sum
/// weighted with the score's motion.
#[derive(Debug, Clone, Default)]
struct Partials {
    maxima: Vec<f32>,
    sums: Vec<f32>,
    moments: Vec<f32>,
}

impl Partials {
    fn reset(&mut self, len: usize) {
        for values in [&mut self.maxima, &mut self.sums, &mut self.moments] {
            values.resize(len, 0.0);
        }
    }
}

/// The sizes of one call, and its inputs in host memory.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) dim: usize,
    pub(super) n_q: usize,
    pub(super) n_c: usize,
    tiles_per_group: usize,
    inverse_tau: f32,
    t2: f32,
    q: &'a [f32],
    c: &'a [f32],
    bias: Option<&'a [f32]>,
    list_ptr: &'a [u32],
    pub(super) positive: &'a [u32],
}

impl<'a> Call<'a> {
    pub(super) fn new(op: &'static str, input: &SoftmaxInput<'a>) -> Result<Self> {
        let SoftmaxInput { dim, config, q, c, candidate_bias: bias, .. } = *input;
        let (list_ptr, positive) = (input.list_ptr.host(), input.positive.host());
        let n_q = list_ptr.len().saturating_sub(1);
        let n_c = c.len() / dim.max(1);
        expect_len(op, "list_ptr", list_ptr.len(), n_q + 1)?;
        expect_len(op, "q", q.len(), n_q * dim)?;
        expect_len(op, "c", c.len(), n_c * dim)?;
        if let Some(bias) = bias {
            expect_len(op, "candidate_bias", bias.len(), n_c)?;
        }
        expect_len(op, "list_ptr's first element", list_ptr[0] as usize, 0)?;
        expect_len(op, "positive", positive.len(), list_ptr[n_q] as usize)?;
        if let Some(pair) = list_ptr.windows(2).find(|pair| pair[0] > pair[1]) {
            let (index, bound) = (pair[0] as usize, pair[1] as usize + 1);
            return Err(KernelError::Index { op, argument: "list_ptr", index, bound });
        }
        if let Some(&index) = positive.iter().find(|&&p| p as usize >= n_c) {
            return Err(KernelError::Index { op, argument: "positive", index: index as usize, bound: n_c });
        }
        let tiles_per_group = n_c.div_ceil(TILE).div_ceil(GROUPS).max(1);
        let (inverse_tau, t2, bias) = (1.0 / config.tau, config.t2, bias.map(Buffer::host));
        Ok(Call { dim, n_q, n_c, tiles_per_group, inverse_tau, t2, q: q.host(), c: c.host(), bias, list_ptr, positive })
    }

    fn sizes(&self) -> (usize, usize, usize) {
        (self.dim, self.n_q, self.n_c)
    }

    fn n_groups(&self) -> usize {
        self.n_c.div_ceil(TILE).div_ceil(self.tiles_per_group)
    }

    /// The tiles of a group: (place in the group, first candidate, candidates).
    fn tiles(&self, group: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let (first, n_c) = (group * self.tiles_per_group * TILE, self.n_c);
        (0..self.tiles_per_group)
            .map(move |tile| (tile, first + tile * TILE))
            .take_while(move |&(_, from)| from < n_c)
            .map(move |(tile, from)| (tile, from, TILE.min(n_c - from)))
    }

    /// The blocks of queries: (first, number).
    fn query_blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let n_q = self.n_q;
        (0..n_q).step_by(QUERIES).map(move |from| (from, QUERIES.min(n_q - from)))
    }

    fn rows<'b>(&self, matrix: &'b [f32], from: usize, n: usize) -> &'b [f32] {
        &matrix[from * self.dim..(from + n) * self.dim]
    }

    /// The query that example `e` belongs to.
    fn query_of(&self, e: usize) -> usize {
        self.list_ptr.partition_point(|&from| from as usize <= e) - 1
    }

    /// Exponentials of one block of queries against one tile, below each row's largest score, which
    /// goes to `maxima`; their sums go to `sums`.
    fn exponentials(
        &self,
        columns: &Panels,
        (from_q, n_q): (usize, usize),
        (from_c, n_c): (usize, usize),
        scores: &mut [f32],
        maxima: &mut [f32],
        sums: &mut [f32],
    ) {
        let left = Left::rows(self.rows(self.q, from_q, n_q), n_q, self.dim);
        product(left, columns.all(), COLUMN_BLOCK, Store::Overwrite, scores, PITCH);
        exponentials(scores, n_c, self.inverse_tau, self.bias.map(|b| &b[from_c..from_c + n_c]), maxima, sums);
    }
}

crate::dispatch! {
    fn exponentials(scores: &mut [f32], width: usize, factor: f32, bias: Option<&[f32]>, maxima: &mut [f32], sums: &mut [f32]) = exponentials_body
}

#[inline(always)]
fn exponentials_body<const FUSED: bool>(
    scores: &mut [f32],
    width: usize,
    factor: f32,
    bias: Option<&[f32]>,
    maxima: &mut [f32],
    sums: &mut [f32],
) {
    for (row, (maximum, sum)) in scores.chunks_mut(PITCH).zip(maxima.iter_mut().zip(sums)) {
        // The row is treated in whole lines: what lies past its width scores -inf, and its
        // exponential is 0.
        let row = &mut row[..width.next_multiple_of(16)];
        row[width..].fill(f32::NEG_INFINITY);
        match bias {
            Some(bias) => row.iter_mut().zip(bias).for_each(|(s, b)| *s = mul_add::<FUSED>(*s, factor, *b)),
            None => row[..width].iter_mut().for_each(|s| *s *= factor),
        }
        let lines = row.as_chunks_mut::<16>().0;
        let mut largest = [f32::NEG_INFINITY; 16];
        for line in lines.iter() {
            for lane in 0..16 {
                largest[lane] = if line[lane] > largest[lane] { line[lane] } else { largest[lane] };
            }
        }
        *maximum = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        // A tile of candidates that are all ruled out (-inf) has no largest score to subtract.
        let below = if *maximum == f32::NEG_INFINITY { 0.0 } else { *maximum };
        let mut lanes = [0.0; 16];
        for line in lines {
            for lane in 0..16 {
                line[lane] = exp::<FUSED>(line[lane] - below);
                lanes[lane] += line[lane];
            }
        }
        *sum = block_sum(&lanes);
    }
}

pub(super) fn cpu_forward(call: &Call<'_>, workspace: &mut SoftmaxWorkspace, loss: &mut [f32], kept: usize) {
    let (n_q, n_groups) = (call.n_q, call.n_groups());
    let keep = call.n_c.div_ceil(TILE) * n_q * PITCH <= kept;
    workspace.sizes = call.sizes();
    workspace.groups.resize_with(n_groups.max(workspace.groups.len()), Group::default);
    let groups = &mut workspace.groups[..n_groups];
    groups.par_iter_mut().enumerate().for_each(|(at, group)| {
        let tiles = call.tiles(at).count();
        group.forward.reset(tiles * n_q);
        group.kept.resize(if keep { tiles * n_q * PITCH } else { 0 }, 0.0);
        group.scores.resize(QUERIES * PITCH, 0.0);
        let Group { forward, kept, scores, columns, .. } = group;
        for (tile, from, width) in call.tiles(at) {
            columns.pack_columns(call.rows(call.c, from, width), call.dim, width);
            for (first, n) in call.query_blocks() {
                let cells = tile * n_q + first..tile * n_q + first + n;
                let scores =
                    if keep { &mut kept[cells.start * PITCH..cells.end * PITCH] } else { &mut scores[..n * PITCH] };
                let (maxima, sums) = (&mut forward.maxima[cells.clone()], &mut forward.sums[cells]);
                call.exponentials(columns, (first, n), (from, width), scores, maxima, sums);
            }
        }
    });
    let groups = &workspace.groups[..n_groups];
    workspace.log_sums.resize(n_q, 0.0);
    workspace.log_sums.par_iter_mut().enumerate().for_each(|(query, log_sum)| {
        let (largest, sum, _) = join(groups.iter().map(|g| &g.forward), n_q, query);
        *log_sum = f64::from(largest) + sum.ln();
    });
    let log_sums = &workspace.log_sums;
    for_examples(call, loss, |query, positive| {
        let bias = call.bias.map_or(0.0, |bias| bias[positive]);
        let score =
            dot_blocks::<false>(call.rows(call.q, query, 1), call.rows(call.c, positive, 1)) * call.inverse_tau + bias;
        (f64::from(call.t2) * log_sums[query] - f64::from(score)) as f32
    });
}

/// A query's largest score, its sum of exponentials below that and their moments, over all tiles in
/// order.
fn join<'a>(partials: impl Iterator<Item = &'a Partials> + Clone, n_q: usize, query: usize) -> (f32, f64, f64) {
    let cells =
        partials.flat_map(|p| (query..p.maxima.len()).step_by(n_q).map(|i| (p.maxima[i], p.sums[i], p.moments[i])));
    let largest = cells.clone().fold(f32::NEG_INFINITY, |largest, cell| largest.max(cell.0));
    cells.fold((largest, 0.0, 0.0), |(largest, sum, moment), (maximum, tile_sum, tile_moment)| {
        // A tile that is ruled out counts nothing; when all are, the loss is not finite, which
        // shows it.
        let factor = if maximum == f32::NEG_INFINITY { 0.0 } else { (f64::from(maximum) - f64::from(largest)).exp() };
        (largest, sum + f64::from(tile_sum) * factor, moment + f64::from(tile_moment) * factor)
    })
}

/// Fills one number per example from its query and its positive.
fn for_examples(call: &Call<'_>, out: &mut [f32], value: impl Fn(usize, usize) -> f32 + Sync) {
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        let mut query = call.query_of(chunk * CHUNK);
        for (e, out) in (chunk * CHUNK..).zip(out) {
            while call.list_ptr[query + 1] as usize <= e {
                query += 1;
            }
            *out = value(query, call.positive[e] as usize);
        }
    });
}

pub(super) fn cpu_backward(
    call: &Call<'_>,
    weights: &[f32],
    workspace: &mut SoftmaxWorkspace,
    d_q: &mut [f32],
    d_c: &mut [f32],
) {
    let (dim, n_q, n_groups) = (call.dim, call.n_q, call.n_groups());
    if n_q == 0 || call.n_c == 0 || dim == 0 {
        d_q.fill(0.0);
        d_c.fill(0.0);
        return;
    }
    let SoftmaxWorkspace { groups, log_sums, weights: totals, q_rows, .. } = workspace;
    totals.clear();
    totals.extend(call.list_ptr.windows(2).map(|ends| weights[ends[0] as usize..ends[1] as usize].iter().sum::<f32>()));
    q_rows.pack_rows(call.q, n_q, dim);
    let (totals, q_rows, log_sums, groups) = (&*totals, &*q_rows, &*log_sums, &mut groups[..n_groups]);
    groups.par_iter_mut().zip(d_c.par_chunks_mut(call.tiles_per_group * TILE * dim)).enumerate().for_each(
        |(at, (group, d_c))| {
            group.d_q.resize(n_q * dim, 0.0);
            let Group { forward, kept, scores, columns, columns_dot: rows, d_q, tangent, .. } = group;
            tangent.reset(QUERIES);
            for (tile, from, width) in call.tiles(at) {
                let c = call.rows(call.c, from, width);
                rows.pack_rows(c, width, dim);
                if kept.is_empty() {
                    columns.pack_columns(c, dim, width);
                }
                let d_c = &mut d_c[tile * TILE * dim..][..width * dim];
                for (first, n) in call.query_blocks() {
                    let scores = &mut scores[..n * PITCH];
                    let cell = tile * n_q + first;
                    if kept.is_empty() {
                        let (maxima, sums) = (&mut tangent.maxima[..n], &mut tangent.sums[..n]);
                        call.exponentials(columns, (first, n), (from, width), scores, maxima, sums);
                    }
                    for (at, (query, row)) in (first..first + n).zip(scores.chunks_mut(PITCH)).enumerate() {
                        let share = (f64::from(forward.maxima[tile * n_q + query]) - log_sums[query]).exp();
                        let factor = (f64::from(call.t2 * totals[query] * call.inverse_tau) * share) as f32;
                        if kept.is_empty() {
                            scale(factor, &mut row[..width]);
                        } else {
                            scaled(factor, &kept[(cell + at) * PITCH..][..width], &mut row[..width]);
                        }
                        let examples = call.list_ptr[query] as usize..call.list_ptr[query + 1] as usize;
                        for (&positive, weight) in call.positive[examples.clone()].iter().zip(&weights[examples]) {
                            let at = (positive as usize).wrapping_sub(from);
                            if at < width {
                                row[at] -= weight * call.inverse_tau;
                            }
                        }
                    }
                    let store = |first_of_all| if first_of_all { Store::Overwrite } else { Store::Add };
                    let left = Left { values: scores, rows: n, row_stride: PITCH, depth_stride: 1 };
                    product(
                        left,
                        rows.part(0, width),
                        ROW_BLOCK,
                        store(tile == 0),
                        &mut d_q[first * dim..(first + n) * dim],
                        dim,
                    );
                    product(
                        Left::transposed(scores, width, PITCH),
                        q_rows.part(first, n),
                        ROW_BLOCK,
                        store(first == 0),
                        d_c,
                        dim,
                    );
                }
            }
        },
    );
    let groups = &*groups;
    d_q.par_chunks_mut(CHUNK * dim).enumerate().for_each(|(chunk, d_q)| {
        for (at, group) in groups.iter().enumerate() {
            let part = &group.d_q[chunk * CHUNK * dim..][..d_q.len()];
            if at == 0 {
                d_q.copy_from_slice(part)
            } else {
                d_q.iter_mut().zip(part).for_each(|(sum, part)| *sum += part)
            }
        }
    });
}

crate::dispatch! { fn scale(factor: f32, values: &mut [f32]) = scale_body }

#[inline(always)]
fn scale_body<const FUSED: bool>(factor: f32, values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value *= factor);
}

crate::dispatch! { fn scaled(factor: f32, from: &[f32], to: &mut [f32]) = scaled_body }

#[inline(always)]
fn scaled_body<const FUSED: bool>(factor: f32, from: &[f32], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from * factor);
}

pub(super) fn cpu_tangent(
    call: &Call<'_>,
    q_dot: &[f32],
    c_dot: &[f32],
    workspace: &mut SoftmaxWorkspace,
    loss_dot: &mut [f32],
) {
    let (dim, n_q, n_groups) = (call.dim, call.n_q, call.n_groups());
    workspace.groups.resize_with(n_groups.max(workspace.groups.len()), Group::default);
    let groups = &mut workspace.groups[..n_groups];
    groups.par_iter_mut().enumerate().for_each(|(at, group)| {
        group.tangent.reset(call.tiles(at).count() * n_q);
        group.scores.resize(QUERIES * PITCH, 0.0);
        group.scores_dot.resize(QUERIES * PITCH, 0.0);
        let Group { tangent, scores, scores_dot, columns, columns_dot, .. } = group;
        for (tile, from, width) in call.tiles(at) {
            columns.pack_columns(call.rows(call.c, from, width), dim, width);
            columns_dot.pack_columns(call.rows(c_dot, from, width), dim, width);
            for (first, n) in call.query_blocks() {
                let cells = tile * n_q + first..tile * n_q + first + n;
                let (scores, scores_dot) = (&mut scores[..n * PITCH], &mut scores_dot[..n * PITCH]);
                let (maxima, sums) = (&mut tangent.maxima[cells.clone()], &mut tangent.sums[cells.clone()]);
                call.exponentials(columns, (first, n), (from, width), scores, maxima, sums);
                let (q, q_dot) = (call.rows(call.q, first, n), call.rows(q_dot, first, n));
                product(Left::rows(q_dot, n, dim), columns.all(), COLUMN_BLOCK, Store::Overwrite, scores_dot, PITCH);
                product(Left::rows(q, n, dim), columns_dot.all(), COLUMN_BLOCK, Store::Add, scores_dot, PITCH);
                moments(scores, scores_dot, width, &mut tangent.moments[cells]);
            }
        }
    });
    let SoftmaxWorkspace { groups, means, .. } = workspace;
    let groups = &groups[..n_groups];
    means.resize(n_q, 0.0);
    means.par_iter_mut().enumerate().for_each(|(query, mean)| {
        let (_, sum, moment) = join(groups.iter().map(|g| &g.tangent), n_q, query);
        *mean = moment / sum;
    });
    let means = &*means;
    for_examples(call, loss_dot, |query, positive| {
        let own = dot_blocks::<false>(call.rows(q_dot, query, 1), call.rows(call.c, positive, 1))
            + dot_blocks::<false>(call.rows(call.q, query, 1), call.rows(c_dot, positive, 1));
        (f64::from(call.inverse_tau) * (f64::from(call.t2) * means[query] - f64::from(own))) as f32
    });
}

crate::dispatch! { fn moments(exponentials: &[f32], scores_dot: &[f32], width: usize, out: &mut [f32]) = moments_body }

#[inline(always)]
fn moments_body<const FUSED: bool>(exponentials: &[f32], scores_dot: &[f32], width: usize, out: &mut [f32]) {
    for (out, (row, row_dot)) in out.iter_mut().zip(exponentials.chunks(PITCH).zip(scores_dot.chunks(PITCH))) {
        let (lines, rest) = row[..width].as_chunks::<16>();
        let (lines_dot, rest_dot) = row_dot[..width].as_chunks::<16>();
        let mut lanes = [0.0; 16];
        for (line, line_dot) in lines.iter().zip(lines_dot) {
            for lane in 0..16 {
                lanes[lane] = mul_add::<FUSED>(line[lane], line_dot[lane], lanes[lane]);
            }
        }
        for (lane, (x, x_dot)) in lanes.iter_mut().zip(rest.iter().zip(rest_dot)) {
            *lane = mul_add::<FUSED>(*x, *x_dot, *lane);
        }
        *out = block_sum(&lanes);
    }
}
