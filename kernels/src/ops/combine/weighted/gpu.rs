//! Sums of layers with one weight each, on a GPU: one unit per element.

use std::ops::Range;

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::cube_sum;
use crate::gpu::{Gpu, UNITS, cubes_for, launch};

#[cube(launch_unchecked)]
fn accumulate_kernel(from: &Array<f32>, to: &mut Array<f32>, alpha: f32, first: u32, n: u32, #[comptime] add: bool) {
    if ABSOLUTE_POS < n as usize {
        let at = first as usize + ABSOLUTE_POS;
        let product = alpha * from[at];
        if comptime!(add) {
            to[at] += product;
        } else {
            to[at] = product;
        }
    }
}

#[cube(launch_unchecked)]
fn dot_kernel(a: &Array<f32>, b: &Array<f32>, out: &mut Array<f32>, first: u32, n: u32, place: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let mut sum = f32::new(0.0);
    let mut at = CUBE_POS * UNITS as usize + UNIT_POS as usize;
    while at < n as usize {
        sum += a[first as usize + at] * b[first as usize + at];
        at += CUBE_COUNT * UNITS as usize;
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        out[place as usize + CUBE_POS] = sum;
    }
}

/// `to = alpha * from` on the elements of a range, or added to what is there.
pub(in crate::ops::combine) fn accumulate(
    gpu: &Gpu,
    alpha: f32,
    from: &Buffer<f32>,
    range: Range<usize>,
    add: bool,
    to: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays inside the range, which the callers checked to be inside both.
    unsafe {
        launch!(
            gpu,
            cubes_for(range.len()),
            accumulate_kernel,
            from.argument(),
            to.argument(),
            alpha,
            range.start as u32,
            range.len() as u32,
            add
        );
    }
}

/// Cubes that share one long dot product.
pub(in crate::ops::combine) const DOT_CUBES: usize = 64;

/// `out[k * DOT_CUBES + cube]`: the shares of `<hops[k], g>` over the elements of a range, which
/// the caller adds.
pub(in crate::ops::combine) fn layer_dots(
    gpu: &Gpu,
    hops: &[Buffer<f32>],
    g: &Buffer<f32>,
    range: Range<usize>,
    out: &mut Buffer<f32>,
) {
    out.resize_on(gpu, hops.len() * DOT_CUBES);
    for (k, hop) in hops.iter().enumerate() {
        // SAFETY: the kernel reads inside the range, which the caller checked to be inside both,
        // and writes a number for each of its cubes.
        unsafe {
            launch!(
                gpu,
                DOT_CUBES,
                dot_kernel,
                hop.argument(),
                g.argument(),
                out.argument(),
                range.start as u32,
                range.len() as u32,
                (k * DOT_CUBES) as u32
            );
        }
    }
}
