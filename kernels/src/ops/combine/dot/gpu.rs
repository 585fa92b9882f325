//! Dot attention on a GPU. The rows of all layers are stacked, so that one product makes the queries of every layer; queries, keys and weights are worked
//! out again on the way back, and the gradient of the parameters is summed in parts whose number depends on the number of rows alone.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use std::ops::Range;

use super::super::gpu::{line_sums, pool, stack_rows};
use super::super::weighted::gpu::accumulate;
use super::DotShape;
use crate::Buffer;
use crate::gpu::cubes::cubes_for_rows;
use crate::gpu::tile::{Lying, deep_product, product, sum_partials};
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::place::gpu::copy;

mod kernels;

use kernels::{attend_kernel, cross_dots_kernel, direct_kernel, means_dot_kernel, mix_kernel, slopes_kernel};

/// Kept from call to call; a fresh one is as good.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    /// The rows of a range, layer after layer: `[(K + 1) n, dim]`; and what goes back to them.
    stack: Buffer<f32>,
    stack_dot: Buffer<f32>,
    to_queries: Buffer<f32>,
    to_keys: Buffer<f32>,
    /// `[(K + 1) n, key_dim]`, and their gradients or motions.
    queries: Buffer<f32>,
    keys: Buffer<f32>,
    d_queries: Buffer<f32>,
    d_keys: Buffer<f32>,
    part: Buffer<f32>,
    /// `[K + 1, K + 1, n]`: scores, softmax, and what is between them.
    scores: Buffer<f32>,
    softmax: Buffer<f32>,
    slopes: Buffer<f32>,
    others: Buffer<f32>,
    /// `[n, K + 1]`: mean weights and their motion.
    means: Buffer<f32>,
    means_dot: Buffer<f32>,
    /// `[K + 1, n]`: what a layer's weight is worth, and the gradient of its logit.
    values: Buffer<f32>,
    through: Buffer<f32>,
    /// `[n, dim]`: the mix of the layers, its motion, and products with the value matrix.
    mix: Buffer<f32>,
    mix_dot: Buffer<f32>,
    lines: Buffer<f32>,
    lines_dot: Buffer<f32>,
    partials: Buffer<f32>,
}

/// The sizes of a call: rows of the range, the first of them, layers, columns, columns of a query.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    first: usize,
    n_hops: usize,
    dim: usize,
    key_dim: usize,
    bound: f32,
    scale: f32,
    /// `1 / (K + 1)`.
    share: f32,
}

impl Sizes {
    fn new(shape: &DotShape, range: &Range<usize>) -> Sizes {
        Sizes {
            n: range.len(),
            first: range.start,
            n_hops: shape.n_hops(),
            dim: shape.dim,
            key_dim: shape.key_dim,
            bound: shape.bound,
            scale: shape.scale(),
            share: 1.0 / shape.n_hops() as f32,
        }
    }

    fn is_empty(self) -> bool {
        self.n == 0 || self.dim == 0
    }

    fn stacked(self) -> usize {
        self.n_hops * self.n
    }
}

/// `out = x W` for stacked rows `x [rows, dim]` and `W [dim, width]` at `at` in the parameters.
fn across(
    gpu: &Gpu,
    (rows, dim, width): (usize, usize, usize),
    x: &Buffer<f32>,
    (parameters, at): (&Buffer<f32>, usize),
    out: &mut Buffer<f32>,
) {
    product(gpu, (rows, width, dim), (x, Lying::rows(0, dim)), (parameters, Lying::columns(at, width)), None, out);
}

/// `out[r, j] = scale <a_r, b_j>` for each row.
fn cross_dots(
    gpu: &Gpu,
    n: usize,
    width: usize,
    (a, n_a): (&Buffer<f32>, usize),
    (b, n_b): (&Buffer<f32>, usize),
    scale: f32,
    out: &mut Buffer<f32>,
) {
    assert!(a.len() == n_a * n * width && b.len() == n_b * n * width);
    out.resize_on(gpu, n_a * n_b * n);
    // SAFETY: the kernel stays below the length of `out`, a number for each pair of layers and row, whose rows are inside by the lengths just asserted.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(out.len()),
            cross_dots_kernel,
            a.argument(),
            b.argument(),
            out.argument(),
            n as u32,
            width as u32,
            n_b as u32,
            scale
        );
    }
}

