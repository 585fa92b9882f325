//! Additive attention on a GPU. The rows of all layers are stacked, so that one product serves every layer; activations are worked out again on the way
//! back, and the gradient of the parameters is summed in parts whose number depends on the number of rows alone.

use std::ops::Range;

use cubecl::prelude::*;

use super::super::MAX_HOPS;
use super::AdditiveShape;
use crate::Buffer;
use crate::gpu::cubes::{LANES, ROWS, cube_sum, cubes_for_rows, lane_sum, tanh};
use crate::gpu::tile::{Lying, deep_product, product, sum_partials};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};
use crate::ops::place::gpu::copy;

/// Rows whose share of a column's sum one cube takes.
const CHUNK: usize = 256;
/// Columns that a cube sums at once, and the units that share each.
const COLUMNS: usize = 64;
const SLOTS: usize = UNITS as usize / COLUMNS;

/// Kept from call to call; a fresh one is as good.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    /// The rows of a range, layer after layer: `[(K + 1) n, dim]`.
    stack: Buffer<f32>,
    stack_dot: Buffer<f32>,
    /// `tanh(W e + b)` of the stacked rows, later what is handed back: `[(K + 1) n, hidden]`.
    hidden: Buffer<f32>,
    hidden_dot: Buffer<f32>,
    hidden_moved: Buffer<f32>,
    /// Per layer and row, `[K + 1, n]`.
    scores: Buffer<f32>,
    slopes: Buffer<f32>,
    through: Buffer<f32>,
    partials: Buffer<f32>,
    back: Buffer<f32>,
}

/// `out[r] = <q, x[r]>`.
#[cube(launch_unchecked)]
fn score_kernel(x: &Array<f32>, parameters: &Array<f32>, out: &mut Array<f32>, query_at: u32, hidden: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let width = hidden as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let mut sum = f32::new(0.0);
    if row < out.len() {
        let mut column = lane;
        while column < width {
            sum += parameters[query_at as usize + column] * x[row * width + column];
            column += LANES;
        }
    }
    let sum = lane_sum(&mut shared, sum);
    if row < out.len() && lane == 0 {
        out[row] = sum;
    }
}

/// `bound * tanh(s / bound)`, or `s` without a bound.
#[cube]
fn bounded(s: f32, bound: f32) -> f32 {
    let mut value = s;
    if bound > f32::new(0.0) {
        value = bound * tanh(s / bound);
    }
    value
}

/// The derivative of [`bounded`].
#[cube]
fn bounded_slope(s: f32, bound: f32) -> f32 {
    let mut value = f32::new(1.0);
    if bound > f32::new(0.0) {
        let t = tanh(s / bound);
        value = f32::new(1.0) - t * t;
    }
    value
}

/// Scores of a row's layers to weights: one unit per row.
#[cube(launch_unchecked)]
fn attend_kernel(
    scores: &Array<f32>,
    parameters: &Array<f32>,
    attention: &mut Array<f32>,
    first: u32,
    n: u32,
    bound: f32,
    temperature: f32,
    #[comptime] n_hops: usize,
) {
    let row = ABSOLUTE_POS;
    let n = n as usize;
    if row < n {
        let mut logits = Array::<f32>::new(n_hops);
        let mut largest = f32::new(-3.0e38);
        #[unroll]
        for k in 0..n_hops {
            let logit = (parameters[k] + bounded(scores[k * n + row], bound)) / temperature;
            logits[k] = logit;
            largest = f32::max(largest, logit);
        }
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            let weight = f32::exp(logits[k] - largest);
            logits[k] = weight;
            sum += weight;
        }
        #[unroll]
        for k in 0..n_hops {
            attention[(first as usize + row) * n_hops + k] = logits[k] / sum;
        }
    }
}

