//! All pairs on a GPU: the moments of each side are products in tiles, known pairs go the way of a
//! loss over pairs.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use std::ops::Range;

use cubecl::prelude::*;

use super::{AllPairs, PairMotion};
use crate::error::Result;
use crate::gpu::cubes::{LANES, ROWS, cube_sum, cubes_for_rows, lane_sum};
use crate::gpu::tile::{Lying, deep_product, product};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};
use crate::ops::copy_rows::gpu::copy;
use crate::ops::pair_dots::{pair_dots, pair_dots_tangent};
use crate::ops::scale_rows::scale_rows;
use crate::ops::segments::{Segments, segment_weighted_rows};
use crate::{Buffer, Device};

/// Indices of the known pairs, and what is worked out on the way.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    segments: Segments,
    left: Buffer<u32>,
    right: Buffer<u32>,
    source: Buffer<u32>,
    factor: Buffer<f32>,
    target: Buffer<f32>,
    /// `f x`, `[n_rows, dim]`.
    scaled: Buffer<f32>,
    /// A matrix `[dim, dim]` and a vector `[dim]` of the other side; the crossed ones are of rows
    /// with their motion.
    moments: Buffer<f32>,
    crossed: Buffer<f32>,
    partials: Buffer<f32>,
    /// Rows of one side times a matrix.
    pulled: Buffer<f32>,
    turned: Buffer<f32>,
    score: Buffer<f32>,
    score_dot: Buffer<f32>,
    coefficient: Buffer<f32>,
    /// What known pairs add to every row.
    added: Buffer<f32>,
    /// A [`PairMotion`], number by number: the two of all rows, then the two of all known pairs.
    forms: Buffer<f32>,
}

impl Scratch {
    pub(super) fn assign(&mut self, device: &Device, n_rows: usize, left: &[u32], right: &[u32]) -> Result<()> {
        device.write(&mut self.left, left);
        device.write(&mut self.right, right);
        device.write(&mut self.source, &[right, left].concat());
        self.segments.assign(device, n_rows, &[left, right].concat())
    }

    fn take(&mut self, device: &Device, pairs: &AllPairs<'_>, x: &Buffer<f32>) -> Result<()> {
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        device.write(&mut self.factor, &narrow(pairs.factor));
        scale_rows(device, pairs.dim, &self.factor, x, &mut self.scaled)?;
        pair_dots(device, pairs.dim, x, &self.left, &self.right, &mut self.score)
    }
}

/// `out[to_at + c] = sum over n rows from first on of f_r y[r, c]`: one cube per column.
#[cube(launch_unchecked)]
fn vector_kernel(factor: &Array<f32>, y: &Array<f32>, out: &mut Array<f32>, first: u32, n: u32, dim: u32, to_at: u32) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let (first, n, dim) = (first as usize, n as usize, dim as usize);
    let mut sum = f32::new(0.0);
    if CUBE_POS < dim {
        let mut row = UNIT_POS as usize;
        while row < n {
            sum += factor[first + row] * y[(first + row) * dim + CUBE_POS];
            row += UNITS as usize;
        }
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 && CUBE_POS < dim {
        out[to_at as usize + CUBE_POS] = sum;
    }
}

/// `2 f_l f_r (w1 (s - t) - w0 (s - t0))` of every known pair, once for each of its rows.
#[cube(launch_unchecked)]
fn coefficients_kernel(
    score: &Array<f32>,
    known_target: &Array<f32>,
    factor: &Array<f32>,
    left: &Array<u32>,
    right: &Array<u32>,
    out: &mut Array<f32>,
    unseen: f32,
    seen: f32,
    target: f32,
) {
    let at = ABSOLUTE_POS;
    if at < score.len() {
        let s = score[at];
        let both = factor[left[at] as usize] * factor[right[at] as usize];
        let slope = both * (seen * (s - known_target[at]) - unseen * (s - target));
        out[at] = slope;
        out[score.len() + at] = slope;
    }
}

