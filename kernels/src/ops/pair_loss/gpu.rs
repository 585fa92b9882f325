//! The pairwise loss on a GPU: one unit per pair.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::{sigmoid, softplus};
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn forward_kernel(s_pos: &Array<f32>, s_neg: &Array<f32>, loss: &mut Array<f32>, slope: &mut Array<f32>) {
    let at = ABSOLUTE_POS;
    if at < loss.len() {
        let behind = s_neg[at] - s_pos[at];
        loss[at] = softplus(behind);
        slope[at] = -sigmoid(behind);
    }
}

#[cube(launch_unchecked)]
fn tangent_kernel(slope: &Array<f32>, s_pos_dot: &Array<f32>, s_neg_dot: &Array<f32>, loss_dot: &mut Array<f32>) {
    let at = ABSOLUTE_POS;
    if at < loss_dot.len() {
        loss_dot[at] = slope[at] * (s_pos_dot[at] - s_neg_dot[at]);
    }
}

pub(super) fn forward(
    gpu: &Gpu,
    s_pos: &Buffer<f32>,
    s_neg: &Buffer<f32>,
    loss: &mut Buffer<f32>,
    slope: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of losses, and all four are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(loss.len()),
            forward_kernel,
            s_pos.argument(),
            s_neg.argument(),
            loss.argument(),
            slope.argument()
        );
    }
}

pub(super) fn tangent(
    gpu: &Gpu,
    slope: &Buffer<f32>,
    s_pos_dot: &Buffer<f32>,
    s_neg_dot: &Buffer<f32>,
    loss_dot: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of losses, and all four are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(loss_dot.len()),
            tangent_kernel,
            slope.argument(),
            s_pos_dot.argument(),
            s_neg_dot.argument(),
            loss_dot.argument()
        );
    }
}
