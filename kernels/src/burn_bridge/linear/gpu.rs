//! A linear layer on a GPU: products in tiles, and the bias by one unit per number.

use cubecl::prelude::*;

use super::Linear;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, sum_of_rows};
use crate::gpu::tile::{Lying, deep_product, product};
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn add_bias_kernel(bias: &Array<f32>, y: &mut Array<f32>) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        y[at] += bias[at % bias.len()];
    }
}

impl Passes<3> for Linear {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x, w, b]: [Rows<'_>; 3]) -> Made<()> {
        let (inner, columns) = (w.rows, w.columns);
        let mut y = empty(gpu, x.rows * columns);
        let (left, right) = ((x.values, Lying::rows(0, inner)), (w.values, Lying::columns(0, columns)));
        product(gpu, (x.rows, columns, inner), left, right, None, &mut y);
        // SAFETY: the kernel stays below the number of results, and reads the bias modulo its
        // length.
        unsafe { launch!(gpu, cubes_for(y.len()), add_bias_kernel, b.values.argument(), y.argument()) };
        Made { values: y, columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, [x, w, _]: [Rows<'_>; 3], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 3] {
        let (rows, inner, columns) = (x.rows, w.rows, w.columns);
        let (mut d_x, mut d_w) = (empty(gpu, rows * inner), empty(gpu, inner * columns));
        let (left, right) = ((gradient.values, Lying::rows(0, columns)), (w.values, Lying::rows(0, columns)));
        product(gpu, (rows, inner, columns), left, right, None, &mut d_x);
        let (left, right) = ((x.values, Lying::columns(0, inner)), (gradient.values, Lying::columns(0, columns)));
        deep_product(gpu, (inner, columns, rows), left, right, &mut Buffer::default(), (&mut d_w, 0));
        [d_x, d_w, sum_of_rows(gpu, gradient.values, rows, columns)]
    }
}
