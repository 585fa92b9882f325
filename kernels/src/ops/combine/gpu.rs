//! What the attentive combinations share on a GPU: the rows of all layers stacked, weights from
//! scores, and pooling.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::layers::Layers;
use crate::Buffer;
use crate::gpu::cubes::{cube_sum, tanh};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};
use crate::ops::copy_rows::gpu::copy;

/// Sets numbers that a unit owns to zero.
#[cube]
pub(super) fn clear(values: &mut Array<f32>, #[comptime] n: usize) {
    #[unroll]
    for at in 0..n {
        values[at] = f32::new(0.0);
    }
}

/// `bound * tanh(s / bound)`, or `s` without a bound.
#[cube]
pub(super) fn bounded(s: f32, bound: f32) -> f32 {
    let mut value = s;
    if bound > f32::new(0.0) {
        value = bound * tanh(s / bound);
    }
    value
}

/// The derivative of [`bounded`].
#[cube]
pub(super) fn bounded_slope(s: f32, bound: f32) -> f32 {
    let mut value = f32::new(1.0);
    if bound > f32::new(0.0) {
        let t = tanh(s / bound);
        value = f32::new(1.0) - t * t;
    }
    value
}

/// `softmax_k((theta_k + bounded(s_k)) / temperature)` of one row, with `theta` first among the
/// parameters and `s_k` at `scores[at + k * n]`.
#[cube]
pub(super) fn layer_weights(
    scores: &Array<f32>,
    parameters: &Array<f32>,
    weights: &mut Array<f32>,
    at: usize,
    n: usize,
    bound: f32,
    temperature: f32,
    #[comptime] n_hops: usize,
) {
    let mut largest = f32::new(-3.0e38);
    #[unroll]
    for k in 0..n_hops {
        let logit = (parameters[k] + bounded(scores[at + k * n], bound)) / temperature;
        weights[k] = logit;
        largest = f32::max(largest, logit);
    }
    let mut sum = f32::new(0.0);
    #[unroll]
    for k in 0..n_hops {
        let weight = f32::exp(weights[k] - largest);
        weights[k] = weight;
        sum += weight;
    }
    #[unroll]
    for k in 0..n_hops {
        weights[k] /= sum;
    }
}

/// `pooled_i = sum_k a_ik e_ik`, or added to what is there: one unit per element. Row 0 of the
/// stack is row `first` of the weights and row `to` of what is written.
#[cube(launch_unchecked)]
fn pool_kernel(
    weights: &Array<f32>,
    stack: &Array<f32>,
    pooled: &mut Array<f32>,
    first: u32,
    to: u32,
    n: u32,
    dim: u32,
    #[comptime] n_hops: usize,
    #[comptime] add: bool,
) {
    let at = ABSOLUTE_POS;
    let dim = dim as usize;
    let cells = n as usize * dim;
    if at < cells {
        let row = first as usize + at / dim;
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            sum += weights[row * n_hops + k] * stack[k * cells + at];
        }
        let place = to as usize * dim + at;
        if comptime!(add) {
            pooled[place] += sum;
        } else {
            pooled[place] = sum;
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

/// The rows of the range of every layer, one layer after the other.
pub(super) fn stack_rows(gpu: &Gpu, layers: &Layers<'_>, stack: &mut Buffer<f32>) {
    let cells = layers.cells();
    stack.resize_on(gpu, layers.hops.len() * cells.len());
    for (k, hop) in layers.hops.iter().enumerate() {
        copy(gpu, hop, cells.start, stack, k * cells.len(), cells.len());
    }
}

/// Pools `n` stacked rows with the weights of the rows from `first` on, into the rows from `to` on.
pub(super) fn pool(
    gpu: &Gpu,
    (n, dim, n_hops): (usize, usize, usize),
    (weights, first): (&Buffer<f32>, usize),
    stack: &Buffer<f32>,
    (pooled, to): (&mut Buffer<f32>, usize),
    add: bool,
) {
    assert!(weights.len() >= (first + n) * n_hops && stack.len() >= n_hops * n * dim && pooled.len() >= (to + n) * dim);
    // SAFETY: the kernel stays below the elements of `n` rows, for which all three lengths were
    // just asserted.
    unsafe {
        launch!(
            gpu,
            cubes_for(n * dim),
            pool_kernel,
            weights.argument(),
            stack.argument(),
            pooled.argument(),
            first as u32,
            to as u32,
            n as u32,
            dim as u32,
            n_hops,
            add
        );
    }
}

/// `out[line] = sum of values[line * n..(line + 1) * n]` for `n_lines` lines.
pub(super) fn line_sums(gpu: &Gpu, values: &Buffer<f32>, n_lines: usize, n: usize, out: &mut Buffer<f32>) {
    assert!(values.len() >= n_lines * n && out.len() >= n_lines);
    // SAFETY: a cube stays inside its line, and there is a place for each; both lengths were just
    // asserted.
    unsafe {
        launch!(gpu, n_lines, line_sums_kernel, values.argument(), out.argument(), n as u32);
    }
}
