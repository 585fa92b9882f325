//! Layer normalisation on a GPU: 16 units per row. The backward pass works the normalised rows out
//! again.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::ResidualNorm;
use crate::Buffer;
use crate::burn_bridge::drop::gpu::factor;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, sum_of_rows};
use crate::gpu::cubes::{LANES, ROWS, cubes_for_rows, lane_sum};
use crate::gpu::{Gpu, UNITS, launch};

/// Fills `normal` with normalised rows of `z`, the input with its dropout and what is added to it;
/// every unit gets what its row was multiplied by. All units of the cube must take part.
#[cube]
fn normalize(
    x: &Array<f32>,
    residual: &Array<f32>,
    normal: &mut Array<f32>,
    shared: &mut SharedMemory<f32>,
    row: usize,
    lane: usize,
    columns: usize,
    epsilon: f32,
    inside: bool,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] dropped: bool,
    #[comptime] added: bool,
) -> f32 {
    let n = columns as f32;
    let mut sum = f32::new(0.0);
    if inside {
        let mut column = lane;
        while column < columns {
            let at = row * columns + column;
            let mut z = x[at];
            if comptime!(dropped) {
                z *= factor(at as u32, first_key, second_key, kept_below, scale);
            }
            if comptime!(added) {
                z += residual[at];
            }
            normal[at] = z;
            sum += z;
            column += LANES;
        }
    }
    let mean = lane_sum(shared, sum) / n;
    let mut squares = f32::new(0.0);
    if inside {
        let mut column = lane;
        while column < columns {
            let z = normal[row * columns + column] - mean;
            normal[row * columns + column] = z;
            squares += z * z;
            column += LANES;
        }
    }
    let root = f32::new(1.0) / f32::sqrt(lane_sum(shared, squares) / n + epsilon);
    if inside {
        let mut column = lane;
        while column < columns {
            normal[row * columns + column] *= root;
            column += LANES;
        }
    }
    root
}

#[cube(launch_unchecked)]
fn forward_kernel(
    x: &Array<f32>,
    residual: &Array<f32>,
    gain: &Array<f32>,
    bias: &Array<f32>,
    y: &mut Array<f32>,
    rows: u32,
    columns: u32,
    epsilon: f32,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] dropped: bool,
    #[comptime] added: bool,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let columns = columns as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row < rows as usize;
    normalize(
        x,
        residual,
        y,
        &mut shared,
        row,
        lane,
        columns,
        epsilon,
        inside,
        first_key,
        second_key,
        kept_below,
        scale,
        dropped,
        added,
    );
    if inside {
        let mut column = lane;
        while column < columns {
            let at = row * columns + column;
            y[at] = y[at] * gain[column] + bias[column];
            column += LANES;
        }
    }
}

/// `d_z`, `d_x` and, in `normal`, what each row gives to the gradient of the gain.
#[cube(launch_unchecked)]
fn backward_kernel(
    x: &Array<f32>,
    residual: &Array<f32>,
    gain: &Array<f32>,
    gradient: &Array<f32>,
    normal: &mut Array<f32>,
    d_z: &mut Array<f32>,
    d_x: &mut Array<f32>,
    rows: u32,
    columns: u32,
    epsilon: f32,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] dropped: bool,
    #[comptime] added: bool,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let columns = columns as usize;
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row < rows as usize;
    let root = normalize(
        x,
        residual,
        normal,
        &mut shared,
        row,
        lane,
        columns,
        epsilon,
        inside,
        first_key,
        second_key,
        kept_below,
        scale,
        dropped,
        added,
    );
    let mut mean = f32::new(0.0);
    let mut along = f32::new(0.0);
    if inside {
        let mut column = lane;
        while column < columns {
            let at = row * columns + column;
            let d = gradient[at] * gain[column];
            mean += d;
            along += d * normal[at];
            column += LANES;
        }
    }
    let mean = lane_sum(&mut shared, mean) / columns as f32;
    let along = lane_sum(&mut shared, along) / columns as f32;
    if inside {
        let mut column = lane;
        while column < columns {
            let at = row * columns + column;
            let d = root * (gradient[at] * gain[column] - mean - normal[at] * along);
            if comptime!(added) {
                d_z[at] = d;
            }
            if comptime!(dropped) {
                d_x[at] = d * factor(at as u32, first_key, second_key, kept_below, scale);
            } else {
                d_x[at] = d;
            }
            normal[at] *= gradient[at];
            column += LANES;
        }
    }
}

impl ResidualNorm {
    fn run_on(
        &self,
        gpu: &Gpu,
        x: Rows<'_>,
        residual: Option<Rows<'_>>,
        gain: &Buffer<f32>,
        bias: &Buffer<f32>,
    ) -> Made<()> {
        let (first_key, second_key, kept_below, scale) = self.drop.parts();
        let y = empty(gpu, x.values.len());
        // SAFETY: the kernel stays below the number of rows; `residual_norm` checked that the
        // residual is as large as `x`, and gain and bias as wide.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(x.rows),
                forward_kernel,
                x.values.argument(),
                residual.unwrap_or(x).values.argument(),
                gain.argument(),
                bias.argument(),
                y.argument(),
                x.rows as u32,
                x.columns as u32,
                self.epsilon,
                first_key,
                second_key,
                kept_below,
                scale,
                !self.drop.is_nothing(),
                residual.is_some()
            );
        }
        Made { values: y, columns: x.columns, kept: () }
    }

    /// The gradients of `x`, `z`, `g` and `b`; that of `z` is not filled where there is no
    /// residual.
    fn back_on(
        &self,
        gpu: &Gpu,
        x: Rows<'_>,
        residual: Option<Rows<'_>>,
        gain: &Buffer<f32>,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 4] {
        let (first_key, second_key, kept_below, scale) = self.drop.parts();
        let len = x.values.len();
        let (normal, d_x) = (empty(gpu, len), empty(gpu, len));
        let d_z = empty(gpu, if residual.is_some() { len } else { 0 });
        // SAFETY: as in the forward pass; the gradient and the three results are as large as `x`,
        // but for `d_z` without a residual, which is not written.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(x.rows),
                backward_kernel,
                x.values.argument(),
                residual.unwrap_or(x).values.argument(),
                gain.argument(),
                gradient.values.argument(),
                normal.argument(),
                d_z.argument(),
                d_x.argument(),
                x.rows as u32,
                x.columns as u32,
                self.epsilon,
                first_key,
                second_key,
                kept_below,
                scale,
                !self.drop.is_nothing(),
                residual.is_some()
            );
        }
        let d_gain = sum_of_rows(gpu, &normal, x.rows, x.columns);
        [d_x, d_z, d_gain, sum_of_rows(gpu, gradient.values, x.rows, x.columns)]
    }
}

impl Passes<3> for ResidualNorm {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x, gain, bias]: [Rows<'_>; 3]) -> Made<()> {
        self.run_on(gpu, x, None, gain.values, bias.values)
    }

    fn backward_on(&self, gpu: &Gpu, [x, gain, _]: [Rows<'_>; 3], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 3] {
        let [d_x, _, d_gain, d_bias] = self.back_on(gpu, x, None, gain.values, gradient);
        [d_x, d_gain, d_bias]
    }
}

impl Passes<4> for ResidualNorm {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x, residual, gain, bias]: [Rows<'_>; 4]) -> Made<()> {
        self.run_on(gpu, x, Some(residual), gain.values, bias.values)
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [x, residual, gain, _]: [Rows<'_>; 4],
        (): &(),
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 4] {
        self.back_on(gpu, x, Some(residual), gain.values, gradient)
    }
}
