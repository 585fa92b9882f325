//! Dot attention on a GPU. The rows of all layers are stacked, so that one product makes the
//! queries of every layer; queries, keys and weights are worked out again on the way back, and the
//! gradient of the parameters is summed in parts whose number depends on the number of rows alone.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use super::DotShape;
use crate::Buffer;
use crate::gpu::cubes::cubes_for_rows;
use crate::gpu::tile::{Lying, product};
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::combine::attention::{Attention, Input};
use crate::ops::combine::gpu::stack_rows;
use crate::ops::combine::layers::Layers;

mod kernels;
mod passes;

use kernels::{attend_kernel, cross_dots_kernel};

/// Kept from call to call; a fresh one is as good.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
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
    fn new(shape: &DotShape, layers: &Layers<'_>) -> Sizes {
        Sizes {
            n: layers.range.len(),
            first: layers.range.start,
            n_hops: shape.n_hops(),
            dim: shape.dim,
            key_dim: shape.key_dim,
            bound: shape.bound,
            scale: shape.scale(),
            share: 1.0 / shape.n_hops() as f32,
        }
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
    // SAFETY: the kernel stays below the length of `out`, a number for each pair of layers and row,
    // whose rows are inside by the lengths just asserted.
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

/// Queries, keys, scores and softmax of the rows of `range`, and their mean weights from row
/// `first` of `means` on.
fn attend(
    shape: &DotShape,
    Input { gpu, parameters, layers }: Input<'_>,
    (means, first): (&mut Buffer<f32>, usize),
    scratch: &mut Scratch,
) {
    let Sizes { n, n_hops, dim, key_dim, bound, scale, share, .. } = Sizes::new(shape, layers);
    let Scratch { stack, queries, keys, scores, softmax, .. } = scratch;
    stack_rows(gpu, layers, stack);
    across(gpu, (n_hops * n, dim, key_dim), stack, (parameters, shape.query().start), queries);
    across(gpu, (n_hops * n, dim, key_dim), stack, (parameters, shape.key().start), keys);
    cross_dots(gpu, n, key_dim, (queries, n_hops), (keys, n_hops), scale, scores);
    softmax.resize_on(gpu, n_hops * n_hops * n);
    assert!(means.len() >= (first + n) * n_hops);
    // SAFETY: the kernel stays below the rows of the range; there is a score and a weight for each
    // of its pairs of layers, a mean weight for each of its layers by the length just asserted, and
    // theta is the first n_hops of the parameters.
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