/// `gradient += added + w f_r (G x_r - t0 g)` for the rows of one side: one unit per element.
#[cube(launch_unchecked)]
fn pull_kernel(
    pulled: &Array<f32>,
    moments: &Array<f32>,
    factor: &Array<f32>,
    added: &Array<f32>,
    gradient: &mut Array<f32>,
    first: u32,
    n: u32,
    dim: u32,
    weight: f32,
    target: f32,
) {
    let at = ABSOLUTE_POS;
    let (first, dim) = (first as usize, dim as usize);
    if at < n as usize * dim {
        let vector = moments[dim * dim + at % dim];
        let place = first * dim + at;
        gradient[place] += added[place] + weight * factor[first + at / dim] * (pulled[at] - target * vector);
    }
}

/// `x . (G x_dot + H x)` and `x_dot . g + x . h` of every row of one side, with `H` and `h` the
/// crossed moments: 16 units per row.
#[cube(launch_unchecked)]
fn forms_kernel(
    x: &Array<f32>,
    x_dot: &Array<f32>,
    pulled: &Array<f32>,
    turned: &Array<f32>,
    moments: &Array<f32>,
    crossed: &Array<f32>,
    forms: &mut Array<f32>,
    first: u32,
    n: u32,
    n_rows: u32,
    dim: u32,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let (first, n, dim) = (first as usize, n as usize, dim as usize);
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let mut bent = f32::new(0.0);
    let mut straight = f32::new(0.0);
    if row < n {
        let mut column = lane;
        while column < dim {
            let (at, place) = (row * dim + column, (first + row) * dim + column);
            bent += x[place] * (pulled[at] + turned[at]);
            straight += x_dot[place] * moments[dim * dim + column] + x[place] * crossed[dim * dim + column];
            column += LANES;
        }
    }
    let bent = lane_sum(&mut shared, bent);
    let straight = lane_sum(&mut shared, straight);
    if row < n && lane == 0 {
        forms[first + row] = bent;
        forms[n_rows as usize + first + row] = straight;
    }
}

/// The moments of the rows of `side`: `sum f x y'`, then `sum f y`.
fn moments(
    gpu: &Gpu,
    dim: usize,
    side: &Range<usize>,
    (factor, scaled, y): (&Buffer<f32>, &Buffer<f32>, &Buffer<f32>),
    partials: &mut Buffer<f32>,
    out: &mut Buffer<f32>,
) {
    assert!(side.end <= factor.len() && factor.len() * dim == y.len());
    out.resize_on(gpu, dim * dim + dim);
    let lies = Lying::columns(side.start * dim, dim);
    deep_product(gpu, (dim, dim, side.len()), (scaled, lies), (y, lies), partials, (out, 0));
    // SAFETY: the kernel reads rows of the side, which were just asserted to be rows of `y`, and
    // writes the vector's place behind the matrix.
    unsafe {
        launch!(
            gpu,
            dim,
            vector_kernel,
            factor.argument(),
            y.argument(),
            out.argument(),
            side.start as u32,
            side.len() as u32,
            dim as u32,
            (dim * dim) as u32
        );
    }
}

