//! Moving blocks of numbers on a GPU: one unit per element that is written.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::copy_kernel;
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::row_set::{NO_SLOT, RowSet};

#[cube(launch_unchecked)]
fn fill_kernel(target: &mut Array<f32>, value: f32, offset: u32, stride: u32, n: u32) {
    let at = ABSOLUTE_POS;
    if at < n as usize {
        target[offset as usize + at * stride as usize] = value;
    }
}

#[cube(launch_unchecked)]
fn place_rows_kernel(slot_of: &Array<u32>, x: &Array<f32>, y: &mut Array<f32>, dim: u32) {
    let at = ABSOLUTE_POS;
    let dim = dim as usize;
    if at < y.len() {
        let slot = slot_of[at / dim];
        let mut value = f32::new(0.0);
        if slot != NO_SLOT {
            value = x[slot as usize * dim + at % dim];
        }
        y[at] = value;
    }
}

/// `to[to_at..to_at + n] = from[from_at..from_at + n]`.
pub(crate) fn copy(gpu: &Gpu, from: &Buffer<f32>, from_at: usize, to: &mut Buffer<f32>, to_at: usize, n: usize) {
    assert!(from_at + n <= from.len() && to_at + n <= to.len());
    // SAFETY: the kernel stays below `n`, for which both ranges were just asserted.
    unsafe {
        launch!(gpu, cubes_for(n), copy_kernel, from.argument(), to.argument(), from_at as u32, to_at as u32, n as u32);
    }
}

pub(super) fn fill_column(
    gpu: &Gpu,
    value: f32,
    offset: usize,
    stride: usize,
    n_rows: usize,
    target: &mut Buffer<f32>,
) {
    // SAFETY: `fill_column` checked that the last of `n_rows` elements, `stride` apart, is inside.
    unsafe {
        launch!(
            gpu,
            cubes_for(n_rows),
            fill_kernel,
            target.argument(),
            value,
            offset as u32,
            stride as u32,
            n_rows as u32
        );
    }
}

pub(super) fn spread_rows(gpu: &Gpu, dim: usize, rows: &RowSet, x: &Buffer<f32>, y: &mut Buffer<f32>) {
    // SAFETY: the kernel stays below the length of `y`, one row per row of the set's table; a slot
    // is a row of `x`, as `RowSet` keeps it.
    unsafe {
        launch!(
            gpu,
            cubes_for(y.len()),
            place_rows_kernel,
            rows.slot_of.argument(),
            x.argument(),
            y.argument(),
            dim as u32
        );
    }
}
