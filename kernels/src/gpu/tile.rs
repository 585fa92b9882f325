//! Products of matrices in tiles of 64 by 64: each unit of a cube owns 4 by 4 numbers, and both
//! factors pass through shared memory 16 deep.
//!
//! A number is one sum over the depth in ascending order (of its part of the depth, where a long
//! one is split), whatever the device.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::cubes::{sum_partials_kernel, tanh};
use super::{Gpu, cubes_for, launch};
use crate::Buffer;

/// Rows and columns of a tile.
pub(crate) const TILE: usize = 64;
/// Depth that is in shared memory at once.
pub(crate) const DEPTH: usize = 16;
/// Rows and columns of a unit.
pub(crate) const MICRO: usize = 4;
/// Distance of depths in shared memory: one more than the tile, so that neighbours fall into
/// different banks.
pub(crate) const PITCH: usize = TILE + 1;
/// Elements of one factor in shared memory.
pub(crate) const FACTOR: usize = DEPTH * PITCH;
/// Depth that one cube sums where the depth is split.
const SPLIT: usize = 1024;

/// Brings 64 rows of a factor, 16 deep, to shared memory; what lies outside is 0. Row `r` at depth
/// `k` lies at `at + r * row + k * deep`.
#[cube]
pub(crate) fn load_factor(
    from: &Array<f32>,
    to: &mut SharedMemory<f32>,
    at: u32,
    row: u32,
    deep: u32,
    first_row: u32,
    n_rows: u32,
    first_depth: u32,
    end_depth: u32,
    #[comptime] along_depth: bool,
) {
    let unit = UNIT_POS;
    #[unroll]
    for part in 0..4u32 {
        // Neighbouring units read neighbouring numbers.
        let mut r = unit % 64;
        let mut k = unit / 64 + part * 4;
        if comptime!(along_depth) {
            r = unit / 16 + part * 16;
            k = unit % 16;
        }
        let mut value = f32::new(0.0);
        if first_row + r < n_rows && first_depth + k < end_depth {
            value = from[(at + (first_row + r) * row + (first_depth + k) * deep) as usize];
        }
        to[k as usize * PITCH + r as usize] = value;
    }
}

/// Adds the products of what is in shared memory to the unit's numbers.
#[cube]
pub(crate) fn add_products(left: &SharedMemory<f32>, right: &SharedMemory<f32>, sums: &mut Array<f32>) {
    let row = UNIT_POS as usize / 16 * MICRO;
    let column = UNIT_POS as usize % 16 * MICRO;
    for k in 0..DEPTH {
        #[unroll]
        for i in 0..MICRO {
            let a = left[k * PITCH + row + i];
            #[unroll]
            for j in 0..MICRO {
                sums[i * MICRO + j] += a * right[k * PITCH + column + j];
            }
        }
    }
}

/// Products of 64 rows of `a` and 64 rows of `b`, four by four in each unit's `sums`.
#[cube]
pub(crate) fn score_tile(
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

/// How a factor lies in memory: row `r` at depth `k` is element `at + r * row + k * deep`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lying {
    pub(crate) at: usize,
    pub(crate) row: usize,
    pub(crate) deep: usize,
}

impl Lying {
    /// Rows of `width` numbers, which are the depth.
    pub(crate) fn rows(at: usize, width: usize) -> Lying {
        Lying { at, row: width, deep: 1 }
    }

    /// Rows of `width` numbers, which are the rows of the factor.
    pub(crate) fn columns(at: usize, width: usize) -> Lying {
        Lying { at, row: 1, deep: width }
    }

    fn last(self, n_rows: usize, depth: usize) -> usize {
        self.at + (n_rows - 1) * self.row + (depth - 1) * self.deep
    }
}

#[cube(launch_unchecked)]
fn product_kernel(
    a: &Array<f32>,
    b: &Array<f32>,
    bias: &Array<f32>,
    c: &mut Array<f32>,
    n_rows: u32,
    n_columns: u32,
    depth: u32,
    a_at: u32,
    a_row: u32,
    a_deep: u32,
    b_at: u32,
    b_row: u32,
    b_deep: u32,
    bias_at: u32,
    split: u32,
    n_cubes: u32,
    #[comptime] a_along_depth: bool,
    #[comptime] b_along_depth: bool,
    #[comptime] activate: bool,
) {
    if CUBE_POS < n_cubes as usize {
        let cube = CUBE_POS as u32;
        let tiles_right = n_columns.div_ceil(64);
        let tiles_down = n_rows.div_ceil(64);
        let first_column = cube % tiles_right * 64;
        let first_row = cube / tiles_right % tiles_down * 64;
        let part = cube / (tiles_right * tiles_down);
        let mut left = SharedMemory::<f32>::new(FACTOR);
        let mut right = SharedMemory::<f32>::new(FACTOR);
        let mut sums = Array::<f32>::new(MICRO * MICRO);
        #[unroll]
        for i in 0..MICRO * MICRO {
            sums[i] = f32::new(0.0);
        }
        let end = u32::min(depth, (part + 1) * split);
        let mut k = part * split;
        while k < end {
            load_factor(a, &mut left, a_at, a_row, a_deep, first_row, n_rows, k, end, a_along_depth);
            load_factor(b, &mut right, b_at, b_row, b_deep, first_column, n_columns, k, end, b_along_depth);
            sync_cube();
            add_products(&left, &right, &mut sums);
            sync_cube();
            k += 16;
        }
        let row = first_row + UNIT_POS / 16 * 4;
        let column = first_column + UNIT_POS % 16 * 4;
        #[unroll]
        for i in 0..MICRO {
            #[unroll]
            for j in 0..MICRO {
                let r = row + i as u32;
                let q = column + j as u32;
                if r < n_rows && q < n_columns {
                    let mut value = sums[i * MICRO + j];
                    if comptime!(activate) {
                        value = tanh(value + bias[(bias_at + q) as usize]);
                    }
                    c[((part * n_rows + r) * n_columns + q) as usize] = value;
                }
            }
        }
    }
}