/// Queries, keys, scores and softmax of the rows of `range`, and their mean weights from row `first` of `means` on.
fn attend(
    gpu: &Gpu,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: &Range<usize>,
    (means, first): (&mut Buffer<f32>, usize),
    scratch: &mut Scratch,
) {
    let Sizes { n, n_hops, dim, key_dim, bound, scale, share, .. } = Sizes::new(shape, range);
    let Scratch { stack, queries, keys, scores, softmax, .. } = scratch;
    stack_rows(gpu, dim, hops, range, stack);
    across(gpu, (n_hops * n, dim, key_dim), stack, (parameters, shape.query().start), queries);
    across(gpu, (n_hops * n, dim, key_dim), stack, (parameters, shape.key().start), keys);
    cross_dots(gpu, n, key_dim, (queries, n_hops), (keys, n_hops), scale, scores);
    softmax.resize_on(gpu, n_hops * n_hops * n);
    assert!(means.len() >= (first + n) * n_hops);
    // SAFETY: the kernel stays below the rows of the range; there is a score and a weight for each of its pairs of layers, a mean weight for each of its
    // layers by the length just asserted, and theta is the first n_hops of the parameters.
    unsafe {
        launch!(
            gpu,
            cubes_for(n),
            attend_kernel,
            scores.argument(),
            parameters.argument(),
            softmax.argument(),
            means.argument(),
            first as u32,
            n as u32,
            bound,
            share,
            n_hops
        );
    }
}

pub(super) fn forward(
    gpu: &Gpu,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    pooled: &mut Buffer<f32>,
    attention: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let sizes @ Sizes { n, first, n_hops, dim, .. } = Sizes::new(shape, &range);
    if sizes.is_empty() {
        return;
    }
    attend(gpu, shape, parameters, hops, &range, (attention, first), scratch);
    let Scratch { stack, mix, lines, .. } = scratch;
    mix.resize_on(gpu, n * dim);
    pool(gpu, (n, dim, n_hops), (attention, first), stack, (mix, 0), false);
    across(gpu, (n, dim, dim), mix, (parameters, shape.value().start), lines);
    copy(gpu, lines, 0, pooled, first * dim, n * dim);
}

pub(super) fn backward(
    gpu: &Gpu,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    g: &Buffer<f32>,
    direct: &mut [Buffer<f32>],
    d_parameters: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let sizes @ Sizes { n, first, n_hops, dim, key_dim, bound, scale, share } = Sizes::new(shape, &range);
    if sizes.is_empty() {
        // Nothing came, so nothing goes back: an empty sum for every parameter.
        sum_partials(gpu, parameters, d_parameters.len(), 0, d_parameters, 0);
        return;
    }
    let mut means = std::mem::take(&mut scratch.means);
    means.resize_on(gpu, n * n_hops);
    attend(gpu, shape, parameters, hops, &range, (&mut means, 0), scratch);
    let Scratch { stack, to_queries, to_keys, queries, keys, d_queries, d_keys, scores, softmax, .. } = scratch;
    let Scratch { slopes, values, through, mix, lines: y, partials, .. } = scratch;
    let value = (parameters, Lying::rows(shape.value().start, dim));
    product(gpu, (n, dim, dim), (g, Lying::rows(first * dim, dim)), value, None, y);
    mix.resize_on(gpu, n * dim);
    pool(gpu, (n, dim, n_hops), (&means, 0), stack, (mix, 0), false);
    cross_dots(gpu, n, dim, (y, 1), (stack, n_hops), 1.0, values);
    slopes.resize_on(gpu, n_hops * n_hops * n);
    through.resize_on(gpu, n_hops * n);
    // SAFETY: the kernel stays below the rows of the range; scores, softmax and slopes have a number for each of its pairs of layers, values and what goes
    // to theta one for each of its layers.
    unsafe {
        launch!(
            gpu,
            cubes_for(n),
            slopes_kernel,
            scores.argument(),
            softmax.argument(),
            values.argument(),
            slopes.argument(),
            through.argument(),
            n as u32,
            bound,
            share,
            scale,
            n_hops
        );
    }
    line_sums(gpu, through, n_hops, n, d_parameters);
    let g_columns = (g, Lying::columns(first * dim, dim));
    let mixed = (&*mix, Lying::columns(0, dim));
    deep_product(gpu, (dim, dim, n), mixed, g_columns, partials, (d_parameters, shape.value().start));
    let rows = sizes.stacked();
    for (x, d, part, back, turned) in [
        (&*keys, d_queries, shape.query(), &mut *to_queries, false),
        (&*queries, d_keys, shape.key(), &mut *to_keys, true),
    ] {
        d.resize_on(gpu, rows * key_dim);
        // SAFETY: the kernel stays below the length of `d`, as long as `x`; there is a slope for each row and pair of layers.
        unsafe {
            let (cubes, width) = (cubes_for(rows * key_dim), key_dim as u32);
            let (slopes, x, d) = (&*slopes, x, &*d);
            launch!(
                gpu,
                cubes,
                mix_kernel,
                slopes.argument(),
                x.argument(),
                d.argument(),
                n as u32,
                width,
                n_hops,
                turned
            );
        }
        let (left, right) = ((&*stack, Lying::columns(0, dim)), (&*d, Lying::columns(0, key_dim)));
        deep_product(gpu, (dim, key_dim, rows), left, right, partials, (d_parameters, part.start));
        let matrix = (parameters, Lying::rows(part.start, key_dim));
        product(gpu, (rows, dim, key_dim), (d, Lying::rows(0, key_dim)), matrix, None, back);
    }
    for (layer, direct) in direct.iter_mut().enumerate() {
        // SAFETY: the kernel stays below the elements of the range, which `dot_backward` checked to be inside `direct`; `y` has as many, and what goes
        // back to the stack has as many for each layer.
        unsafe {
            launch!(
                gpu,
                cubes_for(n * dim),
                direct_kernel,
                means.argument(),
                y.argument(),
                to_queries.argument(),
                to_keys.argument(),
                direct.argument(),
                first as u32,
                n as u32,
                dim as u32,
                layer as u32,
                n_hops
            );
        }
    }
    scratch.means = means;
}

