//! A filter over frequencies on a GPU: both transforms by one unit per number, which sums a row of
//! a constant matrix.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::SpectralFilter;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, sum_of_rows};
use crate::gpu::{Gpu, cubes_for, launch};

/// What the backward pass needs.
#[derive(Debug)]
pub struct Kept {
    /// `X` of all sequences.
    spectra: Buffer<f32>,
    forward: Buffer<f32>,
    inverse: Buffer<f32>,
}

/// `to = M from` for each sequence, or `M^T from`; `from` has `depth` rows for each sequence, `to`
/// has `rows`.
#[cube(launch_unchecked)]
fn transform_kernel(
    matrix: &Array<f32>,
    from: &Array<f32>,
    to: &mut Array<f32>,
    rows: u32,
    depth: u32,
    columns: u32,
    #[comptime] transposed: bool,
) {
    let at = ABSOLUTE_POS;
    let (rows, depth, columns) = (rows as usize, depth as usize, columns as usize);
    if at < to.len() {
        let (sequence, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
        let mut sum = f32::new(0.0);
        for k in 0..depth {
            let value = from[(sequence * depth + k) * columns + column];
            if comptime!(transposed) {
                sum += matrix[k * rows + row] * value;
            } else {
                sum += matrix[row * depth + k] * value;
            }
        }
        to[at] = sum;
    }
}

/// `Y = w X`, complex, one unit for each frequency and column of a sequence.
#[cube(launch_unchecked)]
fn filter_kernel(x: &Array<f32>, w: &Array<f32>, y: &mut Array<f32>, half: u32) {
    let at = ABSOLUTE_POS;
    let half = half as usize;
    if at < y.len() / 2 {
        let (sequence, place) = (at / half, at % half);
        let re_at = sequence * 2 * half + place;
        let (re, im) = (x[re_at], x[re_at + half]);
        let (a, b) = (w[place], w[half + place]);
        y[re_at] = re * a - im * b;
        y[re_at + half] = re * b + im * a;
    }
}

/// `dY` to `dX` in `d`, and in `d_w` what each sequence gives to the gradient of the filter.
#[cube(launch_unchecked)]
fn d_filter_kernel(x: &Array<f32>, w: &Array<f32>, d: &mut Array<f32>, d_w: &mut Array<f32>, half: u32) {
    let at = ABSOLUTE_POS;
    let half = half as usize;
    if at < d.len() / 2 {
        let (sequence, place) = (at / half, at % half);
        let re_at = sequence * 2 * half + place;
        let (re, im) = (d[re_at], d[re_at + half]);
        let (x_re, x_im) = (x[re_at], x[re_at + half]);
        let (a, b) = (w[place], w[half + place]);
        d_w[re_at] = re * x_re + im * x_im;
        d_w[re_at + half] = im * x_re - re * x_im;
        d[re_at] = re * a + im * b;
        d[re_at + half] = im * a - re * b;
    }
}

/// `M from` for each sequence, or `M^T from`, from `depth` rows to `rows`.
fn transform(
    gpu: &Gpu,
    (matrix, transposed): (&Buffer<f32>, bool),
    from: &Buffer<f32>,
    (rows, depth, columns): (usize, usize, usize),
) -> Buffer<f32> {
    assert_eq!(matrix.len(), rows * depth, "a transform should have its rows and columns");
    let to = empty(gpu, from.len() / depth * rows);
    // SAFETY: the kernel stays below the number of results; their sequences are those of `from`,
    // and the matrix was just checked.
    unsafe {
        launch!(
            gpu,
            cubes_for(to.len()),
            transform_kernel,
            matrix.argument(),
            from.argument(),
            to.argument(),
            rows as u32,
            depth as u32,
            columns as u32,
            transposed
        );
    }
    to
}

impl Passes<2> for SpectralFilter {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [x, w]: [Rows<'_>; 2]) -> Made<Kept> {
        let (n, frequencies, columns) = (self.n, self.rows(), x.columns);
        let [forward, inverse] = [&self.forward, &self.inverse].map(|matrix| Buffer::from_gpu(gpu.upload(matrix)));
        let spectra = transform(gpu, (&forward, false), x.values, (frequencies, n, columns));
        let filtered = empty(gpu, spectra.len());
        // SAFETY: the kernel stays below the number of frequencies and columns of all sequences;
        // `spectral_filter` checked that the filter has those of one.
        unsafe {
            launch!(
                gpu,
                cubes_for(spectra.len() / 2),
                filter_kernel,
                spectra.argument(),
                w.values.argument(),
                filtered.argument(),
                (w.values.len() / 2) as u32
            );
        }
        let y = transform(gpu, (&inverse, false), &filtered, (n, frequencies, columns));
        Made { values: y, columns, kept: Kept { spectra, forward, inverse } }
    }

    fn backward_on(&self, gpu: &Gpu, [x, w]: [Rows<'_>; 2], kept: &Kept, gradient: Rows<'_>) -> [Buffer<f32>; 2] {
        let (n, frequencies, columns) = (self.n, self.rows(), x.columns);
        let d = transform(gpu, (&kept.inverse, true), gradient.values, (frequencies, n, columns));
        let d_w = empty(gpu, d.len());
        // SAFETY: as in the forward pass; `d` and `d_w` are as large as the spectra.
        unsafe {
            launch!(
                gpu,
                cubes_for(d.len() / 2),
                d_filter_kernel,
                kept.spectra.argument(),
                w.values.argument(),
                d.argument(),
                d_w.argument(),
                (w.values.len() / 2) as u32
            );
        }
        let d_x = transform(gpu, (&kept.forward, true), &d, (n, frequencies, columns));
        [d_x, sum_of_rows(gpu, &d_w, x.rows / n, w.values.len())]
    }
}