/// `c = A B^T`, both factors by rows of depth: `c[r, q] = sum over k of a[r, k] * b[q, k]`, or
/// `tanh` of that plus `bias[at + q]`.
///
/// `c` is made `[n_rows, n_columns]`.
pub(crate) fn product(
    gpu: &Gpu,
    (n_rows, n_columns, depth): (usize, usize, usize),
    (a, a_lies): (&Buffer<f32>, Lying),
    (b, b_lies): (&Buffer<f32>, Lying),
    bias: Option<(&Buffer<f32>, usize)>,
    c: &mut Buffer<f32>,
) {
    c.resize_on(gpu, n_rows * n_columns);
    parts(gpu, (n_rows, n_columns, depth), (a, a_lies), (b, b_lies), bias, depth.max(1), c);
}

/// As [`product`], for a long depth and few numbers: parts of the depth go to cubes of their own,
/// and `to[at..]` gets their sum.
pub(crate) fn deep_product(
    gpu: &Gpu,
    (n_rows, n_columns, depth): (usize, usize, usize),
    (a, a_lies): (&Buffer<f32>, Lying),
    (b, b_lies): (&Buffer<f32>, Lying),
    partials: &mut Buffer<f32>,
    (to, at): (&mut Buffer<f32>, usize),
) {
    let n_parts = depth.div_ceil(SPLIT).max(1);
    partials.resize_on(gpu, n_parts * n_rows * n_columns);
    parts(gpu, (n_rows, n_columns, depth), (a, a_lies), (b, b_lies), None, SPLIT, partials);
    sum_partials(gpu, partials, n_rows * n_columns, n_parts, to, at);
}

fn parts(
    gpu: &Gpu,
    (n_rows, n_columns, depth): (usize, usize, usize),
    (a, a_lies): (&Buffer<f32>, Lying),
    (b, b_lies): (&Buffer<f32>, Lying),
    bias: Option<(&Buffer<f32>, usize)>,
    split: usize,
    c: &Buffer<f32>,
) {
    if n_rows == 0 || n_columns == 0 || depth == 0 {
        return;
    }
    assert!(a_lies.last(n_rows, depth) < a.len() && b_lies.last(n_columns, depth) < b.len());
    let n_parts = depth.div_ceil(split);
    assert!(c.len() == n_parts * n_rows * n_columns);
    let n_cubes = n_columns.div_ceil(TILE) * n_rows.div_ceil(TILE) * n_parts;
    let (activate, (bias, bias_at)) = (bias.is_some(), bias.unwrap_or((a, 0)));
    assert!(!activate || bias_at + n_columns <= bias.len());
    // SAFETY: factors are read where a row and a depth are inside, up to the last element just
    // asserted; the bias likewise; `c` is written for rows, columns and parts inside, which are all
    // that it holds.
    unsafe {
        launch!(
            gpu,
            n_cubes,
            product_kernel,
            a.argument(),
            b.argument(),
            bias.argument(),
            c.argument(),
            n_rows as u32,
            n_columns as u32,
            depth as u32,
            a_lies.at as u32,
            a_lies.row as u32,
            a_lies.deep as u32,
            b_lies.at as u32,
            b_lies.row as u32,
            b_lies.deep as u32,
            bias_at as u32,
            split as u32,
            n_cubes as u32,
            a_lies.deep == 1,
            b_lies.deep == 1,
            activate
        );
    }
}

/// Adds partial results in their order: `to[at + i] = sum over p of partials[p * width + i]`.
pub(crate) fn sum_partials(
    gpu: &Gpu,
    partials: &Buffer<f32>,
    width: usize,
    n_partials: usize,
    to: &mut Buffer<f32>,
    at: usize,
) {
    assert!(partials.len() >= width * n_partials && to.len() >= at + width);
    // SAFETY: the kernel stays below `width`, for which both lengths were just asserted.
    unsafe {
        launch!(
            gpu,
            cubes_for(width),
            sum_partials_kernel,
            partials.argument(),
            to.argument(),
            at as u32,
            width as u32,
            n_partials as u32
        );
    }
}
