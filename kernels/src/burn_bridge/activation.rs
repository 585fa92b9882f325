//! Functions of each number: GELU, ReLU, swish, tanh, sigmoid.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use crate::elementary::{exp, softplus_sigmoid, tanh};
use crate::parallel::ELEMENTS_PER_TASK;
use crate::simd::mul_add;

#[cfg(feature = "gpu")]
mod gpu;

/// A function of each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Phi(x)`, `Phi` being the normal distribution function (not its tanh approximation).
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Swish,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

const GELU: u8 = 0;
const RELU: u8 = 1;
const SWISH: u8 = 2;
const TANH: u8 = 3;
const SIGMOID: u8 = 4;

/// `(Phi(x), phi(x))`: distribution function and density of the normal distribution, to about 1e-7.
///
/// # Source
/// Abramowitz and Stegun, *Handbook of Mathematical Functions*, 7.1.26.
#[inline(always)]
fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let bell = exp::<FUSED>(-z * z);
    let t = 1.0 / mul_add::<FUSED>(z, 0.327_591_1, 1.0);
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = mul_add::<FUSED>(series, t, coefficient);
    }
    let tail = 0.5 * series * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell * 0.398_942_3)
}

/// The value and the derivative of a function at `x`.
#[inline(always)]
fn both<const FUSED: bool, const KIND: u8>(x: f32) -> (f32, f32) {
    match KIND {
        GELU => {
            let (share, density) = normal::<FUSED>(x);
            (x * share, mul_add::<FUSED>(x, density, share))
        }
        RELU => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
        SWISH => {
            let s = softplus_sigmoid::<FUSED>(x).1;
            (x * s, s * mul_add::<FUSED>(x, 1.0 - s, 1.0))
        }
        TANH => {
            let y = tanh::<FUSED>(x);
            (y, 1.0 - y * y)
        }
        _ => {
            let y = softplus_sigmoid::<FUSED>(x).1;
            (y, y * (1.0 - y))
        }
    }
}

#[inline(always)]
fn values_body<const FUSED: bool>(kind: Activation, values: &mut [f32]) {
    fn each<const FUSED: bool, const KIND: u8>(values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = both::<FUSED, KIND>(*x).0);
    }
    match kind {
        Activation::Gelu => each::<FUSED, GELU>(values),
        Activation::Relu => each::<FUSED, RELU>(values),
        Activation::Swish => each::<FUSED, SWISH>(values),
        Activation::Tanh => each::<FUSED, TANH>(values),
        Activation::Sigmoid => each::<FUSED, SIGMOID>(values),
    }
}

#[inline(always)]
fn gradients_body<const FUSED: bool>(kind: Activation, x: &[f32], gradient: &mut [f32]) {
    #[inline(always)]
    fn each<const FUSED: bool, const KIND: u8>(x: &[f32], gradient: &mut [f32]) {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g *= both::<FUSED, KIND>(*x).1);
    }
    match kind {
        Activation::Gelu => each::<FUSED, GELU>(x, gradient),
        Activation::Relu => each::<FUSED, RELU>(x, gradient),
        Activation::Swish => each::<FUSED, SWISH>(x, gradient),
        Activation::Tanh => each::<FUSED, TANH>(x, gradient),
        Activation::Sigmoid => each::<FUSED, SIGMOID>(x, gradient),
    }
}

crate::dispatch! { fn values(kind: Activation, values: &mut [f32]) = values_body }
crate::dispatch! { fn gradients(kind: Activation, x: &[f32], gradient: &mut [f32]) = gradients_body }

impl Op<1> for Activation {
    type Saved = ();

    fn forward(&self, [x]: [Matrix<'_>; 1]) -> Output<()> {
        let mut y = x.values.to_vec();
        y.par_chunks_mut(ELEMENTS_PER_TASK).for_each(|y| values(*self, y));
        Output { values: y, columns: x.columns, saved: () }
    }

    fn backward(&self, [x]: [Matrix<'_>; 1], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 1] {
        let mut d_x = gradient.values.to_vec();
        let tasks = d_x.par_chunks_mut(ELEMENTS_PER_TASK).zip(x.values.par_chunks(ELEMENTS_PER_TASK));
        tasks.for_each(|(d_x, x)| gradients(*self, x, d_x));
        [d_x]
    }
}

/// The function of every number of a matrix.
pub fn activate<B: OpBackend>(kind: Activation, x: Tensor<B, 2>) -> Tensor<B, 2> {
    apply(&kind, [x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads};
    use crate::testing::{assert_close, grid, wide};

    fn plain(kind: Activation, x: f64) -> f64 {
        match kind {
            Activation::Relu => x.max(0.0),
            Activation::Swish => x / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            // The series of the normal distribution function: Phi(x) = 1/2 + density (x + x^3/3 +
            // x^5/15 + ..).
            Activation::Gelu => {
                let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
                let (mut term, mut sum) = (x, x);
                for odd in (3..200).step_by(2) {
                    term *= x * x / f64::from(odd);
                    sum += term;
                }
                x * (0.5 + density * sum)
            }
        }
    }

    const ALL: [Activation; 5] =
        [Activation::Gelu, Activation::Relu, Activation::Swish, Activation::Tanh, Activation::Sigmoid];

    #[test]
    fn values_and_gradients_are_those_of_the_functions() {
        for kind in ALL {
            // The series for the normal distribution errs by 1.5e-7, the others by less.
            check_against(&kind, [(7, 13)], 1e-6, |inputs| inputs[0].iter().map(|&x| plain(kind, x)).collect());
            let mut wide_range = grid(-5.0, 5.0, 101);
            let expected: Vec<f64> = wide(&wide_range).into_iter().map(|x| plain(kind, x)).collect();
            values(kind, &mut wide_range);
            assert_close("value", &wide_range, &expected, 1.5e-6, 1e-6);
            check_threads(&kind, [(331, 67)]);
        }
    }
}
