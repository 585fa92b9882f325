//! The motion of an Adam step on a GPU: one unit per element, in f32. The form that it works out
//! has no difference of nearly equal numbers but the one that is in the slope itself.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::{AdamStart, Slope};
use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn motion_kernel(
    gradient: &Array<f32>,
    m: &Array<f32>,
    v: &Array<f32>,
    gradient_dot: &Array<f32>,
    motion: &mut Array<f32>,
    beta2: f32,
    rest2: f32,
    root_scale: f32,
    epsilon: f32,
    by_square: f32,
    by_mean: f32,
    at_rest: f32,
    learning_rate: f32,
) {
    let at = ABSOLUTE_POS;
    if at < motion.len() {
        let g = gradient[at];
        let past = v[at];
        let square = beta2 * past + rest2 * (g * g);
        let mut moved = f32::new(0.0);
        if square > f32::new(0.0) {
            let root = f32::sqrt(square) * root_scale;
            let r = root + epsilon;
            let bent = (by_square * past - by_mean * m[at] * g) / root;
            moved = -learning_rate * ((bent + at_rest) / r / r) * gradient_dot[at];
        }
        motion[at] = moved;
    }
}

pub(super) fn motion(
    gpu: &Gpu,
    slope: &Slope,
    AdamStart { gradient, m, v }: AdamStart<'_>,
    gradient_dot: &Buffer<f32>,
    motion: &mut Buffer<f32>,
) {
    // SAFETY: the kernel stays below the length of `motion`, and `adam_tangent` checked that all
    // others are as long.
    unsafe {
        launch!(
            gpu,
            cubes_for(motion.len()),
            motion_kernel,
            gradient.argument(),
            m.argument(),
            v.argument(),
            gradient_dot.argument(),
            motion.argument(),
            slope.beta2 as f32,
            slope.rest2 as f32,
            slope.root_scale as f32,
            slope.epsilon as f32,
            slope.by_square as f32,
            slope.by_mean as f32,
            slope.at_rest as f32,
            slope.learning_rate as f32
        );
    }
}
