//! The sum of all numbers on a GPU, by one cube.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::cube_sum;
use crate::gpu::{Gpu, UNITS, launch};

#[cube(launch_unchecked)]
fn sum_kernel(values: &Array<f32>, out: &mut Array<f32>, place: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let mut sum = f32::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < values.len() {
        sum += values[at];
        at += UNITS as usize;
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        out[place as usize] = sum;
    }
}

/// `out[place] = sum of values`.
pub(super) fn sum(gpu: &Gpu, values: &Buffer<f32>, out: &mut Buffer<f32>, place: usize) {
    assert!(place < out.len());
    // SAFETY: the kernel reads below the number of values, and writes the one place just asserted.
    unsafe { launch!(gpu, 1, sum_kernel, values.argument(), out.argument(), place as u32) };
}
