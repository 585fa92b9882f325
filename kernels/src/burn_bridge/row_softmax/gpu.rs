//! Softmax of rows on a GPU: 16 units per row.

use cubecl::prelude::*;

use super::RowSoftmax;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_dot, lane_max, lane_sum};
use crate::gpu::{Gpu, UNITS, launch};

#[cube(launch_unchecked)]
fn softmax_kernel(x: &Array<f32>, y: &mut Array<f32>, columns: u32, temperature: f32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let columns = columns as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row * columns < y.len();
    let mut most = f32::new(-1e30);
    if inside {
        let mut column = lane;
        while column < columns {
            most = f32::max(most, x[row * columns + column] / temperature);
            column += LANES;
        }
    }
    let most = lane_max(&mut shared, most);
    let mut total = f32::new(0.0);
    if inside {
        let mut column = lane;
        while column < columns {
            let share = f32::exp(x[row * columns + column] / temperature - most);
            y[row * columns + column] = share;
            total += share;
            column += LANES;
        }
    }
    let total = lane_sum(&mut shared, total);
    if inside {
        let mut column = lane;
        while column < columns {
            y[row * columns + column] /= total;
            column += LANES;
        }
    }
}

#[cube(launch_unchecked)]
fn gradient_kernel(y: &Array<f32>, gradient: &Array<f32>, d_x: &mut Array<f32>, columns: u32, temperature: f32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let columns = columns as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let inside = row * columns < d_x.len();
    let mean = lane_dot(&mut shared, y, row * columns, gradient, row * columns, columns, inside);
    if inside {
        let mut column = UNIT_POS as usize % LANES;
        while column < columns {
            let at = row * columns + column;
            d_x[at] = y[at] * (gradient[at] - mean) / temperature;
            column += LANES;
        }
    }
}

impl RowSoftmax {
    fn value_on(&self, gpu: &Gpu, x: Rows<'_>) -> Buffer<f32> {
        let y = empty(gpu, x.values.len());
        // SAFETY: the kernel stays below the rows of the result, which is as large as the input.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(x.rows),
                softmax_kernel,
                x.values.argument(),
                y.argument(),
                x.columns as u32,
                self.temperature
            );
        }
        y
    }
}

impl Passes<1> for RowSoftmax {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x]: [Rows<'_>; 1]) -> Made<()> {
        Made { values: self.value_on(gpu, x), columns: x.columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, [x]: [Rows<'_>; 1], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 1] {
        let (y, d_x) = (self.value_on(gpu, x), empty(gpu, x.values.len()));
        // SAFETY: the kernel stays below the rows of the result; value and gradient are as large.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(x.rows),
                gradient_kernel,
                y.argument(),
                gradient.values.argument(),
                d_x.argument(),
                x.columns as u32,
                self.temperature
            );
        }
        [d_x]
    }
}
