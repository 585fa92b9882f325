//! Rows of length one on a GPU: 16 units per row.

use cubecl::prelude::*;

use super::SHORTEST;
use crate::Buffer;
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_dot};
use crate::gpu::{Gpu, UNITS, launch};

#[cube(launch_unchecked)]
fn forward_kernel(x: &Array<f32>, y: &mut Array<f32>, norms: &mut Array<f32>, dim: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let dim = dim as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row < norms.len();
    let norm = f32::sqrt(lane_dot(&mut shared, x, row * dim, x, row * dim, dim, inside));
    if inside {
        let divisor = f32::max(norm, f32::new(SHORTEST));
        let mut column = lane;
        while column < dim {
            y[row * dim + column] = x[row * dim + column] / divisor;
            column += LANES;
        }
        if lane == 0 {
            norms[row] = norm;
        }
    }
}

#[cube(launch_unchecked)]
fn project_kernel(y: &Array<f32>, norms: &Array<f32>, v: &Array<f32>, out: &mut Array<f32>, dim: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let dim = dim as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row < norms.len();
    let along = lane_dot(&mut shared, y, row * dim, v, row * dim, dim, inside);
    if inside {
        let norm = norms[row];
        let mut inverse = f32::new(0.0);
        if norm >= f32::new(SHORTEST) {
            inverse = f32::new(1.0) / norm;
        }
        let mut column = lane;
        while column < dim {
            out[row * dim + column] = (v[row * dim + column] - along * y[row * dim + column]) * inverse;
            column += LANES;
        }
    }
}

pub(super) fn forward(gpu: &Gpu, dim: usize, x: &Buffer<f32>, y: &mut Buffer<f32>, norms: &mut Buffer<f32>) {
    // SAFETY: the kernel stays below the number of norms, and `x` and `y` have a row for each.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(norms.len()),
            forward_kernel,
            x.argument(),
            y.argument(),
            norms.argument(),
            dim as u32
        );
    }
}

pub(super) fn project(
    gpu: &Gpu,
    dim: usize,
    y: &Buffer<f32>,
    norms: &Buffer<f32>,
    v: &Buffer<f32>,
    out: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of norms, and `y`, `v` and `out` have a row for
    // each.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(norms.len()),
            project_kernel,
            y.argument(),
            norms.argument(),
            v.argument(),
            out.argument(),
            dim as u32
        );
    }
}
