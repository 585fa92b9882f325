//! How the result of an Adam step moves with its gradient: what a look-ahead through the optimiser
//! needs.

use rayon::prelude::*;

use super::adam::AdamConfig;
use crate::dispatch;
use crate::error::{Result, expect_len};
use crate::parallel::ELEMENTS_PER_TASK;
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

/// The definition, in plain loops: see [`adam_tangent`].
pub fn adam_tangent_reference(
    config: &AdamConfig,
    step: u64,
    gradient: &[f64],
    m: &[f64],
    v: &[f64],
    gradient_dot: &[f64],
) -> Vec<f64> {
    let slope = Slope::new(config, step);
    (0..gradient.len()).map(|i| slope.at(gradient[i], m[i], v[i]) * gradient_dot[i]).collect()
}

/// What a step of Adam starts from: `[n]` each.
#[derive(Debug, Clone, Copy)]
pub struct AdamStart<'a> {
    /// The gradient of the step.
    pub gradient: &'a Buffer<f32>,
    /// The mean of gradients before it.
    pub m: &'a Buffer<f32>,
    /// The mean of squared gradients before it.
    pub v: &'a Buffer<f32>,
}

/// The motion of every parameter when the gradient of an Adam step moves along `gradient_dot`:
/// `p_dot = -lr J g_dot` with `J = (1 - b1) / ((1 - b1^t) r) - m' (1 - b2) g / ((1 - b2^t) s r^2)`,
/// where `m'` and `s` are the mean and the root of the mean square after the step, their bias
/// corrected, and `r = s + eps`. A parameter that never had a gradient does not move.
///
/// In a first step the two terms of `J` are equal but for `eps`. Written with the moments before
/// the step they share what cancels: `J = ((1 - b1) b2 v - (1 - b2) b1 m g) / (c s r^2) + (1 - b1)
/// eps / ((1 - b1^t) r^2)` with `c = (1 - b1^t) (1 - b2^t)`. That is what is worked out, in f64 on
/// the CPU and in f32 on a GPU.
///
/// # Shapes
/// - `gradient_dot`: `[n]`; `motion` becomes `[n]`
///
/// # Errors
/// [`KernelError::Shape`] when lengths differ, [`KernelError::Argument`] for step 0.
pub fn adam_tangent(
    device: &Device,
    config: &AdamConfig,
    step: u64,
    start: AdamStart<'_>,
    gradient_dot: &Buffer<f32>,
    motion: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "adam_tangent";
    let AdamStart { gradient, m, v } = start;
    let n = gradient.len();
    expect_len(OP, "m", m.len(), n)?;
    expect_len(OP, "v", v.len(), n)?;
    expect_len(OP, "gradient_dot", gradient_dot.len(), n)?;
    if step == 0 {
        return Err(KernelError::Argument { op: OP, argument: "step", problem: "must be 1 or more".into() });
    }
    device.resize(motion, n);
    let slope = Slope::new(config, step);
    match device {
        Device::Cpu => {
            let moments = m.host().par_chunks(ELEMENTS_PER_TASK).zip(v.host().par_chunks(ELEMENTS_PER_TASK));
            let gradients = gradient.host().par_chunks(ELEMENTS_PER_TASK);
            let gradients = gradients.zip(gradient_dot.host().par_chunks(ELEMENTS_PER_TASK));
            let tasks = motion.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(gradients).zip(moments);
            tasks.for_each(|((motion, (gradient, dot)), (m, v))| moved(slope, gradient, m, v, dot, motion));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::motion(gpu, &slope, start, gradient_dot, motion),
    }
    Ok(())
}

/// `-lr J` as a function of one element.
#[derive(Clone, Copy)]
struct Slope {
    learning_rate: f64,
    epsilon: f64,
    beta2: f64,
    rest2: f64,
    /// `1 / sqrt(1 - b2^t)`.
    root_scale: f64,
    /// What the past mean square and the past mean times the gradient count: `(1 - b1) b2 / c` and
    /// `(1 - b2) b1 / c`.
    by_square: f64,
    by_mean: f64,
    /// `(1 - b1) eps / (1 - b1^t)`.
    at_rest: f64,
}

impl Slope {
    fn new(config: &AdamConfig, step: u64) -> Self {
        let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
        let (rest1, rest2) = (1.0 - beta1, 1.0 - beta2);
        let (first, second) = (1.0 - beta1.powf(step as f64), 1.0 - beta2.powf(step as f64));
        let epsilon = f64::from(config.epsilon);
        Slope {
            learning_rate: f64::from(config.learning_rate),
            epsilon,
            beta2,
            rest2,
            root_scale: 1.0 / second.sqrt(),
            by_square: rest1 * beta2 / (first * second),
            by_mean: rest2 * beta1 / (first * second),
            at_rest: rest1 * epsilon / first,
        }
    }

    #[inline(always)]
    fn at(&self, gradient: f64, m: f64, v: f64) -> f64 {
        let square = self.beta2 * v + self.rest2 * gradient * gradient;
        let root = square.sqrt() * self.root_scale;
        let r = root + self.epsilon;
        let bent = (self.by_square * v - self.by_mean * m * gradient) / root;
        let slope = -self.learning_rate * (bent + self.at_rest) / (r * r);
        // Chosen after it is worked out, so that several elements go at once.
        if square > 0.0 { slope } else { 0.0 }
    }
}

dispatch! {
    fn moved(slope: Slope, gradient: &[f32], m: &[f32], v: &[f32], dot: &[f32], motion: &mut [f32]) = moved_body
}

/// Nothing is fused: every instruction set gives the same bits.
#[inline(always)]
fn moved_body<const FUSED: bool>(
    slope: Slope,
    gradient: &[f32],
    m: &[f32],
    v: &[f32],
    dot: &[f32],
    motion: &mut [f32],
) {
    for ((((motion, &gradient), &m), &v), &dot) in motion.iter_mut().zip(gradient).zip(m).zip(v).zip(dot) {
        *motion = (slope.at(f64::from(gradient), f64::from(m), f64::from(v)) * f64::from(dot)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::adam::adam_step_reference;

    const CPU: Device = Device::Cpu;

    /// One step in f64 from given moments: the parameters after it.
    fn stepped(config: &AdamConfig, step: u64, gradient: &[f64], m: &[f64], v: &[f64]) -> Vec<f64> {
        let (mut m, mut v, mut p) = (m.to_vec(), v.to_vec(), vec![0.5; gradient.len()]);
        adam_step_reference(config, step, gradient, &mut m, &mut v, &mut p);
        p
    }

    /// From rest a step is `lr g / (|g| + eps)`, whose slope is `lr eps / (|g| + eps)^2`.
    #[test]
    fn a_first_step_hardly_feels_the_length_of_its_gradient() {
        let config = AdamConfig { learning_rate: 0.5, epsilon: 0.25, ..AdamConfig::default() };
        let [g, zeros] = [&[0.75f32, -0.25], &[0.0; 2]].map(|x| CPU.upload(x));
        let mut motion = Buffer::default();
        let start = AdamStart { gradient: &g, m: &zeros, v: &zeros };
        adam_tangent(&CPU, &config, 1, start, &CPU.upload(&[1.0, -2.0]), &mut motion).unwrap();
        // -.5 * .25 / 1, and -.5 * .25 / .25 * -2.
        let found = CPU.read(&motion);
        assert!((found[0] + 0.125).abs() < 1e-6 && (found[1] - 1.0).abs() < 1e-6, "{found:?}");
    }

    /// Central differences of the whole step in f64 with h = 1e-6: the formula's own error is h^2
    /// times a third derivative, the rounding 1e-10.
    #[test]
    fn the_motion_is_the_derivative_of_the_step() {
        let config = AdamConfig { learning_rate: 0.03, epsilon: 1e-3, ..AdamConfig::default() };
        let (g, dot) = ([0.3, -0.2, 0.05, 0.7], [1.0, -0.4, 0.3, 2.0]);
        let (m0, v0) = ([0.1, 0.2, -0.3, 0.0], [0.02, 0.01, 0.3, 0.0]);
        for step in [1, 7] {
            let found = adam_tangent_reference(&config, step, &g, &m0, &v0, &dot);
            for (i, &found) in found.iter().enumerate() {
                let at = |h: f64| {
                    let moved: Vec<f64> = g.iter().zip(&dot).map(|(g, d)| g + h * d).collect();
                    stepped(&config, step, &moved, &m0, &v0)[i]
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_op_agrees_with_the_reference_and_leaves_untouched_parameters_alone() {
        let config = AdamConfig { learning_rate: 0.01, ..AdamConfig::default() };
        let n = 1009;
        let wave = |k: f64| -> Vec<f32> { (0..n).map(|i| ((i as f64 * k).sin() * 0.1) as f32).collect() };
        let (g, m, dot) = (wave(0.7), wave(0.3), wave(1.3));
        let v: Vec<f32> = wave(0.9).iter().map(|x| x * x * 0.01).collect();
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
        let expected = adam_tangent_reference(&config, 5, &wide(&g), &wide(&m), &wide(&v), &wide(&dot));
        let [g, m, v, dot] = [&g, &m, &v, &dot].map(|x| CPU.upload(x));
        let mut motion = Buffer::default();
        let start = AdamStart { gradient: &g, m: &m, v: &v };
        adam_tangent(&CPU, &config, 5, start, &dot, &mut motion).unwrap();
        let found = CPU.read(&motion);
        assert_eq!(found[0], 0.0, "neither a gradient nor moments there");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
        assert!(adam_tangent(&CPU, &config, 0, start, &dot, &mut motion).is_err());
        let short = AdamStart { m: &CPU.zeros(3), ..start };
        assert!(adam_tangent(&CPU, &config, 1, short, &dot, &mut motion).is_err());
    }
}
