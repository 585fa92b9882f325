//! Softmax losses on a GPU. A cube works out 64 by 64 scores at a time and keeps none: the forward
//! pass leaves a largest score and a sum of exponentials for each query and group of candidates,
//! the backward pass works the scores out again, once for the queries and once for the candidates.
//!
//! Groups of candidates, and with them the order of every sum, follow from the numbers of queries
//! and candidates alone.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use super::{SoftmaxConfig, SoftmaxInput};
use crate::Buffer;
use crate::error::{Result, expect_largest, expect_len};
use crate::gpu::cubes::cubes_for_rows;
use crate::gpu::tile::TILE;
use crate::gpu::{Gpu, cubes_for, launch};

mod gradients;
mod losses;

use gradients::{candidate_positives_kernel, dense_kernel, query_positives_kernel, totals_kernel};
use losses::{examples_kernel, forward_kernel, join_kernel};

/// Cubes that a pass should have at least, where there are candidates enough.
const CUBES: usize = 512;
/// Stands for the largest of no scores: exponentials below it are 0.
const LOWEST: f32 = -1.0e30;

/// Kept from call to call, and what the backward pass needs of the last forward pass.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    /// `[groups, n_q]` each.
    maxima: Buffer<f32>,
    sums: Buffer<f32>,
    moments: Buffer<f32>,
    /// `[n_q]` each.
    log_sums: Buffer<f32>,
    means: Buffer<f32>,
    totals: Buffer<f32>,
    /// `[groups, n_q, dim]`.
    d_q: Buffer<f32>,
}

/// The inputs of one call, checked.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    gpu: &'a Gpu,
    dim: usize,
    pub(super) n_q: usize,
    pub(super) n_c: usize,
    config: SoftmaxConfig,
    q: &'a Buffer<f32>,
    c: &'a Buffer<f32>,
    bias: Option<&'a Buffer<f32>>,
    list_ptr: &'a Buffer<u32>,
    positive: &'a Buffer<u32>,
}

impl<'a> Call<'a> {
    pub(super) fn new(op: &'static str, gpu: &'a Gpu, input: &SoftmaxInput<'a>) -> Result<Self> {
        let SoftmaxInput { dim, config, q, c, candidate_bias: bias, list_ptr, positive } = *input;
        let n_q = list_ptr.len().saturating_sub(1);
        let n_c = c.len() / dim.max(1);
        expect_len(op, "list_ptr", list_ptr.len(), n_q + 1)?;
        expect_len(op, "q", q.len(), n_q * dim)?;
        expect_len(op, "c", c.len(), n_c * dim)?;
        if let Some(bias) = bias {
            expect_len(op, "candidate_bias", bias.len(), n_c)?;
        }
        // Where the list ends is its largest number, if it ascends; a list that falls has empty
        // queries, and no index outside.
        expect_len(op, "positive", positive.len(), list_ptr.array().largest() as usize)?;
        expect_largest(op, "positive", positive, n_c)?;
        Ok(Call { gpu, dim, n_q, n_c, config, q, c, bias, list_ptr, positive })
    }

    fn inverse_tau(&self) -> f32 {
        1.0 / self.config.tau
    }

    fn query_tiles(&self) -> usize {
        self.n_q.div_ceil(TILE)
    }

    fn candidate_tiles(&self) -> usize {
        self.n_c.div_ceil(TILE)
    }

    /// Tiles of candidates in a group, and the number of groups.
    fn groups(&self) -> (usize, usize) {
        let wanted = CUBES.div_ceil(self.query_tiles().max(1));
        let tiles = self.candidate_tiles().div_ceil(wanted).max(1);
        (tiles, self.candidate_tiles().div_ceil(tiles))
    }

    fn is_empty(&self) -> bool {
        self.n_q == 0 || self.n_c == 0 || self.dim == 0
    }
}

/// The largest scores, sums and (with a motion) moments of all queries and groups, joined into
/// `out`.
fn join(call: &Call<'_>, motion: Option<(&Buffer<f32>, &Buffer<f32>)>, scratch: &mut Scratch) {
    let Call { gpu, n_q, n_c, dim, q, c, .. } = *call;
    let ((tiles, groups), query_tiles) = (call.groups(), call.query_tiles());
    let Scratch { maxima, sums, moments, log_sums, means, .. } = scratch;
    for values in [&mut *maxima, &mut *sums, &mut *moments] {
        values.resize_on(gpu, groups * n_q);
    }
    let (q_dot, c_dot) = motion.unwrap_or((q, c));
    let out = if motion.is_some() { means } else { log_sums };
    out.resize_on(gpu, n_q);
    let n_cubes = query_tiles * groups;
    // SAFETY: rows of both sides are read below their numbers, `Call::new` checked that the sides
    // and the bias have as many, motions are as long as what moves; each query and group has a
    // place in the three arrays of partial results.
    unsafe {
        launch!(
            gpu,
            n_cubes,
            forward_kernel,
            q.argument(),
            c.argument(),
            q_dot.argument(),
            c_dot.argument(),
            call.bias.unwrap_or(c).argument(),
            maxima.argument(),
            sums.argument(),
            moments.argument(),
            n_q as u32,
            n_c as u32,
            dim as u32,
            tiles as u32,
            query_tiles as u32,
            n_cubes as u32,
            call.inverse_tau(),
            call.bias.is_some(),
            motion.is_some()
        );
        launch!(
            gpu,
            cubes_for(n_q),
            join_kernel,
            maxima.argument(),
            sums.argument(),
            moments.argument(),
            out.argument(),
            groups as u32,
            motion.is_some()
        );
    }
}

