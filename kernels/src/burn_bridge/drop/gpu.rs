//! Dropout on a GPU: one unit per number, and the mask of the processor, to the bit.

use cubecl::prelude::*;

use super::Dropout;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::gpu::{Gpu, cubes_for, launch};

/// What number `i` is multiplied by: see `Drop::factor`.
#[cube]
pub(in crate::burn_bridge) fn factor(i: u32, first_key: u32, second_key: u32, kept_below: u32, scale: f32) -> f32 {
    let z = (i * 0x9e37_79b9u32) ^ first_key;
    let z = (z ^ (z >> 16u32)) * 0x85eb_ca6bu32;
    let z = (z ^ (z >> 13u32)) * 0xc2b2_ae35u32;
    let z = (z ^ (z >> 16u32)) + second_key;
    let z = (z ^ (z >> 16u32)) * 0x85eb_ca6bu32;
    let z = (z ^ (z >> 13u32)) * 0xc2b2_ae35u32;
    let z = z ^ (z >> 16u32);
    let mut factor = f32::new(0.0);
    if (z >> 8u32) < kept_below {
        factor = scale;
    }
    factor
}

#[cube(launch_unchecked)]
fn drop_kernel(x: &Array<f32>, y: &mut Array<f32>, first_key: u32, second_key: u32, kept_below: u32, scale: f32) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        y[at] = x[at] * factor(at as u32, first_key, second_key, kept_below, scale);
    }
}

impl Dropout {
    fn masked_on(&self, gpu: &Gpu, x: &Buffer<f32>) -> Buffer<f32> {
        let (first_key, second_key, kept_below, scale) = self.0.parts();
        let y = empty(gpu, x.len());
        // SAFETY: the kernel stays below the number of results, and the inputs are as many.
        unsafe {
            launch!(
                gpu,
                cubes_for(y.len()),
                drop_kernel,
                x.argument(),
                y.argument(),
                first_key,
                second_key,
                kept_below,
                scale
            );
        }
        y
    }
}

impl Passes<1> for Dropout {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x]: [Rows<'_>; 1]) -> Made<()> {
        Made { values: self.masked_on(gpu, x.values), columns: x.columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, _: [Rows<'_>; 1], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 1] {
        [self.masked_on(gpu, gradient.values)]
    }
}
