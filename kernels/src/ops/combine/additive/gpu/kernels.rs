//! The kernels of additive attention.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::{CHUNK, COLUMNS, SLOTS};
use crate::gpu::UNITS;
use crate::gpu::cubes::{LANES, ROWS, lane_dot, lane_sum};
use crate::ops::combine::gpu::{bounded_slope, layer_weights};

/// `out[r] = <q, x[r]>`.
#[cube(launch_unchecked)]
pub(super) fn score_kernel(x: &Array<f32>, parameters: &Array<f32>, out: &mut Array<f32>, query_at: u32, hidden: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let width = hidden as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let sum = lane_dot(&mut shared, parameters, query_at as usize, x, row * width, width, row < out.len());
    if row < out.len() && lane == 0 {
        out[row] = sum;
    }
}

/// Scores of a row's layers to weights: one unit per row.
#[cube(launch_unchecked)]
pub(super) fn attend_kernel(
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
        let mut weights = Array::<f32>::new(n_hops);
        layer_weights(scores, parameters, &mut weights, row, n, bound, temperature, n_hops);
        #[unroll]
        for k in 0..n_hops {
            attention[(first as usize + row) * n_hops + k] = weights[k];
        }
    }
}

/// `zeta_ik = a_ik (<g_i, e_ik> - m_i) / T`, and that times the slope of the bound: 16 units per
/// row.
#[cube(launch_unchecked)]
pub(super) fn slopes_kernel(
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
        let dot = lane_dot(&mut shared, g, (first + row) * dim, stack, (k * n + row) * dim, dim, row < n);
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

/// `h` becomes `delta = d q (1 - h^2)`; each chunk of rows leaves its sums of `delta` and `d h`,
/// `[chunks, 2 hidden]`.
#[cube(launch_unchecked)]
pub(super) fn deltas_kernel(
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
pub(super) fn direct_kernel(
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

/// `l_dot_k = theta_dot_k + slope(s_k) s_dot_k` with
/// `s_dot = q_dot . h + q . ((1 - h^2)(u_dot + b_dot))`: 16 units per stacked row.
#[cube(launch_unchecked)]
pub(super) fn score_dots_kernel(
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
pub(super) fn pool_dot_kernel(
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
        layer_weights(scores, parameters, &mut weights, row, n, bound, temperature, n_hops);
        let mut mean = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            mean += weights[k] * slopes[k * n + row];
        }
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            let weight_dot = weights[k] * (slopes[k * n + row] - mean) / temperature;
            sum += weight_dot * stack[k * n * dim + at] + weights[k] * stack_dot[k * n * dim + at];
        }
        d_pooled[first as usize * dim + at] = sum;
    }
}
