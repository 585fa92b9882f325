//! Pointwise losses on a GPU: one unit per example.

use cubecl::prelude::*;

use super::PointLoss;
use crate::Buffer;
use crate::gpu::cubes::{sigmoid, softplus};
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn forward_kernel(
    s: &Array<f32>,
    y: &Array<f32>,
    loss: &mut Array<f32>,
    slope: &mut Array<f32>,
    #[comptime] squared: bool,
) {
    let at = ABSOLUTE_POS;
    if at < loss.len() {
        if comptime!(squared) {
            let residual = s[at] - y[at];
            loss[at] = residual * residual;
            slope[at] = f32::new(2.0) * residual;
        } else {
            let behind = -y[at] * s[at];
            loss[at] = softplus(behind);
            slope[at] = -y[at] * sigmoid(behind);
        }
    }
}

#[cube(launch_unchecked)]
fn tangent_kernel(slope: &Array<f32>, s_dot: &Array<f32>, loss_dot: &mut Array<f32>) {
    let at = ABSOLUTE_POS;
    if at < loss_dot.len() {
        loss_dot[at] = slope[at] * s_dot[at];
    }
}

pub(super) fn forward(
    gpu: &Gpu,
    kind: PointLoss,
    s: &Buffer<f32>,
    y: &Buffer<f32>,
    loss: &mut Buffer<f32>,
    slope: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of losses, and all four are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(loss.len()),
            forward_kernel,
            s.argument(),
            y.argument(),
            loss.argument(),
            slope.argument(),
            kind == PointLoss::Squared
        );
    }
}

pub(super) fn tangent(gpu: &Gpu, slope: &Buffer<f32>, s_dot: &Buffer<f32>, loss_dot: &mut Buffer<f32>) {
    // SAFETY: the kernel stays below the number of losses, and all three are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(loss_dot.len()),
            tangent_kernel,
            slope.argument(),
            s_dot.argument(),
            loss_dot.argument()
        );
    }
}
