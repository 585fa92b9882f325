//! Copies of rows on a GPU: one unit per vector of columns.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::vector_width;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn gather_kernel<N: Size>(x: &Array<Vector<f32, N>>, indices: &Array<u32>, y: &mut Array<Vector<f32, N>>, vecs: u32) {
    let at = ABSOLUTE_POS;
    let vecs = vecs as usize;
    if at < indices.len() * vecs {
        y[at] = x[indices[at / vecs] as usize * vecs + at % vecs];
    }
}

pub(super) fn gather(gpu: &Gpu, dim: usize, x: &Buffer<f32>, indices: &Buffer<u32>, y: &mut Buffer<f32>) {
    let width = vector_width(dim);
    // SAFETY: the kernel stays below the number of vectors of `y`, one row per index; the callers
    // checked that every index is a row of `x`.
    unsafe {
        launch!(
            gpu,
            cubes_for(y.len() / width),
            gather_kernel,
            width,
            x.vectors(width),
            indices.argument(),
            y.vectors(width),
            (dim / width) as u32
        );
    }
}
