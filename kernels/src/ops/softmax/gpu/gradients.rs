//! Kernels of the gradients: what every candidate gets, tile by tile, and what positives get beside
//! it.

use cubecl::prelude::*;

use super::losses::query_of;
use crate::gpu::UNITS;
use crate::gpu::cubes::{LANES, ROWS};
use crate::gpu::tile::{DEPTH, FACTOR, MICRO, PITCH, TILE, load_factor, score_tile};

/// The sum of each query's example weights: one unit per query.
#[cube(launch_unchecked)]
pub(super) fn totals_kernel(list_ptr: &Array<u32>, weights: &Array<f32>, totals: &mut Array<f32>) {
    let query = ABSOLUTE_POS;
    if query < totals.len() {
        let mut sum = f32::new(0.0);
        for example in list_ptr[query]..list_ptr[query + 1] {
            sum += weights[example as usize];
        }
        totals[query] = sum;
    }
}

/// `t2 W_q p_qj / tau`, the part of the scores' gradient that every candidate has, times the other
/// side's rows.
///
/// A cube owns 64 rows of one side (`own`), 64 of its columns, and a part of the other side's
/// tiles; scores are worked out again for each tile.
#[cube(launch_unchecked)]
pub(super) fn dense_kernel(
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
                // Columns of the other side's rows are the rows of the right factor, and those rows
                // its depth.
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
pub(super) fn query_positives_kernel(
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

/// Takes off `d_c` what positives get: a cube looks through all examples for those of its 16
/// candidates, in their order.
#[cube(launch_unchecked)]
pub(super) fn candidate_positives_kernel(
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
