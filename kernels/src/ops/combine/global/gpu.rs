//! Learned weights per layer on a GPU: the weights are worked out by one unit, layers are added by
//! one unit per element.

use std::ops::Range;

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::combine::layers::{Gradients, Layers, Motion};
use crate::ops::combine::weighted::gpu::{DOT_CUBES, layer_dots};

/// `alpha = softmax(theta)`; with a motion `x` also `alpha_dot = alpha (x - sum_j alpha_j x_j)`,
/// where `x_k` is the sum of `parts` numbers of its own.
#[cube(launch_unchecked)]
fn weights_kernel(
    theta: &Array<f32>,
    x: &Array<f32>,
    alpha: &mut Array<f32>,
    alpha_dot: &mut Array<f32>,
    parts: u32,
    #[comptime] n_hops: usize,
    #[comptime] moving: bool,
) {
    if ABSOLUTE_POS == 0 {
        let mut weights = Array::<f32>::new(n_hops);
        let mut largest = theta[0];
        #[unroll]
        for k in 0..n_hops {
            largest = f32::max(largest, theta[k]);
        }
        let mut sum = f32::new(0.0);
        #[unroll]
        for k in 0..n_hops {
            let weight = f32::exp(theta[k] - largest);
            weights[k] = weight;
            sum += weight;
        }
        #[unroll]
        for k in 0..n_hops {
            weights[k] /= sum;
            alpha[k] = weights[k];
        }
        if comptime!(moving) {
            let parts = parts as usize;
            let mut motion = Array::<f32>::new(n_hops);
            let mut mean = f32::new(0.0);
            #[unroll]
            for k in 0..n_hops {
                let mut total = f32::new(0.0);
                for part in 0..parts {
                    total += x[k * parts + part];
                }
                motion[k] = total;
                mean += weights[k] * total;
            }
            #[unroll]
            for k in 0..n_hops {
                alpha_dot[k] = weights[k] * (motion[k] - mean);
            }
        }
    }
}

/// `to = weights[k] * from` on a range, or added to what is there: one unit per element.
#[cube(launch_unchecked)]
fn scale_kernel(
    from: &Array<f32>,
    weights: &Array<f32>,
    to: &mut Array<f32>,
    k: u32,
    first: u32,
    n: u32,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS < n as usize {
        let at = first as usize + ABSOLUTE_POS;
        let product = weights[k as usize] * from[at];
        if comptime!(add) {
            to[at] += product;
        } else {
            to[at] = product;
        }
    }
}

/// The weights; with a motion, `alpha_dot` gets theirs.
fn weights(gpu: &Gpu, theta: &Buffer<f32>, motion: Option<(&Buffer<f32>, usize, &mut Buffer<f32>)>) -> Buffer<f32> {
    let (n_hops, mut alpha, moving) = (theta.len(), Buffer::default(), motion.is_some());
    alpha.resize_on(gpu, n_hops);
    let mut none = Buffer::default();
    let (x, parts, alpha_dot) = motion.unwrap_or((theta, 1, &mut none));
    alpha_dot.resize_on(gpu, n_hops);
    assert!(x.len() >= n_hops * parts);
    // SAFETY: one unit reads and writes `n_hops` numbers, which all arrays have, and `parts` times
    // as many of `x`, as was just asserted.
    unsafe {
        launch!(
            gpu,
            1,
            weights_kernel,
            theta.argument(),
            x.argument(),
            alpha.argument(),
            alpha_dot.argument(),
            parts as u32,
            n_hops,
            moving
        );
    }
    alpha
}

fn scale(
    gpu: &Gpu,
    (weights, k): (&Buffer<f32>, usize),
    from: &Buffer<f32>,
    cells: &Range<usize>,
    add: bool,
    to: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays inside the range, which the callers' callers checked to be inside
    // both; there is a weight for each layer.
    unsafe {
        launch!(
            gpu,
            cubes_for(cells.len()),
            scale_kernel,
            from.argument(),
            weights.argument(),
            to.argument(),
            k as u32,
            cells.start as u32,
            cells.len() as u32,
            add
        );
    }
}

pub(super) fn forward(gpu: &Gpu, theta: &Buffer<f32>, layers: &Layers<'_>, pooled: &mut Buffer<f32>) {
    let alpha = weights(gpu, theta, None);
    for (k, hop) in layers.hops.iter().enumerate() {
        scale(gpu, (&alpha, k), hop, &layers.cells(), k > 0, pooled);
    }
}

pub(super) fn backward(gpu: &Gpu, theta: &Buffer<f32>, layers: &Layers<'_>, g: &Buffer<f32>, gradients: Gradients<'_>) {
    let (cells, mut shares) = (layers.cells(), Buffer::default());
    layer_dots(gpu, layers.hops, g, cells.clone(), &mut shares);
    let alpha = weights(gpu, theta, Some((&shares, DOT_CUBES, gradients.parameters)));
    for (k, direct) in gradients.direct.iter_mut().enumerate() {
        scale(gpu, (&alpha, k), g, &cells, false, direct);
    }
}

pub(super) fn tangent(
    gpu: &Gpu,
    theta: &Buffer<f32>,
    layers: &Layers<'_>,
    motion: Motion<'_>,
    d_pooled: &mut Buffer<f32>,
) {
    let (cells, mut alpha_dot) = (layers.cells(), Buffer::default());
    let alpha = weights(gpu, theta, Some((motion.parameters, 1, &mut alpha_dot)));
    for (k, (hop, d_hop)) in layers.hops.iter().zip(motion.hops).enumerate() {
        scale(gpu, (&alpha, k), d_hop, &cells, k > 0, d_pooled);
        scale(gpu, (&alpha_dot, k), hop, &cells, true, d_pooled);
    }
}
