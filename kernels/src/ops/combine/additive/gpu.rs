//! Additive attention on a GPU. The rows of all layers are stacked, so that one product serves
//! every layer; activations are worked out again on the way back, and the gradient of the
//! parameters is summed in parts whose number depends on the number of rows alone.

use super::AdditiveShape;
use crate::Buffer;
use crate::gpu::cubes::cubes_for_rows;
use crate::gpu::tile::{Lying, deep_product, product, sum_partials};
use crate::gpu::{UNITS, cubes_for, launch};
use crate::ops::combine::attention::{Input, OnGpu, Pooled, Reached};
use crate::ops::combine::gpu::{line_sums, pool, stack_rows};
use crate::ops::combine::layers::{Gradients, Layers, Motion};

mod kernels;

use kernels::{
    attend_kernel, deltas_kernel, direct_kernel, pool_dot_kernel, score_dots_kernel, score_kernel, slopes_kernel,
};

/// Rows whose share of a column's sum one cube takes.
const CHUNK: usize = 256;
/// Columns that a cube sums at once, and the units that share each.
const COLUMNS: usize = 64;
const SLOTS: usize = UNITS as usize / COLUMNS;

/// Kept from call to call; a fresh one is as good.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// The rows of a range, layer after layer: `[(K + 1) n, dim]`.
    stack: Buffer<f32>,
    stack_dot: Buffer<f32>,
    /// `tanh(W e + b)` of the stacked rows, later what is handed back: `[(K + 1) n, hidden]`.
    hidden: Buffer<f32>,
    hidden_dot: Buffer<f32>,
    hidden_moved: Buffer<f32>,
    /// Per layer and row, `[K + 1, n]`.
    scores: Buffer<f32>,
    slopes: Buffer<f32>,
    through: Buffer<f32>,
    partials: Buffer<f32>,
    back: Buffer<f32>,
}

/// Stacks the rows, and works out `hidden` and `scores` of them.
fn score(shape: &AdditiveShape, Input { gpu, parameters, layers }: Input<'_>, scratch: &mut Scratch) {
    let Scratch { stack, hidden, scores, .. } = scratch;
    let (dim, rows) = (shape.dim, layers.hops.len() * layers.range.len());
    stack_rows(gpu, layers, stack);
    let weight = (parameters, Lying::rows(shape.weight().start, dim));
    let bias = Some((parameters, shape.bias().start));
    product(gpu, (rows, shape.hidden, dim), (stack, Lying::rows(0, dim)), weight, bias, hidden);
    scores.resize_on(gpu, rows);
    // SAFETY: the kernel stays below the number of scores, one for each row of `hidden`; the query
    // is inside the parameters.
    unsafe {
        launch!(
            gpu,
            cubes_for_rows(rows),
            score_kernel,
            hidden.argument(),
            parameters.argument(),
            scores.argument(),
            shape.query().start as u32,
            shape.hidden as u32
        );
    }
}

impl OnGpu for AdditiveShape {
    type GpuScratch = Scratch;

