//! Optimiser steps: Adam in one pass over parameters and moments, Adagrad, and plain gradient
//! descent.

use rayon::prelude::*;

use crate::dispatch;
use crate::error::{Result, expect_len};
use crate::parallel::ELEMENTS_PER_TASK;
use crate::simd::mul_add;
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

/// Added to Adagrad's sum of squares.
const ADAGRAD_EPSILON: f32 = 1e-6;

/// Adam's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Step size, 0 or more. Default 1e-3.
    pub learning_rate: f32,
    /// Decay of the mean of gradients, in 0..1. Default 0.9.
    pub beta1: f32,
    /// Decay of the mean of squared gradients, in 0..1. Default 0.999.
    pub beta2: f32,
    /// Added to the root of the second moment, 0 or more. Default 1e-8.
    pub epsilon: f32,
}

impl Default for AdamConfig {
    fn default() -> Self {
        AdamConfig { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// The definition, in plain loops: see [`adam_step`].
pub fn adam_step_reference(
    config: &AdamConfig,
    step: u64,
    gradient: &[f64],
    m: &mut [f64],
    v: &mut [f64],
    parameters: &mut [f64],
) {
    let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
    for (index, &g) in gradient.iter().enumerate() {
        m[index] = beta1 * m[index] + (1.0 - beta1) * g;
        v[index] = beta2 * v[index] + (1.0 - beta2) * g * g;
        let mean = m[index] / (1.0 - beta1.powf(step as f64));
        let square = v[index] / (1.0 - beta2.powf(step as f64));
        parameters[index] -= f64::from(config.learning_rate) * mean / (square.sqrt() + f64::from(config.epsilon));
    }
}

/// One step of Adam on every element: `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`.
///
/// Dense: an element whose gradient is zero still moves by its old moments.
///
/// # Shapes
/// - `gradient`, `m`, `v`, `parameters`: `[n]`; `step`: t, counted from 1
///
/// # Errors
/// [`KernelError::Shape`] when lengths differ, [`KernelError::Argument`] for step 0 or a constant
/// out of its range.
///
/// # Source
/// Kingma and Ba, *Adam*, ICLR 2015, algorithm 1; the same formula as `torch.optim.Adam` without
/// weight decay.
pub fn adam_step(
    device: &Device,
    config: &AdamConfig,
    step: u64,
    gradient: &Buffer<f32>,
    m: &mut Buffer<f32>,
    v: &mut Buffer<f32>,
    parameters: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "adam_step";
    expect_len(OP, "gradient", gradient.len(), parameters.len())?;
    expect_len(OP, "m", m.len(), parameters.len())?;
    expect_len(OP, "v", v.len(), parameters.len())?;
    let factors = Factors::new(config, step)?;
    match device {
        Device::Cpu => {
            let moments =
                m.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(v.host_mut().par_chunks_mut(ELEMENTS_PER_TASK));
            let tasks = parameters.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(moments);
            let tasks = tasks.zip(gradient.host().par_chunks(ELEMENTS_PER_TASK));
            tasks.for_each(|((parameters, (m, v)), gradient)| adam(factors, gradient, m, v, parameters));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::adam(gpu, factors, gradient, m, v, parameters),
    }
    Ok(())
}

/// One step of Adagrad on every element: `v += g^2`, `p -= lr g / sqrt(v + 1e-6)`.
///
/// # Shapes
/// - `gradient`, `v`, `parameters`: `[n]`
///
/// # Errors
/// [`KernelError::Shape`] when lengths differ.
///
/// # Source
/// Duchi et al., *Adaptive Subgradient Methods*, JMLR 2011; the constant is that of GRU4Rec's
/// authors.
pub fn adagrad_step(
    device: &Device,
    learning_rate: f32,
    gradient: &Buffer<f32>,
    v: &mut Buffer<f32>,
    parameters: &mut Buffer<f32>,
) -> Result<()> {
    expect_len("adagrad_step", "gradient", gradient.len(), parameters.len())?;
    expect_len("adagrad_step", "v", v.len(), parameters.len())?;
    match device {
        Device::Cpu => {
            let values = parameters.host_mut().iter_mut().zip(v.host_mut());
            for ((parameter, square), g) in values.zip(gradient.host()) {
                *square += g * g;
                *parameter -= learning_rate * g / (*square + ADAGRAD_EPSILON).sqrt();
            }
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::adagrad(gpu, learning_rate, gradient, v, parameters),
    }
    Ok(())
}

/// One step of gradient descent: `p -= lr g`.
///
/// # Shapes
/// - `gradient`, `parameters`: `[n]`
///
/// # Errors
/// [`KernelError::Shape`] when lengths differ.
pub fn sgd_step(
    device: &Device,
    learning_rate: f32,
    gradient: &Buffer<f32>,
    parameters: &mut Buffer<f32>,
) -> Result<()> {
    expect_len("sgd_step", "gradient", gradient.len(), parameters.len())?;
    match device {
        Device::Cpu => {
            let gradient = gradient.host().par_chunks(ELEMENTS_PER_TASK);
            let tasks = parameters.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(gradient);
            tasks.for_each(|(parameters, gradient)| sgd(learning_rate, gradient, parameters));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::sgd(gpu, learning_rate, gradient, parameters),
    }
    Ok(())
}

/// What a step multiplies by, with the bias corrections folded in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    /// `lr / (1 - b1^t)`.
    step_size: f32,
    /// `1 / sqrt(1 - b2^t)`.
    root_scale: f32,
    epsilon: f32,
}

impl Factors {
    pub(super) fn new(config: &AdamConfig, step: u64) -> Result<Factors> {
        let refuse = |argument, problem: String| Err(KernelError::Argument { op: "adam_step", argument, problem });
        if step == 0 {
            return refuse("step", "is 0, expected 1 for the first step".into());
        }
        for (argument, beta) in [("beta1", config.beta1), ("beta2", config.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return refuse(argument, format!("is {beta}, expected at least 0 and below 1"));
            }
        }
        for (argument, value) in [("learning_rate", config.learning_rate), ("epsilon", config.epsilon)] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(argument, format!("is {value}, expected a finite number, 0 or more"));
            }
        }
        let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
        Ok(Factors {
            beta1: config.beta1,
            rest1: (1.0 - beta1) as f32,
            beta2: config.beta2,
            rest2: (1.0 - beta2) as f32,
            step_size: (f64::from(config.learning_rate) / (1.0 - beta1.powf(step as f64))) as f32,
            root_scale: (1.0 / (1.0 - beta2.powf(step as f64)).sqrt()) as f32,
            epsilon: config.epsilon,
        })
    }
}

dispatch! {
    fn adam(factors: Factors, gradient: &[f32], m: &mut [f32], v: &mut [f32], parameters: &mut [f32]) = adam_body
}

#[inline(always)]
pub(super) fn adam_body<const FUSED: bool>(
    factors: Factors,
    gradient: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    parameters: &mut [f32],
) {
    for (((parameter, m), v), &g) in parameters.iter_mut().zip(m).zip(v).zip(gradient) {
        *m = mul_add::<FUSED>(factors.beta1, *m, factors.rest1 * g);
        *v = mul_add::<FUSED>(factors.beta2, *v, factors.rest2 * (g * g));
        let root = mul_add::<FUSED>(v.sqrt(), factors.root_scale, factors.epsilon);
        *parameter -= factors.step_size * *m / root;
    }
}

dispatch! {
    fn sgd(learning_rate: f32, gradient: &[f32], parameters: &mut [f32]) = sgd_body
}

#[inline(always)]
fn sgd_body<const FUSED: bool>(learning_rate: f32, gradient: &[f32], parameters: &mut [f32]) {
    for (parameter, &g) in parameters.iter_mut().zip(gradient) {
        *parameter = mul_add::<FUSED>(-learning_rate, g, *parameter);
    }
}

#[cfg(test)]
mod tests;