/// `pooled_i = sum_k a_ik e_ik`: one unit per element.
#[cube(launch_unchecked)]
fn pool_kernel(
    attention: &Array<f32>,
    stack: &Array<f32>,
    pooled: &mut Array<f32>,
    first: u32,
    n: u32,
    dim: u32,
    #[comptime] n_hops: usize,
) {
    let at = ABSOLUTE_POS;
    let dim = dim as usize;
    let cells = n as usize * dim;
    if at < cells {
        let row = first as usize + at / dim;
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            sum += attention[row * n_hops + k] * stack[k * cells + at];
        }
        pooled[first as usize * dim + at] = sum;
    }
}

/// `zeta_ik = a_ik (<g_i, e_ik> - m_i) / T`, and that times the slope of the bound: 16 units per row.
#[cube(launch_unchecked)]
fn slopes_kernel(
    attention: &Array<f32>,
    stack: &Array<f32>,
    g: &Array<f32>,
    scores: &Array<f32>,
    slopes: &mut Array<f32>,
    through: &mut Array<f32>,
    first: u32,
    n: u32,
    dim: u32,
    bound: f32,
    temperature: f32,
    #[comptime] n_hops: usize,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let (n, dim, first) = (n as usize, dim as usize, first as usize);
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let mut dots = Array::<f32>::new(n_hops);
    let mut mean = f32::new(0.0);
    #[unroll]
    for k in 0..n_hops {
        let mut sum = f32::new(0.0);
        if row < n {
            let mut column = lane;
            while column < dim {
                sum += g[(first + row) * dim + column] * stack[(k * n + row) * dim + column];
                column += LANES;
            }
        }
        let dot = lane_sum(&mut shared, sum);
        dots[k] = dot;
        if row < n {
            mean += attention[(first + row) * n_hops + k] * dot;
        }
    }
    if row < n && lane == 0 {
        #[unroll]
        for k in 0..n_hops {
            let slope = attention[(first + row) * n_hops + k] * (dots[k] - mean) / temperature;
            slopes[k * n + row] = slope;
            through[k * n + row] = slope * bounded_slope(scores[k * n + row], bound);
        }
    }
}

/// `out[line] = sum of values[line * n..(line + 1) * n]`: one cube per line.
#[cube(launch_unchecked)]
fn line_sums_kernel(values: &Array<f32>, out: &mut Array<f32>, n: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let n = n as usize;
    let mut sum = f32::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < n {
        sum += values[CUBE_POS * n + at];
        at += UNITS as usize;
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        out[CUBE_POS] = sum;
    }
}

/// `h` becomes `delta = d q (1 - h^2)`; each chunk of rows leaves its sums of `delta` and `d h`, `[chunks, 2 hidden]`.
#[cube(launch_unchecked)]
fn deltas_kernel(
    through: &Array<f32>,
    parameters: &Array<f32>,
    hidden: &mut Array<f32>,
    partials: &mut Array<f32>,
    query_at: u32,
    width: u32,
    blocks: u32,
) {
    let mut biases = SharedMemory::<f32>::new(UNITS as usize);
    let mut queries = SharedMemory::<f32>::new(UNITS as usize);
    let (width, blocks) = (width as usize, blocks as usize);
    let unit = UNIT_POS as usize;
    let chunk = CUBE_POS / blocks;
    let column = CUBE_POS % blocks * COLUMNS + unit % COLUMNS;
    let slot = unit / COLUMNS;
    let mut d_bias = f32::new(0.0);
    let mut d_query = f32::new(0.0);
    if column < width {
        let query = parameters[query_at as usize + column];
        let mut row = chunk * CHUNK + slot;
        let end = usize::min((chunk + 1) * CHUNK, through.len());
        while row < end {
            let h = hidden[row * width + column];
            let d = through[row];
            let delta = d * query * (f32::new(1.0) - h * h);
            hidden[row * width + column] = delta;
            d_bias += delta;
            d_query += d * h;
            row += SLOTS;
        }
    }
    biases[unit] = d_bias;
    queries[unit] = d_query;
    sync_cube();
    if unit < COLUMNS && column < width && chunk * CHUNK < through.len() {
        let mut bias = f32::new(0.0);
        let mut query = f32::new(0.0);
        #[unroll]
        for part in 0..SLOTS {
            bias += biases[part * COLUMNS + unit];
            query += queries[part * COLUMNS + unit];
        }
        partials[chunk * 2 * width + column] = bias;
        partials[(chunk * 2 + 1) * width + column] = query;
    }
}