fn examples(
    call: &Call<'_>,
    motion: Option<(&Buffer<f32>, &Buffer<f32>)>,
    of_query: &Buffer<f32>,
    out: &mut Buffer<f32>,
) {
    let (q_dot, c_dot) = motion.unwrap_or((call.q, call.c));
    // SAFETY: the kernel stays below the number of examples; a query found in the list is one of
    // its queries, and `Call::new` checked the positives.
    unsafe {
        launch!(
            call.gpu,
            cubes_for_rows(out.len()),
            examples_kernel,
            call.q.argument(),
            call.c.argument(),
            q_dot.argument(),
            c_dot.argument(),
            call.bias.unwrap_or(call.c).argument(),
            call.list_ptr.argument(),
            call.positive.argument(),
            of_query.argument(),
            out.argument(),
            call.dim as u32,
            call.inverse_tau(),
            call.config.t2,
            call.bias.is_some(),
            motion.is_some()
        );
    }
}

pub(super) fn forward(call: &Call<'_>, scratch: &mut Scratch, loss: &mut Buffer<f32>) {
    loss.resize_on(call.gpu, call.positive.len());
    if call.is_empty() {
        return;
    }
    join(call, None, scratch);
    examples(call, None, &scratch.log_sums, loss);
}

pub(super) fn tangent(
    call: &Call<'_>,
    q_dot: &Buffer<f32>,
    c_dot: &Buffer<f32>,
    scratch: &mut Scratch,
    loss_dot: &mut Buffer<f32>,
) {
    loss_dot.resize_on(call.gpu, call.positive.len());
    if call.is_empty() {
        return;
    }
    join(call, Some((q_dot, c_dot)), scratch);
    examples(call, Some((q_dot, c_dot)), &scratch.means, loss_dot);
}

pub(super) fn backward(
    call: &Call<'_>,
    weights: &Buffer<f32>,
    scratch: &mut Scratch,
    d_q: &mut Buffer<f32>,
    d_c: &mut Buffer<f32>,
) {
    let Call { gpu, n_q, n_c, dim, q, c, .. } = *call;
    d_q.resize_on(gpu, n_q * dim);
    d_c.resize_on(gpu, n_c * dim);
    if call.is_empty() {
        return;
    }
    let Scratch { log_sums, totals, d_q: parts, .. } = scratch;
    let ((tiles, groups), query_tiles, candidate_tiles) = (call.groups(), call.query_tiles(), call.candidate_tiles());
    let columns = dim.div_ceil(TILE);
    totals.resize_on(gpu, n_q);
    parts.resize_on(gpu, groups * n_q * dim);
    let bias = call.bias.unwrap_or(c);
    let for_queries = columns * query_tiles * groups;
    let for_candidates = columns * candidate_tiles;
    // SAFETY: as in `join`; every group writes its own part of `d_q`'s shares. Examples are walked
    // within the list, weights are as many, and positives are candidates; the queries that examples
    // belong to are found in the list.
    unsafe {
        launch!(gpu, cubes_for(n_q), totals_kernel, call.list_ptr.argument(), weights.argument(), totals.argument());
        launch!(
            gpu,
            for_queries,
            dense_kernel,
            q.argument(),
            c.argument(),
            bias.argument(),
            log_sums.argument(),
            totals.argument(),
            parts.argument(),
            n_q as u32,
            n_c as u32,
            dim as u32,
            tiles as u32,
            query_tiles as u32,
            columns as u32,
            for_queries as u32,
            call.inverse_tau(),
            call.config.t2,
            true,
            call.bias.is_some()
        );
        launch!(
            gpu,
            cubes_for(n_q * dim),
            query_positives_kernel,
            parts.argument(),
            c.argument(),
            call.list_ptr.argument(),
            call.positive.argument(),
            weights.argument(),
            d_q.argument(),
            dim as u32,
            groups as u32,
            call.inverse_tau()
        );
        launch!(
            gpu,
            for_candidates,
            dense_kernel,
            c.argument(),
            q.argument(),
            bias.argument(),
            log_sums.argument(),
            totals.argument(),
            d_c.argument(),
            n_c as u32,
            n_q as u32,
            dim as u32,
            query_tiles as u32,
            candidate_tiles as u32,
            columns as u32,
            for_candidates as u32,
            call.inverse_tau(),
            call.config.t2,
            false,
            call.bias.is_some()
        );
        launch!(
            gpu,
            cubes_for_rows(n_c),
            candidate_positives_kernel,
            q.argument(),
            call.list_ptr.argument(),
            call.positive.argument(),
            weights.argument(),
            d_c.argument(),
            n_c as u32,
            dim as u32,
            call.inverse_tau()
        );
    }
}
