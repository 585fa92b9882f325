//! Dot products of pairs of rows on a GPU: 16 units per pair.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_sum};
use crate::gpu::{Gpu, UNITS, launch};

#[cube(launch_unchecked)]
fn dots_kernel(
    x: &Array<f32>,
    y: &Array<f32>,
    left: &Array<u32>,
    right: &Array<u32>,
    out: &mut Array<f32>,
    dim: u32,
    #[comptime] both: bool,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let dim = dim as usize;
    let pair = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let mut sum = f32::new(0.0);
    if pair < out.len() {
        let l = left[pair] as usize * dim;
        let r = right[pair] as usize * dim;
        let mut column = lane;
        while column < dim {
            sum += x[l + column] * y[r + column];
            if comptime!(both) {
                sum += y[l + column] * x[r + column];
            }
            column += LANES;
        }
    }
    let sum = lane_sum(&mut shared, sum);
    if pair < out.len() && lane == 0 {
        out[pair] = sum;
    }
}

/// `out = <x[left], x[right]>`, or with a motion
/// `<x[left], x_dot[right]> + <x_dot[left], x[right]>`.
pub(super) fn dots(
    gpu: &Gpu,
    dim: usize,
    x: &Buffer<f32>,
    x_dot: Option<&Buffer<f32>>,
    (left, right): (&Buffer<u32>, &Buffer<u32>),
    out: &mut Buffer<f32>,
) {
    let (y, both) = (x_dot.unwrap_or(x), x_dot.is_some());
    // SAFETY: the kernel stays below the number of pairs, and the callers checked that every index
    // is a row of `x` and of `y`.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(out.len()),
            dots_kernel,
            x.argument(),
            y.argument(),
            left.argument(),
            right.argument(),
            out.argument(),
            dim as u32,
            both
        );
    }
}
