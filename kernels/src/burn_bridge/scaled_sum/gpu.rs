//! Sums on a GPU: one unit per number.

use cubecl::prelude::*;

use super::ScaledSum;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::gpu::{Gpu, cubes_for, launch};

/// `y = factor a + b`, or without `b` where there is none.
#[cube(launch_unchecked)]
fn sum_kernel(a: &Array<f32>, b: &Array<f32>, y: &mut Array<f32>, factor: f32, #[comptime] added: bool) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        let mut value = factor * a[at];
        if comptime!(added) {
            value += b[at];
        }
        y[at] = value;
    }
}

fn sum(gpu: &Gpu, factor: f32, a: &Buffer<f32>, b: Option<&Buffer<f32>>) -> Buffer<f32> {
    let y = empty(gpu, a.len());
    // SAFETY: the kernel stays below the number of results; `scaled_sum` checked that both inputs
    // are as many.
    unsafe {
        launch!(
            gpu,
            cubes_for(y.len()),
            sum_kernel,
            a.argument(),
            b.unwrap_or(a).argument(),
            y.argument(),
            factor,
            b.is_some()
        );
    }
    y
}

impl Passes<2> for ScaledSum {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [a, b]: [Rows<'_>; 2]) -> Made<()> {
        Made { values: sum(gpu, self.0, a.values, Some(b.values)), columns: a.columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, _: [Rows<'_>; 2], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 2] {
        [self.0, 1.0].map(|factor| sum(gpu, factor, gradient.values, None))
    }
}
