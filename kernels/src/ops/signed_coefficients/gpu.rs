//! Coefficients on a GPU: one unit per number of a block.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn coefficients_kernel(slope: &Array<f32>, weight: &Array<f32>, out: &mut Array<f32>, first: u32, sign: f32) {
    let at = ABSOLUTE_POS;
    if at < slope.len() {
        out[first as usize + at] = sign * slope[at] * weight[at];
    }
}

pub(super) fn signed(gpu: &Gpu, signs: &[f32], slope: &Buffer<f32>, weight: &Buffer<f32>, out: &mut Buffer<f32>) {
    for (block, &sign) in signs.iter().enumerate() {
        // SAFETY: the kernel stays below the number of slopes; weights are as many, and `out` has
        // as many for each sign.
        unsafe {
            launch!(
                gpu,
                cubes_for(slope.len()),
                coefficients_kernel,
                slope.argument(),
                weight.argument(),
                out.argument(),
                (block * slope.len()) as u32,
                sign
            );
        }
    }
}
