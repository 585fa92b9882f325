//! The three passes of dot attention.

use super::kernels::{direct_kernel, means_dot_kernel, mix_kernel, slopes_kernel};
use super::{Scratch, Sizes, across, attend, cross_dots};
use crate::Buffer;
use crate::gpu::tile::{Lying, deep_product, product};
use crate::gpu::{cubes_for, launch};
use crate::ops::combine::attention::{Input, OnGpu, Pooled, Reached};
use crate::ops::combine::dot::DotShape;
use crate::ops::combine::gpu::{line_sums, pool, stack_rows};
use crate::ops::combine::layers::{Gradients, Layers, Motion};
use crate::ops::combine::weighted::gpu::accumulate;
use crate::ops::copy_rows::gpu::copy;

impl OnGpu for DotShape {
    type GpuScratch = Scratch;

    fn forward_on(&self, input: Input<'_>, out: Pooled<'_>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers } = input;
        let Sizes { n, first, n_hops, dim, .. } = Sizes::new(self, layers);
        let Pooled { pooled, attention } = out;
        attend(self, input, (attention, first), scratch);
        let Scratch { stack, mix, lines, .. } = scratch;
        mix.resize_on(gpu, n * dim);
        pool(gpu, (n, dim, n_hops), (attention, first), stack, (mix, 0), false);
        across(gpu, (n, dim, dim), mix, (parameters, self.value().start), lines);
        copy(gpu, lines, 0, pooled, first * dim, n * dim);
    }

    fn backward_on(&self, input: Input<'_>, reached: Reached<'_>, gradients: Gradients<'_>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers } = input;
        let sizes @ Sizes { n, first, n_hops, dim, key_dim, bound, scale, share } = Sizes::new(self, layers);
        let Gradients { direct, parameters: d_parameters } = gradients;
        let g = reached.g;
        let mut means = std::mem::take(&mut scratch.means);
        means.resize_on(gpu, n * n_hops);
        attend(self, input, (&mut means, 0), scratch);
        let Scratch { stack, to_queries, to_keys, queries, keys, d_queries, d_keys, scores, softmax, .. } = scratch;
        let Scratch { slopes, values, through, mix, lines: y, partials, .. } = scratch;
        let value = (parameters, Lying::rows(self.value().start, dim));
        product(gpu, (n, dim, dim), (g, Lying::rows(first * dim, dim)), value, None, y);
        mix.resize_on(gpu, n * dim);
        pool(gpu, (n, dim, n_hops), (&means, 0), stack, (mix, 0), false);
        cross_dots(gpu, n, dim, (y, 1), (stack, n_hops), 1.0, values);
        slopes.resize_on(gpu, n_hops * n_hops * n);
        through.resize_on(gpu, n_hops * n);
        // SAFETY: the kernel stays below the rows of the range; scores, softmax and slopes have a
        // number for each of its pairs of layers, values and what goes to theta one for each of its
        // layers.
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
        deep_product(gpu, (dim, dim, n), mixed, g_columns, partials, (d_parameters, self.value().start));
        let rows = sizes.stacked();
        for (x, d, part, back, turned) in [
            (&*keys, d_queries, self.query(), &mut *to_queries, false),
            (&*queries, d_keys, self.key(), &mut *to_keys, true),
        ] {
            d.resize_on(gpu, rows * key_dim);
            // SAFETY: the kernel stays below the length of `d`, as long as `x`; there is a slope
            // for each row and pair of layers.
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
            // SAFETY: the kernel stays below the elements of the range, which the caller checked to
            // be inside `direct`; `y` has as many, and what goes back to the stack has as many for
            // each layer.
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

    fn tangent_on(&self, input: Input<'_>, motion: Motion<'_>, d_pooled: &mut Buffer<f32>, scratch: &mut Scratch) {
        let Input { gpu, parameters, layers } = input;
        let sizes @ Sizes { n, first, n_hops, dim, key_dim, bound, scale, share } = Sizes::new(self, layers);
        let moved = motion.parameters;
        let mut means = std::mem::take(&mut scratch.means);
        means.resize_on(gpu, n * n_hops);
        attend(self, input, (&mut means, 0), scratch);
        let Scratch { stack, stack_dot, queries, keys, d_queries, d_keys, part, scores, softmax, slopes, .. } = scratch;
        let Scratch { others, means_dot, mix, mix_dot, lines, lines_dot, .. } = scratch;
        stack_rows(gpu, &Layers { hops: motion.hops, ..layers.clone() }, stack_dot);
        let stacked = (sizes.stacked(), dim, key_dim);
        for (out, at) in [(&mut *d_queries, self.query().start), (&mut *d_keys, self.key().start)] {
            across(gpu, stacked, stack_dot, (parameters, at), out);
            across(gpu, stacked, stack, (moved, at), part);
            accumulate(gpu, 1.0, part, 0..stacked.0 * key_dim, true, out);
        }
        cross_dots(gpu, n, key_dim, (d_queries, n_hops), (keys, n_hops), scale, slopes);
        cross_dots(gpu, n, key_dim, (queries, n_hops), (d_keys, n_hops), scale, others);
        means_dot.resize_on(gpu, n * n_hops);
        // SAFETY: the kernel stays below the rows of the range; all but theta and the means have a
        // number for each of its pairs of layers, the means one for each of its layers.
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
        across(gpu, (n, dim, dim), mix_dot, (parameters, self.value().start), lines);
        across(gpu, (n, dim, dim), mix, (moved, self.value().start), lines_dot);
        accumulate(gpu, 1.0, lines_dot, 0..n * dim, true, lines);
        copy(gpu, lines, 0, d_pooled, first * dim, n * dim);
        scratch.means = means;
    }
}