/// `direct_ik = a_ik g_i + W^T delta_ik` for one layer: one unit per element.
#[cube(launch_unchecked)]
fn direct_kernel(
    attention: &Array<f32>,
    g: &Array<f32>,
    back: &Array<f32>,
    direct: &mut Array<f32>,
    first: u32,
    n: u32,
    dim: u32,
    layer: u32,
    #[comptime] n_hops: usize,
) {
    let at = ABSOLUTE_POS;
    let dim = dim as usize;
    let cells = n as usize * dim;
    if at < cells {
        let row = first as usize + at / dim;
        let place = first as usize * dim + at;
        direct[place] = attention[row * n_hops + layer as usize] * g[place] + back[layer as usize * cells + at];
    }
}

/// `l_dot_k = theta_dot_k + slope(s_k) s_dot_k` with `s_dot = q_dot . h + q . ((1 - h^2)(u_dot + b_dot))`: 16 units per stacked row.
#[cube(launch_unchecked)]
fn score_dots_kernel(
    hidden: &Array<f32>,
    hidden_dot: &Array<f32>,
    hidden_moved: &Array<f32>,
    parameters: &Array<f32>,
    moved: &Array<f32>,
    scores: &Array<f32>,
    out: &mut Array<f32>,
    bias_at: u32,
    query_at: u32,
    width: u32,
    n: u32,
    bound: f32,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let width = width as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let mut sum = f32::new(0.0);
    if row < out.len() {
        let mut column = lane;
        while column < width {
            let h = hidden[row * width + column];
            let u = hidden_dot[row * width + column]
                + hidden_moved[row * width + column]
                + moved[bias_at as usize + column];
            sum += moved[query_at as usize + column] * h
                + parameters[query_at as usize + column] * (f32::new(1.0) - h * h) * u;
            column += LANES;
        }
    }
    let sum = lane_sum(&mut shared, sum);
    if row < out.len() && lane == 0 {
        out[row] = moved[row / n as usize] + bounded_slope(scores[row], bound) * sum;
    }
}

/// `pooled_dot_i = sum_k a_dot_ik e_ik + a_ik e_dot_ik`: one unit per element.
#[cube(launch_unchecked)]
fn pool_dot_kernel(
    scores: &Array<f32>,
    slopes: &Array<f32>,
    parameters: &Array<f32>,
    stack: &Array<f32>,
    stack_dot: &Array<f32>,
    d_pooled: &mut Array<f32>,
    first: u32,
    n: u32,
    dim: u32,
    bound: f32,
    temperature: f32,
    #[comptime] n_hops: usize,
) {
    let at = ABSOLUTE_POS;
    let (n, dim) = (n as usize, dim as usize);
    if at < n * dim {
        let row = at / dim;
        let mut weights = Array::<f32>::new(n_hops);
        let mut largest = f32::new(-3.0e38);
        #[unroll]
        for k in 0..n_hops {
            let logit = (parameters[k] + bounded(scores[k * n + row], bound)) / temperature;
            weights[k] = logit;
            largest = f32::max(largest, logit);
        }
        let mut total = f32::new(0.0);
        let mut mean = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            let weight = f32::exp(weights[k] - largest);
            weights[k] = weight;
            total += weight;
            mean += weight * slopes[k * n + row];
        }
        mean /= total;
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            let weight = weights[k] / total;
            let weight_dot = weight * (slopes[k * n + row] - mean) / temperature;
            sum += weight_dot * stack[k * n * dim + at] + weight * stack_dot[k * n * dim + at];
        }
        d_pooled[first as usize * dim + at] = sum;
    }
}

