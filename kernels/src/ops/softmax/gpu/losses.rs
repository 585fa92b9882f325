//! Kernels of the losses and their motion: log-sum-exps of tiles of scores, and what an example
//! makes of them.

#![allow(clippy::manual_is_multiple_of, reason = "kernels have no such method")]

use cubecl::prelude::*;

use super::LOWEST;
use crate::gpu::UNITS;
use crate::gpu::cubes::{LANES, ROWS, lane_sum};
use crate::gpu::tile::{FACTOR, MICRO, score_tile};

/// Largest scores and sums of exponentials of 64 queries over a group of candidates; with a motion,
/// also the exponentials' mean motion.
#[cube(launch_unchecked)]
pub(super) fn forward_kernel(
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

/// Joins the groups of a query: its log-sum-exp, or (moving) the mean motion of its scores. One
/// unit per query.
#[cube(launch_unchecked)]
pub(super) fn join_kernel(
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
pub(super) fn query_of(list_ptr: &Array<u32>, example: u32) -> usize {
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
pub(super) fn examples_kernel(
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
