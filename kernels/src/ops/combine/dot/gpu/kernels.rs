//! The kernels of dot attention. A row's pairs of layers lie one after the other,
//! `[K + 1, K + 1, n]`: the line first, then what it looks at.

use cubecl::prelude::*;

use crate::gpu::UNITS;
use crate::gpu::cubes::{LANES, ROWS, lane_dot};
use crate::ops::combine::gpu::{bounded_slope, clear, layer_weights};

/// `out[(r * n_b + j) * n + row] = scale * <a[r, row], b[j, row]>`: 16 units per number.
#[cube(launch_unchecked)]
pub(super) fn cross_dots_kernel(
    a: &Array<f32>,
    b: &Array<f32>,
    out: &mut Array<f32>,
    n: u32,
    width: u32,
    n_b: u32,
    scale: f32,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let (n, width, n_b) = (n as usize, width as usize, n_b as usize);
    let cell = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let (row, pair) = (cell % n, cell / n);
    let (left, right) = ((pair / n_b * n + row) * width, (pair % n_b * n + row) * width);
    let sum = lane_dot(&mut shared, a, left, b, right, width, cell < out.len());
    if cell < out.len() && lane == 0 {
        out[cell] = sum * scale;
    }
}

/// Scores to the softmax of every line, and to the mean weights of row `first + row`: one unit per
/// row. `share` is `1 / (K + 1)`.
#[cube(launch_unchecked)]
pub(super) fn attend_kernel(
    scores: &Array<f32>,
    parameters: &Array<f32>,
    softmax: &mut Array<f32>,
    means: &mut Array<f32>,
    first: u32,
    n: u32,
    bound: f32,
    share: f32,
    #[comptime] n_hops: usize,
) {
    let row = ABSOLUTE_POS;
    let n = n as usize;
    if row < n {
        let mut line = Array::<f32>::new(n_hops);
        let mut totals = Array::<f32>::new(n_hops);
        clear(&mut totals, n_hops);
        for r in 0..n_hops {
            let at = r * n_hops * n + row;
            layer_weights(scores, parameters, &mut line, at, n, bound, f32::new(1.0), n_hops);
            #[unroll]
            for j in 0..n_hops {
                softmax[at + j * n] = line[j];
                totals[j] += line[j];
            }
        }
        #[unroll]
        for j in 0..n_hops {
            means[(first as usize + row) * n_hops + j] = totals[j] * share;
        }
    }
}

/// `d l_rj = P_rj (v_j - sum_i P_ri v_i) / (K + 1)`: its sum over the lines for theta, and, with
/// the slope of the bound and the scale, the gradient of the products of queries and keys. One unit
/// per row.
#[cube(launch_unchecked)]
pub(super) fn slopes_kernel(
    scores: &Array<f32>,
    softmax: &Array<f32>,
    values: &Array<f32>,
    slopes: &mut Array<f32>,
    through: &mut Array<f32>,
    n: u32,
    bound: f32,
    share: f32,
    scale: f32,
    #[comptime] n_hops: usize,
) {
    let row = ABSOLUTE_POS;
    let n = n as usize;
    if row < n {
        let mut totals = Array::<f32>::new(n_hops);
        clear(&mut totals, n_hops);
        for r in 0..n_hops {
            let at = r * n_hops * n + row;
            let mut mean = f32::new(0.0);
            #[unroll]
            for j in 0..n_hops {
                mean += softmax[at + j * n] * values[j * n + row];
            }
            #[unroll]
            for j in 0..n_hops {
                let cell = at + j * n;
                let d = softmax[cell] * (values[j * n + row] - mean) * share;
                totals[j] += d;
                slopes[cell] = d * bounded_slope(scores[cell], bound) * scale;
            }
        }
        #[unroll]
        for j in 0..n_hops {
            through[j * n + row] = totals[j];
        }
    }
}

/// `out_r = sum_j slopes_rj x_j`, or (across) `sum_j slopes_jr x_j`: one unit per element.
#[cube(launch_unchecked)]
pub(super) fn mix_kernel(
    slopes: &Array<f32>,
    x: &Array<f32>,
    out: &mut Array<f32>,
    n: u32,
    width: u32,
    #[comptime] n_hops: usize,
    #[comptime] across: bool,
) {
    let at = ABSOLUTE_POS;
    let (n, width) = (n as usize, width as usize);
    if at < out.len() {
        let stacked = at / width;
        let column = at % width;
        let row = stacked % n;
        let r = stacked / n;
        let mut sum = f32::new(0.0);
        #[unroll]
        for j in 0..n_hops {
            let mut cell = r * n_hops + j;
            if comptime!(across) {
                cell = j * n_hops + r;
            }
            sum += slopes[cell * n + row] * x[(j * n + row) * width + column];
        }
        out[at] = sum;
    }
}

/// `direct_j = a_j y + d Q_j W_q^T + d H_j W_k^T` for one layer: one unit per element.
#[cube(launch_unchecked)]
pub(super) fn direct_kernel(
    means: &Array<f32>,
    y: &Array<f32>,
    by_query: &Array<f32>,
    by_key: &Array<f32>,
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
        let stacked = layer as usize * cells + at;
        let a = means[at / dim * n_hops + layer as usize];
        direct[first as usize * dim + at] = a * y[at] + by_query[stacked] + by_key[stacked];
    }
}

/// The motion of the mean weights: `l_dot_rj = theta_dot_j + slope(s_rj) s_dot_rj`,
/// `P_dot = P (l_dot - its mean under P)`, `a_dot = P_dot^T 1 / (K + 1)`. One unit per row; `s_dot`
/// comes in two parts.
#[cube(launch_unchecked)]
pub(super) fn means_dot_kernel(
    scores: &Array<f32>,
    softmax: &Array<f32>,
    by_query: &Array<f32>,
    by_key: &Array<f32>,
    moved: &Array<f32>,
    means_dot: &mut Array<f32>,
    n: u32,
    bound: f32,
    share: f32,
    #[comptime] n_hops: usize,
) {
    let row = ABSOLUTE_POS;
    let n = n as usize;
    if row < n {
        let mut line = Array::<f32>::new(n_hops);
        let mut totals = Array::<f32>::new(n_hops);
        clear(&mut totals, n_hops);
        for r in 0..n_hops {
            let at = r * n_hops * n + row;
            let mut mean = f32::new(0.0);
            #[unroll]
            for j in 0..n_hops {
                let cell = at + j * n;
                let logit_dot = moved[j] + bounded_slope(scores[cell], bound) * (by_query[cell] + by_key[cell]);
                line[j] = logit_dot;
                mean += softmax[cell] * logit_dot;
            }
            #[unroll]
            for j in 0..n_hops {
                totals[j] += softmax[at + j * n] * (line[j] - mean);
            }
        }
        #[unroll]
        for j in 0..n_hops {
            means_dot[row * n_hops + j] = totals[j] * share;
        }
    }
}
