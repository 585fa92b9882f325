//! Softmax losses on a GPU. A cube works out 64 by 64 scores at a time and keeps none: the forward pass leaves a largest score and a sum of exponentials
//! for each query and group of candidates, the backward pass works the scores out again, once for the queries and once for the candidates.
//!
//! Groups of candidates, and with them the order of every sum, follow from the numbers of queries and candidates alone.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]
#![allow(clippy::manual_is_multiple_of, reason = "kernels have no such method")]

use cubecl::prelude::*;

use super::SoftmaxConfig;
use crate::Buffer;
use crate::error::{Result, expect_largest, expect_len};
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_sum};
use crate::gpu::tile::{DEPTH, FACTOR, MICRO, PITCH, TILE, add_products, load_factor};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};

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
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        op: &'static str,
        gpu: &'a Gpu,
        dim: usize,
        config: SoftmaxConfig,
        q: &'a Buffer<f32>,
        c: &'a Buffer<f32>,
        bias: Option<&'a Buffer<f32>>,
        list_ptr: &'a Buffer<u32>,
        positive: &'a Buffer<u32>,
    ) -> Result<Self> {
        let n_q = list_ptr.len().saturating_sub(1);
        let n_c = c.len() / dim.max(1);
        expect_len(op, "list_ptr", list_ptr.len(), n_q + 1)?;
        expect_len(op, "q", q.len(), n_q * dim)?;
        expect_len(op, "c", c.len(), n_c * dim)?;
        if let Some(bias) = bias {
            expect_len(op, "candidate_bias", bias.len(), n_c)?;
        }
        // Where the list ends is its largest number, if it ascends; a list that falls has empty queries, and no index outside.
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

/// Products of 64 rows of `a` and 64 rows of `b`, four by four in each unit's `sums`.
#[cube]
fn score_tile(
    a: &Array<f32>,
    b: &Array<f32>,
    sums: &mut Array<f32>,
    left: &mut SharedMemory<f32>,
    right: &mut SharedMemory<f32>,
    first_a: u32,
    n_a: u32,
    first_b: u32,
    n_b: u32,
    dim: u32,
    #[comptime] fresh: bool,
) {
    if comptime!(fresh) {
        #[unroll]
        for i in 0..MICRO * MICRO {
            sums[i] = f32::new(0.0);
        }
    }
    let mut k = 0u32;
    while k < dim {
        load_factor(a, left, 0u32, dim, 1u32, first_a, n_a, k, dim, true);
        load_factor(b, right, 0u32, dim, 1u32, first_b, n_b, k, dim, true);
        sync_cube();
        add_products(left, right, sums);
        sync_cube();
        k += DEPTH as u32;
    }
}

/// Largest scores and sums of exponentials of 64 queries over a group of candidates; with a motion, also the exponentials' mean motion.
#[cube(launch_unchecked)]
fn forward_kernel(
    q: &Array<f32>,
    c: &Array<f32>,
    q_dot: &Array<f32>,
    c_dot: &Array<f32>,
    bias: &Array<f32>,
    maxima: &mut Array<f32>,
    sums: &mut Array<f32>,
    moments: &mut Array<f32>,
    n_q: u32,
    n_c: u32,
    dim: u32,
    tiles: u32,
    query_tiles: u32,
    n_cubes: u32,
    inverse_tau: f32,
    #[comptime] biased: bool,
    #[comptime] moving: bool,
) {
    if CUBE_POS < n_cubes as usize {
        let mut left = SharedMemory::<f32>::new(FACTOR);
        let mut right = SharedMemory::<f32>::new(FACTOR);
        let mut products = Array::<f32>::new(MICRO * MICRO);
        let mut products_dot = Array::<f32>::new(MICRO * MICRO);
        let mut largest = Array::<f32>::new(MICRO);
        let mut total = Array::<f32>::new(MICRO);
        let mut moment = Array::<f32>::new(MICRO);
        #[unroll]
        for i in 0..MICRO {
            largest[i] = f32::new(LOWEST);
            total[i] = f32::new(0.0);
            moment[i] = f32::new(0.0);
        }
        let cube = CUBE_POS as u32;
        let group = cube / query_tiles;
        let first_q = cube % query_tiles * 64;
        let column = UNIT_POS % 16 * 4;
        let row = UNIT_POS / 16 * 4;
        let end = u32::min(n_c, (group + 1) * tiles * 64);
        let mut first_c = group * tiles * 64;
        while first_c < end {
            score_tile(q, c, &mut products, &mut left, &mut right, first_q, n_q, first_c, n_c, dim, true);
            if comptime!(moving) {
                score_tile(q_dot, c, &mut products_dot, &mut left, &mut right, first_q, n_q, first_c, n_c, dim, true);
                score_tile(q, c_dot, &mut products_dot, &mut left, &mut right, first_q, n_q, first_c, n_c, dim, false);
            }
            #[unroll]
            for i in 0..MICRO {
                #[unroll]
                for j in 0..MICRO {
                    let candidate = first_c + column + j as u32;
                    if candidate < n_c {
                        let mut score = products[i * MICRO + j] * inverse_tau;
                        if comptime!(biased) {
                            score += bias[candidate as usize];
                        }
                        let above = f32::max(largest[i], score);
                        let shrink = f32::exp(largest[i] - above);
                        let share = f32::exp(score - above);
                        total[i] = total[i] * shrink + share;
                        if comptime!(moving) {
                            moment[i] = moment[i] * shrink + share * products_dot[i * MICRO + j];
                        }
                        largest[i] = above;
                    }
                }
            }
            first_c += 64;
        }
        // 16 units hold a row's columns; the first of each four rows joins them in order.
        let mut joint = SharedMemory::<f32>::new(3 * UNITS as usize);
        let unit = UNIT_POS as usize;
        let places = UNITS as usize;
        #[unroll]
        for i in 0..MICRO {
            joint[unit] = largest[i];
            joint[places + unit] = total[i];
            joint[2 * places + unit] = moment[i];
            sync_cube();
            let query = first_q + row + i as u32;
            if unit % 16 == 0 && query < n_q {
                let mut above = f32::new(LOWEST);
                for part in 0..16usize {
                    above = f32::max(above, joint[unit + part]);
                }
                let mut sum = f32::new(0.0);
                let mut motion = f32::new(0.0);
                for part in 0..16usize {
                    let shrink = f32::exp(joint[unit + part] - above);
                    sum += joint[places + unit + part] * shrink;
                    motion += joint[2 * places + unit + part] * shrink;
                }
                let place = (group * n_q + query) as usize;
                maxima[place] = above;
                sums[place] = sum;
                if comptime!(moving) {
                    moments[place] = motion;
                }
            }
            sync_cube();
        }
    }
}

/// Joins the groups of a query: its log-sum-exp, or (moving) the mean motion of its scores. One unit per query.
#[cube(launch_unchecked)]
fn join_kernel(
    maxima: &Array<f32>,
    sums: &Array<f32>,
    moments: &Array<f32>,
    out: &mut Array<f32>,
    groups: u32,
    #[comptime] moving: bool,
) {
    let query = ABSOLUTE_POS;
    let n_q = out.len();
    if query < n_q {
        let mut largest = f32::new(LOWEST);
        for group in 0..groups as usize {
            largest = f32::max(largest, maxima[group * n_q + query]);
        }
        let mut sum = f32::new(0.0);
        let mut moment = f32::new(0.0);
        for group in 0..groups as usize {
            let shrink = f32::exp(maxima[group * n_q + query] - largest);
            sum += sums[group * n_q + query] * shrink;
            if comptime!(moving) {
                moment += moments[group * n_q + query] * shrink;
            }
        }
        if comptime!(moving) {
            out[query] = moment / sum;
        } else {
            out[query] = largest + f32::ln(sum);
        }
    }
}

/// The query that an example belongs to: the last whose list starts at or before it.
#[cube]
fn query_of(list_ptr: &Array<u32>, example: u32) -> usize {
    let mut low = 0usize;
    let mut high = list_ptr.len() - 1;
    while high - low > 1 {
        let middle = (low + high) / 2;
        if list_ptr[middle] <= example {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The loss of each example, or (moving) its motion: 16 units per example.
#[cube(launch_unchecked)]
fn examples_kernel(
    q: &Array<f32>,
    c: &Array<f32>,
    q_dot: &Array<f32>,
    c_dot: &Array<f32>,
    bias: &Array<f32>,
    list_ptr: &Array<u32>,
    positive: &Array<u32>,
    of_query: &Array<f32>,
    out: &mut Array<f32>,
    dim: u32,
    inverse_tau: f32,
    t2: f32,
    #[comptime] biased: bool,
    #[comptime] moving: bool,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let dim = dim as usize;
    let example = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = example < out.len();
    let mut query = 0usize;
    let mut candidate = 0usize;
    let mut sum = f32::new(0.0);
    if inside {
        query = query_of(list_ptr, example as u32);
        candidate = positive[example] as usize;
        let mut column = lane;
        while column < dim {
            if comptime!(moving) {
                sum += q_dot[query * dim + column] * c[candidate * dim + column]
                    + q[query * dim + column] * c_dot[candidate * dim + column];
            } else {
                sum += q[query * dim + column] * c[candidate * dim + column];
            }
            column += LANES;
        }
    }
    let mut score = lane_sum(&mut shared, sum) * inverse_tau;
    if inside && lane == 0 {
        if comptime!(biased && !moving) {
            score += bias[candidate];
        }
        let mut whole = of_query[query];
        if comptime!(moving) {
            whole *= inverse_tau;
        }
        out[example] = t2 * whole - score;
    }
}

/// The sum of each query's example weights: one unit per query.
#[cube(launch_unchecked)]
fn totals_kernel(list_ptr: &Array<u32>, weights: &Array<f32>, totals: &mut Array<f32>) {
    let query = ABSOLUTE_POS;
    if query < totals.len() {
        let mut sum = f32::new(0.0);
        for example in list_ptr[query]..list_ptr[query + 1] {
            sum += weights[example as usize];
        }
        totals[query] = sum;
    }
}

/// `t2 W_q p_qj / tau`, the part of the scores' gradient that every candidate has, times the other side's rows.
///
/// A cube owns 64 rows of one side (`own`), 64 of its columns, and a part of the other side's tiles; scores are worked out again for each tile.
#[cube(launch_unchecked)]
fn dense_kernel(
    own: &Array<f32>,
    other: &Array<f32>,
    bias: &Array<f32>,
    log_sums: &Array<f32>,
    totals: &Array<f32>,
    out: &mut Array<f32>,
    n_own: u32,
    n_other: u32,
    dim: u32,
    tiles: u32,
    own_tiles: u32,
    column_tiles: u32,
    n_cubes: u32,
    inverse_tau: f32,
    t2: f32,
    #[comptime] own_is_query: bool,
    #[comptime] biased: bool,
) {
    if CUBE_POS < n_cubes as usize {
        let mut left = SharedMemory::<f32>::new(FACTOR);
        let mut right = SharedMemory::<f32>::new(FACTOR);
        let mut slopes = SharedMemory::<f32>::new(TILE * PITCH);
        let mut products = Array::<f32>::new(MICRO * MICRO);
        let mut sums = Array::<f32>::new(MICRO * MICRO);
        #[unroll]
        for i in 0..MICRO * MICRO {
            sums[i] = f32::new(0.0);
        }
        let cube = CUBE_POS as u32;
        let first_column = cube % column_tiles * 64;
        let first_own = cube / column_tiles % own_tiles * 64;
        let group = cube / (column_tiles * own_tiles);
        let row = UNIT_POS / 16 * 4;
        let column = UNIT_POS % 16 * 4;
        let end = u32::min(n_other, (group + 1) * tiles * 64);
        let mut first = group * tiles * 64;
        while first < end {
            score_tile(own, other, &mut products, &mut left, &mut right, first_own, n_own, first, n_other, dim, true);
            #[unroll]
            for i in 0..MICRO {
                #[unroll]
                for j in 0..MICRO {
                    let mine = first_own + row + i as u32;
                    let theirs = first + column + j as u32;
                    let mut slope = f32::new(0.0);
                    if mine < n_own && theirs < n_other {
                        let mut query = theirs as usize;
                        let mut candidate = mine as usize;
                        if comptime!(own_is_query) {
                            query = mine as usize;
                            candidate = theirs as usize;
                        }
                        let mut score = products[i * MICRO + j] * inverse_tau;
                        if comptime!(biased) {
                            score += bias[candidate];
                        }
                        slope = t2 * inverse_tau * totals[query] * f32::exp(score - log_sums[query]);
                    }
                    slopes[(column as usize + j) * PITCH + row as usize + i] = slope;
                }
            }
            let mut k = 0u32;
            while k < 64 {
                // Columns of the other side's rows are the rows of the right factor, and those rows its depth.
                load_factor(other, &mut right, 0u32, 1u32, dim, first_column, dim, first + k, n_other, false);
                sync_cube();
                for deep in 0..DEPTH {
                    #[unroll]
                    for i in 0..MICRO {
                        let slope = slopes[(k as usize + deep) * PITCH + row as usize + i];
                        #[unroll]
                        for j in 0..MICRO {
                            sums[i * MICRO + j] += slope * right[deep * PITCH + column as usize + j];
                        }
                    }
                }
                sync_cube();
                k += DEPTH as u32;
            }
            first += 64;
        }
        #[unroll]
        for i in 0..MICRO {
            #[unroll]
            for j in 0..MICRO {
                let mine = first_own + row + i as u32;
                let at = first_column + column + j as u32;
                if mine < n_own && at < dim {
                    out[((group * n_own + mine) * dim + at) as usize] = sums[i * MICRO + j];
                }
            }
        }
    }
}

/// Joins the groups of `d_q` in order and takes off what the positives get: one unit per element.
#[cube(launch_unchecked)]
fn query_positives_kernel(
    parts: &Array<f32>,
    c: &Array<f32>,
    list_ptr: &Array<u32>,
    positive: &Array<u32>,
    weights: &Array<f32>,
    d_q: &mut Array<f32>,
    dim: u32,
    groups: u32,
    inverse_tau: f32,
) {
    let at = ABSOLUTE_POS;
    let n = d_q.len();
    let dim = dim as usize;
    if at < n {
        let query = at / dim;
        let column = at % dim;
        let mut sum = f32::new(0.0);
        for group in 0..groups as usize {
            sum += parts[group * n + at];
        }
        let mut own = f32::new(0.0);
        for example in list_ptr[query]..list_ptr[query + 1] {
            own += weights[example as usize] * c[positive[example as usize] as usize * dim + column];
        }
        d_q[at] = sum - own * inverse_tau;
    }
}

/// Takes off `d_c` what positives get: a cube looks through all examples for those of its 16 candidates, in their order.
#[cube(launch_unchecked)]
fn candidate_positives_kernel(
    q: &Array<f32>,
    list_ptr: &Array<u32>,
    positive: &Array<u32>,
    weights: &Array<f32>,
    d_c: &mut Array<f32>,
    n_c: u32,
    dim: u32,
    inverse_tau: f32,
) {
    let mut ids = SharedMemory::<u32>::new(UNITS as usize);
    let dim = dim as usize;
    let unit = UNIT_POS as usize;
    let candidate = (CUBE_POS * ROWS + unit / LANES) as u32;
    let lane = unit % LANES;
    let n = positive.len();
    let mut first = 0usize;
    while first < n {
        let mut id = n_c;
        if first + unit < n {
            id = positive[first + unit];
        }
        ids[unit] = id;
        sync_cube();
        if candidate < n_c {
            for place in 0..UNITS as usize {
                if ids[place] == candidate {
                    let example = first + place;
                    let query = query_of(list_ptr, example as u32);
                    let weight = weights[example] * inverse_tau;
                    let mut column = lane;
                    while column < dim {
                        d_c[candidate as usize * dim + column] -= weight * q[query * dim + column];
                        column += LANES;
                    }
                }
            }
        }
        sync_cube();
        first += UNITS as usize;
    }
}

/// The largest scores, sums and (with a motion) moments of all queries and groups, joined into `out`.
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
    // SAFETY: rows of both sides are read below their numbers, `Call::new` checked that the sides and the bias have as many, motions are as long as what
    // moves; each query and group has a place in the three arrays of partial results.
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
    // SAFETY: the kernel stays below the number of examples; a query found in the list is one of its queries, and `Call::new` checked the positives.
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
    // SAFETY: as in `join`; every group writes its own part of `d_q`'s shares. Examples are walked within the list, weights are as many, and positives are
    // candidates; the queries that examples belong to are found in the list.
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