pub(super) fn gradient(
    device: &Device,
    gpu: &Gpu,
    pairs: &AllPairs<'_>,
    scratch: &mut Scratch,
    x: &Buffer<f32>,
    gradient: &mut Buffer<f32>,
) -> Result<()> {
    let AllPairs { dim, weight: [unseen, seen], target, scale, .. } = *pairs;
    scratch.take(device, pairs, x)?;
    device.write(&mut scratch.target, &pairs.known_target.iter().map(|&t| t as f32).collect::<Vec<f32>>());
    let n_known = scratch.score.len();
    scratch.coefficient.resize_on(gpu, 2 * n_known);
    let [unseen, seen] = [unseen, seen].map(|weight| (2.0 * scale * weight) as f32);
    // SAFETY: the kernel stays below the number of known pairs; `all_pairs_gradient` checked that
    // there are as many targets, `assign` that their rows are rows; there is a coefficient for each
    // row of each.
    unsafe {
        launch!(
            gpu,
            cubes_for(n_known),
            coefficients_kernel,
            scratch.score.argument(),
            scratch.target.argument(),
            scratch.factor.argument(),
            scratch.left.argument(),
            scratch.right.argument(),
            scratch.coefficient.argument(),
            unseen,
            seen,
            target as f32
        );
    }
    let Scratch { segments, source, factor, scaled, moments: own, partials, pulled, coefficient, added, .. } = scratch;
    segment_weighted_rows(device, dim, segments, source, coefficient, x, added)?;
    let [left, right] = pairs.sides();
    for (side, other) in [(left.clone(), right.clone()), (right, left)] {
        // Without the other side there is no pair.
        if side.is_empty() || other.is_empty() {
            continue;
        }
        moments(gpu, dim, &other, (factor, scaled, x), partials, own);
        let matrix = (&*own, Lying::rows(0, dim));
        product(gpu, (side.len(), dim, dim), (x, Lying::rows(side.start * dim, dim)), matrix, None, pulled);
        // SAFETY: the kernel stays below the elements of the side, which are inside `gradient`, as
        // `all_pairs_gradient` checked, and `added`, which is as long; the vector lies behind the
        // matrix.
        unsafe {
            launch!(
                gpu,
                cubes_for(side.len() * dim),
                pull_kernel,
                pulled.argument(),
                own.argument(),
                factor.argument(),
                added.argument(),
                gradient.argument(),
                side.start as u32,
                side.len() as u32,
                dim as u32,
                unseen,
                target as f32
            );
        }
    }
    Ok(())
}

pub(super) fn motion(
    device: &Device,
    gpu: &Gpu,
    pairs: &AllPairs<'_>,
    scratch: &mut Scratch,
    x: &Buffer<f32>,
    x_dot: &Buffer<f32>,
) -> Result<PairMotion> {
    let (dim, n_rows) = (pairs.dim, pairs.factor.len());
    scratch.take(device, pairs, x)?;
    pair_dots_tangent(device, dim, x, x_dot, &scratch.left, &scratch.right, &mut scratch.score_dot)?;
    let Scratch { factor, scaled, moments: own, crossed, partials, pulled, turned, score, score_dot, forms, .. } =
        scratch;
    let n_known = score.len();
    forms.resize_on(gpu, 2 * (n_rows + n_known));
    let [left, right] = pairs.sides();
    let empty = left.is_empty() || right.is_empty();
    for (side, other) in [(left.clone(), right.clone()), (right, left)] {
        if empty {
            continue;
        }
        moments(gpu, dim, &other, (factor, scaled, x), partials, own);
        moments(gpu, dim, &other, (factor, scaled, x_dot), partials, crossed);
        let (size, lies) = ((side.len(), dim, dim), Lying::rows(side.start * dim, dim));
        product(gpu, size, (x_dot, lies), (&*own, Lying::rows(0, dim)), None, pulled);
        product(gpu, size, (x, lies), (&*crossed, Lying::rows(0, dim)), None, turned);
        // SAFETY: the kernel stays below the rows of the side, which are rows of `x` and `x_dot`,
        // as `all_pairs_motion` checked; `forms` has two numbers for each row.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(side.len()),
                forms_kernel,
                x.argument(),
                x_dot.argument(),
                pulled.argument(),
                turned.argument(),
                own.argument(),
                crossed.argument(),
                forms.argument(),
                side.start as u32,
                side.len() as u32,
                n_rows as u32,
                dim as u32
            );
        }
    }
    copy(gpu, score, 0, forms, 2 * n_rows, n_known);
    copy(gpu, score_dot, 0, forms, 2 * n_rows + n_known, n_known);
    let read = device.read(forms);
    let two = |at: usize, n: usize| -> Vec<[f64; 2]> {
        (0..n).map(|i| [at + i, at + n + i].map(|place| f64::from(read[place]))).collect()
    };
    let rows = if empty { vec![[0.0; 2]; n_rows] } else { two(0, n_rows) };
    Ok(PairMotion { rows, known: two(2 * n_rows, n_known) })
}
