//! Weights by losses on a GPU: one unit per example asks the network, one cube divides by the mean.

use cubecl::prelude::*;

use super::LEAST;
use crate::Buffer;
use crate::gpu::cubes::sigmoid;
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::shares::gpu::{Parts, share};

#[cube(launch_unchecked)]
fn answer_kernel(parameters: &Array<f32>, losses: &Array<f32>, answers: &mut Array<f32>, hidden: u32) {
    let at = ABSOLUTE_POS;
    if at < answers.len() {
        let (n, loss) = (hidden as usize, losses[at]);
        let mut sum = parameters[3 * n];
        for unit in 0..n {
            let before = f32::max(parameters[unit] * loss + parameters[n + unit], f32::new(0.0));
            sum += parameters[2 * n + unit] * before;
        }
        answers[at] = sigmoid(sum);
    }
}

pub(super) fn weigh(gpu: &Gpu, parameters: &Buffer<f32>, scale: f64, losses: &Buffer<f32>, weights: &mut Buffer<f32>) {
    let n = losses.len();
    let answers = Buffer::from_gpu(gpu.empty::<f32>(n));
    // SAFETY: the kernel stays below the number of answers, of which there is one for each loss;
    // `loss_weights` checked the number of parameters.
    unsafe {
        launch!(
            gpu,
            cubes_for(n),
            answer_kernel,
            parameters.argument(),
            losses.argument(),
            answers.argument(),
            (parameters.len() / 3) as u32
        );
    }
    share(gpu, Parts::All { least: (LEAST * n as f64) as f32 }, scale * n as f64, &answers, weights);
}
