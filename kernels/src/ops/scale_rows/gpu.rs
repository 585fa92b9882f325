//! Rows and elements times a number, on a GPU: one unit per element.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn rows_kernel(scale: &Array<f32>, x: &Array<f32>, y: &mut Array<f32>, dim: u32, #[comptime] add: bool) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        let product = scale[at / dim as usize] * x[at];
        if comptime!(add) {
            y[at] += product;
        } else {
            y[at] = product;
        }
    }
}

#[cube(launch_unchecked)]
fn all_kernel(x: &Array<f32>, y: &mut Array<f32>, factor: f32) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        y[at] = factor * x[at];
    }
}

pub(super) fn each_row(gpu: &Gpu, dim: usize, scale: &Buffer<f32>, x: &Buffer<f32>, y: &mut Buffer<f32>, add: bool) {
    // SAFETY: the kernel stays below the length of `y`; the callers checked that `x` is as long and
    // `scale` has a number for each row.
    unsafe {
        launch!(gpu, cubes_for(y.len()), rows_kernel, scale.argument(), x.argument(), y.argument(), dim as u32, add);
    }
}

pub(super) fn scale_all(gpu: &Gpu, factor: f32, x: &Buffer<f32>, y: &mut Buffer<f32>) {
    // SAFETY: the kernel stays below the length of `y`, which the caller made that of `x`.
    unsafe { launch!(gpu, cubes_for(y.len()), all_kernel, x.argument(), y.argument(), factor) };
}