/// The rows of `range` of every layer, one layer after the other.
fn stack_rows(gpu: &Gpu, dim: usize, hops: &[Buffer<f32>], range: &Range<usize>, stack: &mut Buffer<f32>) {
    let cells = range.len() * dim;
    stack.resize_on(gpu, hops.len() * cells);
    for (k, hop) in hops.iter().enumerate() {
        copy(gpu, hop, range.start * dim, stack, k * cells, cells);
    }
}

/// Stacks the rows, and works out `hidden` and `scores` of them.
fn score(
    gpu: &Gpu,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: &Range<usize>,
    scratch: &mut Scratch,
) {
    let Scratch { stack, hidden, scores, .. } = scratch;
    let (dim, rows) = (shape.dim, hops.len() * range.len());
    stack_rows(gpu, dim, hops, range, stack);
    let weight = (parameters, Lying::rows(shape.weight().start, dim));
    let bias = Some((parameters, shape.bias().start));
    product(gpu, (rows, shape.hidden, dim), (stack, Lying::rows(0, dim)), weight, bias, hidden);
    scores.resize_on(gpu, rows);
    // SAFETY: the kernel stays below the number of scores, one for each row of `hidden`; the query is inside the parameters.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(rows),
            score_kernel,
            hidden.argument(),
            parameters.argument(),
            scores.argument(),
            shape.query().start as u32,
            shape.hidden as u32
        );
    }
}

pub(super) fn forward(
    gpu: &Gpu,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    pooled: &mut Buffer<f32>,
    attention: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let (n, first, n_hops, dim) = (range.len(), range.start as u32, hops.len(), shape.dim);
    if n == 0 || dim == 0 {
        return;
    }
    debug_assert!(n_hops <= MAX_HOPS);
    score(gpu, shape, parameters, hops, &range, scratch);
    // SAFETY: the kernels stay below the rows of the range, which `additive_forward` checked to be inside `pooled` and `attention`; scores and stack have
    // one row for each layer and row of the range.
    unsafe {
        launch!(
            gpu,
            cubes_for(n),
            attend_kernel,
            scratch.scores.argument(),
            parameters.argument(),
            attention.argument(),
            first,
            n as u32,
            shape.bound,
            shape.temperature,
            n_hops
        );
        launch!(
            gpu,
            cubes_for(n * dim),
            pool_kernel,
            attention.argument(),
            scratch.stack.argument(),
            pooled.argument(),
            first,
            n as u32,
            dim as u32,
            n_hops
        );
    }
}

