//! Segment sums on a GPU: the columns of a segment's row are shared by some units, which walk its
//! entries in order. The sum is that of the CPU path.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::Segments;
use crate::Buffer;
use crate::gpu::cubes::vector_width;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn segments_kernel<N: Size>(
    ptr: &Array<u32>,
    entries: &Array<u32>,
    source: &Array<u32>,
    coefficient: &Array<f32>,
    x: &Array<Vector<f32, N>>,
    y: &mut Array<Vector<f32, N>>,
    vecs: u32,
    #[comptime] weighted: bool,
) {
    let at = ABSOLUTE_POS;
    let vecs = vecs as usize;
    if at < (ptr.len() - 1) * vecs {
        let segment = at / vecs;
        let column = at % vecs;
        let mut sum = Vector::<f32, N>::new(f32::new(0.0));
        for place in ptr[segment]..ptr[segment + 1] {
            let entry = entries[place as usize] as usize;
            if comptime!(weighted) {
                sum += x[source[entry] as usize * vecs + column] * Vector::new(coefficient[entry]);
            } else {
                sum += x[entry * vecs + column];
            }
        }
        y[at] = sum;
    }
}

/// `y[s] = sum of x[e]`, or of `coefficient[e] * x[source[e]]`, over the entries of `s`.
pub(super) fn sum(
    gpu: &Gpu,
    dim: usize,
    segments: &Segments,
    weighted: Option<(&Buffer<u32>, &Buffer<f32>)>,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
) {
    let width = vector_width(dim);
    let is_weighted = weighted.is_some();
    // Arrays that a plain sum does not read.
    let source = weighted.map_or(&segments.entries, |(source, _)| source);
    let coefficient = weighted.map_or(x, |(_, coefficient)| coefficient);
    // SAFETY: the kernel stays below the number of vectors of `y`, one row per segment. `Segments`
    // keeps its entries below their number; the callers checked that sources and coefficients are
    // as many, and that sources (or entries) are rows of `x`.
    unsafe {
        launch!(
            gpu,
            cubes_for(y.len() / width),
            segments_kernel,
            width,
            segments.ptr.argument(),
            segments.entries.argument(),
            source.argument(),
            coefficient.argument(),
            x.vectors(width),
            y.vectors(width),
            (dim / width) as u32,
            is_weighted
        );
    }
}
