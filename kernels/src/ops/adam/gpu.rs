//! The optimisers on a GPU: one unit per element.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::{ADAGRAD_EPSILON, Factors};
use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn adam_kernel(
    gradient: &Array<f32>,
    m: &mut Array<f32>,
    v: &mut Array<f32>,
    parameters: &mut Array<f32>,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    step_size: f32,
    root_scale: f32,
    epsilon: f32,
) {
    let at = ABSOLUTE_POS;
    if at < parameters.len() {
        let g = gradient[at];
        let mean = beta1 * m[at] + rest1 * g;
        let square = beta2 * v[at] + rest2 * (g * g);
        m[at] = mean;
        v[at] = square;
        parameters[at] -= step_size * mean / (f32::sqrt(square) * root_scale + epsilon);
    }
}

#[cube(launch_unchecked)]
fn adagrad_kernel(gradient: &Array<f32>, v: &mut Array<f32>, parameters: &mut Array<f32>, learning_rate: f32) {
    let at = ABSOLUTE_POS;
    if at < parameters.len() {
        let g = gradient[at];
        let squares = v[at] + g * g;
        v[at] = squares;
        parameters[at] -= learning_rate * g / f32::sqrt(squares + f32::new(ADAGRAD_EPSILON));
    }
}

#[cube(launch_unchecked)]
fn sgd_kernel(gradient: &Array<f32>, parameters: &mut Array<f32>, learning_rate: f32) {
    let at = ABSOLUTE_POS;
    if at < parameters.len() {
        parameters[at] -= learning_rate * gradient[at];
    }
}

pub(super) fn adam(
    gpu: &Gpu,
    factors: Factors,
    gradient: &Buffer<f32>,
    m: &mut Buffer<f32>,
    v: &mut Buffer<f32>,
    parameters: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of parameters, and `adam_step` checked that all
    // four are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(parameters.len()),
            adam_kernel,
            gradient.argument(),
            m.argument(),
            v.argument(),
            parameters.argument(),
            factors.beta1,
            factors.rest1,
            factors.beta2,
            factors.rest2,
            factors.step_size,
            factors.root_scale,
            factors.epsilon
        );
    }
}

pub(super) fn adagrad(
    gpu: &Gpu,
    learning_rate: f32,
    gradient: &Buffer<f32>,
    v: &mut Buffer<f32>,
    parameters: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the number of parameters, and `adagrad_step` checked that all
    // three are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(parameters.len()),
            adagrad_kernel,
            gradient.argument(),
            v.argument(),
            parameters.argument(),
            learning_rate
        );
    }
}

pub(super) fn sgd(gpu: &Gpu, learning_rate: f32, gradient: &Buffer<f32>, parameters: &mut Buffer<f32>) {
    // SAFETY: the kernel stays below the number of parameters, and `sgd_step` checked that the
    // gradient is as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(parameters.len()),
            sgd_kernel,
            gradient.argument(),
            parameters.argument(),
            learning_rate
        );
    }
}