pub(super) fn backward(
    gpu: &Gpu,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    (attention, g): (&Buffer<f32>, &Buffer<f32>),
    direct: &mut [Buffer<f32>],
    d_parameters: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let (n, first, n_hops, dim) = (range.len(), range.start as u32, hops.len(), shape.dim);
    if n == 0 || dim == 0 {
        // Nothing came, so nothing goes back: an empty sum for every parameter.
        sum_partials(gpu, parameters, d_parameters.len(), 0, d_parameters, 0);
        return;
    }
    score(gpu, shape, parameters, hops, &range, scratch);
    let (rows, width) = (n_hops * n, shape.hidden);
    let Scratch { stack, hidden, scores, slopes, through, partials, back, .. } = scratch;
    slopes.resize_on(gpu, rows);
    through.resize_on(gpu, rows);
    let (chunks, blocks) = (rows.div_ceil(CHUNK), width.div_ceil(COLUMNS));
    partials.resize_on(gpu, chunks * 2 * width);
    // SAFETY: the kernels stay below the rows of the range, or below its rows in all layers, which is the length of `scores`, `slopes` and `through`
    // and the number of rows of `stack` and `hidden`; `partials` has room for every chunk; theta is the first n_hops of the parameters.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(n),
            slopes_kernel,
            attention.argument(),
            stack.argument(),
            g.argument(),
            scores.argument(),
            slopes.argument(),
            through.argument(),
            first,
            n as u32,
            dim as u32,
            shape.bound,
            shape.temperature,
            n_hops
        );
        launch!(gpu, n_hops, line_sums_kernel, slopes.argument(), d_parameters.argument(), n as u32);
        launch!(
            gpu,
            chunks * blocks,
            deltas_kernel,
            through.argument(),
            parameters.argument(),
            hidden.argument(),
            partials.argument(),
            shape.query().start as u32,
            width as u32,
            blocks as u32
        );
    }
    // The gradients of the bias and of the query follow each other, as the two do.
    sum_partials(gpu, partials, 2 * width, chunks, d_parameters, shape.bias().start);
    let (deltas, rows_of) = ((&*hidden, Lying::columns(0, width)), (&*stack, Lying::columns(0, dim)));
    deep_product(gpu, (width, dim, rows), deltas, rows_of, partials, (d_parameters, shape.weight().start));
    let weight = (parameters, Lying::columns(shape.weight().start, dim));
    product(gpu, (rows, dim, width), (hidden, Lying::rows(0, width)), weight, None, back);
    for (layer, direct) in direct.iter_mut().enumerate() {
        // SAFETY: the kernel stays below the elements of the range, which `additive_backward` checked to be inside `g` and `direct`.
        unsafe {
            launch!(
                gpu,
                cubes_for(n * dim),
                direct_kernel,
                attention.argument(),
                g.argument(),
                back.argument(),
                direct.argument(),
                first,
                n as u32,
                dim as u32,
                layer as u32,
                n_hops
            );
        }
    }
}

pub(super) fn tangent(
    gpu: &Gpu,
    shape: &AdditiveShape,
    parameters: &Buffer<f32>,
    (hops, d_hops): (&[Buffer<f32>], &[Buffer<f32>]),
    range: Range<usize>,
    moved: &Buffer<f32>,
    d_pooled: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let (n, n_hops, dim, width) = (range.len(), hops.len(), shape.dim, shape.hidden);
    if n == 0 || dim == 0 {
        return;
    }
    score(gpu, shape, parameters, hops, &range, scratch);
    let Scratch { stack, stack_dot, hidden, hidden_dot, hidden_moved, scores, slopes, .. } = scratch;
    stack_rows(gpu, dim, d_hops, &range, stack_dot);
    let (rows, lies) = (n_hops * n, Lying::rows(shape.weight().start, dim));
    product(gpu, (rows, width, dim), (stack_dot, Lying::rows(0, dim)), (parameters, lies), None, hidden_dot);
    product(gpu, (rows, width, dim), (stack, Lying::rows(0, dim)), (moved, lies), None, hidden_moved);
    slopes.resize_on(gpu, rows);
    // SAFETY: the kernels stay below the stacked rows, or below the elements of the range, which `additive_tangent` checked to be inside `d_pooled`;
    // both parameter arrays have the length of the shape.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(rows),
            score_dots_kernel,
            hidden.argument(),
            hidden_dot.argument(),
            hidden_moved.argument(),
            parameters.argument(),
            moved.argument(),
            scores.argument(),
            slopes.argument(),
            shape.bias().start as u32,
            shape.query().start as u32,
            width as u32,
            n as u32,
            shape.bound
        );
        launch!(
            gpu,
            cubes_for(n * dim),
            pool_dot_kernel,
            scores.argument(),
            slopes.argument(),
            parameters.argument(),
            stack.argument(),
            stack_dot.argument(),
            d_pooled.argument(),
            range.start as u32,
            n as u32,
            dim as u32,
            shape.bound,
            shape.temperature,
            n_hops
        );
    }
}