    fn forward_on(&self, input: Input<'_>, out: Pooled<'_>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers: Layers { dim, hops, range } } = input;
        let (n, first, n_hops) = (range.len(), range.start, hops.len());
        score(self, input, scratch);
        // SAFETY: the kernel stays below the rows of the range, which the caller checked to be
        // inside `attention`; there is a score for each layer and row of the range.
        unsafe {
            launch!(
                gpu,
                cubes_for(n),
                attend_kernel,
                scratch.scores.argument(),
                parameters.argument(),
                out.attention.argument(),
                first as u32,
                n as u32,
                self.bound,
                self.temperature,
                n_hops
            );
        }
        pool(gpu, (n, *dim, n_hops), (out.attention, first), &scratch.stack, (out.pooled, first), false);
    }

    fn backward_on(&self, input: Input<'_>, reached: Reached<'_>, gradients: Gradients<'_>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers } = input;
        let Reached { attention, g } = reached;
        let Gradients { direct, parameters: d_parameters } = gradients;
        let (n, first, n_hops, dim) = (layers.range.len(), layers.range.start as u32, layers.hops.len(), self.dim);
        score(self, input, scratch);
        let (rows, width) = (n_hops * n, self.hidden);
        let Scratch { stack, hidden, scores, slopes, through, partials, back, .. } = scratch;
        slopes.resize_on(gpu, rows);
        through.resize_on(gpu, rows);
        let (chunks, blocks) = (rows.div_ceil(CHUNK), width.div_ceil(COLUMNS));
        partials.resize_on(gpu, chunks * 2 * width);
        // SAFETY: the kernels stay below the rows of the range, or below its rows in all layers,
        // which is the length of `scores`, `slopes` and `through` and the number of rows of `stack`
        // and `hidden`; `partials` has room for every chunk.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(n),
                slopes_kernel,
                attention.argument(),
                stack.argument(),
                g.argument(),
                scores.argument(),
                slopes.argument(),
                through.argument(),
                first,
                n as u32,
                dim as u32,
                self.bound,
                self.temperature,
                n_hops
            );
            launch!(
                gpu,
                chunks * blocks,
                deltas_kernel,
                through.argument(),
                parameters.argument(),
                hidden.argument(),
                partials.argument(),
                self.query().start as u32,
                width as u32,
                blocks as u32
            );
        }
        line_sums(gpu, slopes, n_hops, n, d_parameters);
        // The gradients of the bias and of the query follow each other, as the two do.
        sum_partials(gpu, partials, 2 * width, chunks, d_parameters, self.bias().start);
        let (deltas, rows_of) = ((&*hidden, Lying::columns(0, width)), (&*stack, Lying::columns(0, dim)));
        deep_product(gpu, (width, dim, rows), deltas, rows_of, partials, (d_parameters, self.weight().start));
        let weight = (parameters, Lying::columns(self.weight().start, dim));
        product(gpu, (rows, dim, width), (hidden, Lying::rows(0, width)), weight, None, back);
        for (layer, direct) in direct.iter_mut().enumerate() {
            // SAFETY: the kernel stays below the elements of the range, which the caller checked to
            // be inside `g` and `direct`.
            unsafe {
                launch!(
                    gpu,
                    cubes_for(n * dim),
                    direct_kernel,
                    attention.argument(),
                    g.argument(),
                    back.argument(),
                    direct.argument(),
                    first,
                    n as u32,
                    dim as u32,
                    layer as u32,
                    n_hops
                );
            }
        }
    }

    fn tangent_on(&self, input: Input<'_>, motion: Motion<'_>, d_pooled: &mut Buffer<f32>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers } = input;
        let (range, moved) = (&layers.range, motion.parameters);
        let (n, n_hops, dim, width) = (range.len(), layers.hops.len(), self.dim, self.hidden);
        score(self, input, scratch);
        let Scratch { stack, stack_dot, hidden, hidden_dot, hidden_moved, scores, slopes, .. } = scratch;
        stack_rows(gpu, &Layers { hops: motion.hops, ..layers.clone() }, stack_dot);
        let (rows, lies) = (n_hops * n, Lying::rows(self.weight().start, dim));
        product(gpu, (rows, width, dim), (stack_dot, Lying::rows(0, dim)), (parameters, lies), None, hidden_dot);
        product(gpu, (rows, width, dim), (stack, Lying::rows(0, dim)), (moved, lies), None, hidden_moved);
        slopes.resize_on(gpu, rows);
        // SAFETY: the kernels stay below the stacked rows, or below the elements of the range,
        // which the caller checked to be inside `d_pooled`; both parameter arrays have the length
        // of the self.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(rows),
                score_dots_kernel,
                hidden.argument(),
                hidden_dot.argument(),
                hidden_moved.argument(),
                parameters.argument(),
                moved.argument(),
                scores.argument(),
                slopes.argument(),
                self.bias().start as u32,
                self.query().start as u32,
                width as u32,
                n as u32,
                self.bound
            );
            launch!(
                gpu,
                cubes_for(n * dim),
                pool_dot_kernel,
                scores.argument(),
                slopes.argument(),
                parameters.argument(),
                stack.argument(),
                stack_dot.argument(),
                d_pooled.argument(),
                range.start as u32,
                n as u32,
                dim as u32,
                self.bound,
                self.temperature,
                n_hops
            );
        }
    }
}
