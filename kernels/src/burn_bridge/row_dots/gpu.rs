//! Inner products of rows on a GPU: 16 units per row.

use cubecl::prelude::*;

use super::RowDots;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_dot};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};

#[cube(launch_unchecked)]
fn dots_kernel(a: &Array<f32>, b: &Array<f32>, y: &mut Array<f32>, columns: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let columns = columns as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let inside = row < y.len();
    let dot = lane_dot(&mut shared, a, row * columns, b, row * columns, columns, inside);
    let lane = UNIT_POS as usize % LANES;
    if inside && lane == 0 {
        y[row] = dot;
    }
}

#[cube(launch_unchecked)]
fn scale_rows_kernel(x: &Array<f32>, factors: &Array<f32>, y: &mut Array<f32>, columns: u32) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        y[at] = x[at] * factors[at / columns as usize];
    }
}

impl Passes<2> for RowDots {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [a, b]: [Rows<'_>; 2]) -> Made<()> {
        let y = empty(gpu, a.rows);
        // SAFETY: the kernel stays below the number of rows; `row_dots` checked that both inputs
        // have as many, equally wide.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(a.rows),
                dots_kernel,
                a.values.argument(),
                b.values.argument(),
                y.argument(),
                a.columns as u32
            );
        }
        Made { values: y, columns: 1, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, [a, b]: [Rows<'_>; 2], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 2] {
        [b, a].map(|other| {
            let y = empty(gpu, other.values.len());
            // SAFETY: the kernel stays below the number of results; the gradient has one for each
            // row.
            unsafe {
                launch!(
                    gpu,
                    cubes_for(y.len()),
                    scale_rows_kernel,
                    other.values.argument(),
                    gradient.values.argument(),
                    y.argument(),
                    other.columns as u32
                );
            }
            y
        })
    }
}