pub(super) fn tangent(
    gpu: &Gpu,
    shape: &DotShape,
    parameters: &Buffer<f32>,
    (hops, d_hops): (&[Buffer<f32>], &[Buffer<f32>]),
    range: Range<usize>,
    moved: &Buffer<f32>,
    d_pooled: &mut Buffer<f32>,
    scratch: &mut Scratch,
) {
    let sizes @ Sizes { n, first, n_hops, dim, key_dim, bound, scale, share } = Sizes::new(shape, &range);
    if sizes.is_empty() {
        return;
    }
    let mut means = std::mem::take(&mut scratch.means);
    means.resize_on(gpu, n * n_hops);
    attend(gpu, shape, parameters, hops, &range, (&mut means, 0), scratch);
    let Scratch { stack, stack_dot, queries, keys, d_queries, d_keys, part, scores, softmax, slopes, .. } = scratch;
    let Scratch { others, means_dot, mix, mix_dot, lines, lines_dot, .. } = scratch;
    stack_rows(gpu, dim, d_hops, &range, stack_dot);
    let stacked = (sizes.stacked(), dim, key_dim);
    for (out, at) in [(&mut *d_queries, shape.query().start), (&mut *d_keys, shape.key().start)] {
        across(gpu, stacked, stack_dot, (parameters, at), out);
        across(gpu, stacked, stack, (moved, at), part);
        accumulate(gpu, 1.0, part, 0..stacked.0 * key_dim, true, out);
    }
    cross_dots(gpu, n, key_dim, (d_queries, n_hops), (keys, n_hops), scale, slopes);
    cross_dots(gpu, n, key_dim, (queries, n_hops), (d_keys, n_hops), scale, others);
    means_dot.resize_on(gpu, n * n_hops);
    // SAFETY: the kernel stays below the rows of the range; all but theta and the means have a number for each of its pairs of layers, the means one for
    // each of its layers.
    unsafe {
        launch!(
            gpu,
            cubes_for(n),
            means_dot_kernel,
            scores.argument(),
            softmax.argument(),
            slopes.argument(),
            others.argument(),
            moved.argument(),
            means_dot.argument(),
            n as u32,
            bound,
            share,
            n_hops
        );
    }
    mix.resize_on(gpu, n * dim);
    mix_dot.resize_on(gpu, n * dim);
    let sizes = (n, dim, n_hops);
    pool(gpu, sizes, (&means, 0), stack, (mix, 0), false);
    pool(gpu, sizes, (means_dot, 0), stack, (mix_dot, 0), false);
    pool(gpu, sizes, (&means, 0), stack_dot, (mix_dot, 0), true);
    across(gpu, (n, dim, dim), mix_dot, (parameters, shape.value().start), lines);
    across(gpu, (n, dim, dim), mix, (moved, shape.value().start), lines_dot);
    accumulate(gpu, 1.0, lines_dot, 0..n * dim, true, lines);
    copy(gpu, lines, 0, d_pooled, first * dim, n * dim);
    scratch.means = means;
}
