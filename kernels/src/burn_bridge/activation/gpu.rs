//! Functions of each number on a GPU: one unit per number, by the formulas of the processor.

use cubecl::prelude::*;

use super::{Activation, GELU, RELU, SIGMOID, SWISH, TANH};
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::gpu::cubes::{sigmoid, tanh};
use crate::gpu::{Gpu, cubes_for, launch};

/// `Phi(x)`, the distribution function of the normal distribution: see [`super::normal`].
#[cube]
fn normal(x: f32, bell: f32) -> f32 {
    let z = f32::abs(x) * f32::new(std::f32::consts::FRAC_1_SQRT_2);
    let t = f32::new(1.0) / (z * f32::new(0.327_591_1) + f32::new(1.0));
    let series = f32::new(1.061_405_4) * t - f32::new(1.453_152);
    let series = series * t + f32::new(1.421_413_7);
    let series = series * t - f32::new(0.284_496_74);
    let series = series * t + f32::new(0.254_829_6);
    let tail = f32::new(0.5) * series * t * bell;
    let mut share = f32::new(1.0) - tail;
    if x < f32::new(0.0) {
        share = tail;
    }
    share
}

/// The value of the function at each `x`, or with `derive` its derivative times what is in
/// `gradient`.
#[cube(launch_unchecked)]
fn activation_kernel(
    x: &Array<f32>,
    gradient: &Array<f32>,
    y: &mut Array<f32>,
    #[comptime] kind: u8,
    #[comptime] derive: bool,
) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        let x = x[at];
        let mut value = f32::max(x, f32::new(0.0));
        let mut slope = f32::new(0.0);
        if x > f32::new(0.0) {
            slope = f32::new(1.0);
        }
        if comptime!(kind == GELU) {
            let bell = f32::exp(f32::new(-0.5) * x * x);
            let share = normal(x, bell);
            value = x * share;
            slope = x * (bell * f32::new(0.398_942_3)) + share;
        }
        if comptime!(kind == SWISH) {
            let s = sigmoid(x);
            value = x * s;
            slope = s * (x * (f32::new(1.0) - s) + f32::new(1.0));
        }
        if comptime!(kind == TANH) {
            value = tanh(x);
            slope = f32::new(1.0) - value * value;
        }
        if comptime!(kind == SIGMOID) {
            value = sigmoid(x);
            slope = value * (f32::new(1.0) - value);
        }
        if comptime!(derive) {
            y[at] = gradient[at] * slope;
        } else {
            y[at] = value;
        }
    }
}

impl Activation {
    fn run_on(self, gpu: &Gpu, x: &Buffer<f32>, gradient: Option<&Buffer<f32>>) -> Buffer<f32> {
        let kind = match self {
            Activation::Gelu => GELU,
            Activation::Relu => RELU,
            Activation::Swish => SWISH,
            Activation::Tanh => TANH,
            Activation::Sigmoid => SIGMOID,
        };
        let y = empty(gpu, x.len());
        // SAFETY: the kernel stays below the number of results; inputs and gradients are as many.
        unsafe {
            launch!(
                gpu,
                cubes_for(y.len()),
                activation_kernel,
                x.argument(),
                gradient.unwrap_or(x).argument(),
                y.argument(),
                kind,
                gradient.is_some()
            );
        }
        y
    }
}

impl Passes<1> for Activation {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [x]: [Rows<'_>; 1]) -> Made<()> {
        Made { values: self.run_on(gpu, x.values, None), columns: x.columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, [x]: [Rows<'_>; 1], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 1] {
        [self.run_on(gpu, x.values, Some(gradient.values))]
    }
}
