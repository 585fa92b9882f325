//! How the result of an Adam step moves with its gradient: what a look-ahead through the optimiser needs.

use rayon::prelude::*;

use super::adam::AdamConfig;
use crate::error::{Result, expect_len};
use crate::parallel::ELEMENTS_PER_TASK;
use crate::{Buffer, Device, KernelError};

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

/// The motion of every parameter when the gradient of an Adam step moves along `gradient_dot`: `p_dot = -lr J g_dot` with
/// `J = (1 - b1) / ((1 - b1^t) r) - m (1 - b2) g / ((1 - b2^t) sqrt(v) r^2)`, where `m` and `v` are the moments after the step with their bias
/// corrected, and `r = sqrt(v) + eps`. A parameter that never had a gradient (`v = 0`) does not move.
///
/// `J` is small where it is the difference of two large numbers, as in the first step; it is worked out in f64.
///
/// # Shapes
/// - `gradient`, `m`, `v`, `gradient_dot`: `[n]`, moments as [`adam_step`](super::adam::adam_step) left them; `motion` becomes `[n]`
///
/// # Errors
/// [`KernelError::Shape`] when lengths differ, [`KernelError::Argument`] for step 0.
pub fn adam_tangent(
    device: &Device,
    config: &AdamConfig,
    step: u64,
    gradient: &Buffer<f32>,
    m: &Buffer<f32>,
    v: &Buffer<f32>,
    gradient_dot: &Buffer<f32>,
    motion: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "adam_tangent";
    device.expect_cpu("the look-ahead of debiasing")?;
    let n = gradient.len();
    expect_len(OP, "m", m.len(), n)?;
    expect_len(OP, "v", v.len(), n)?;
    expect_len(OP, "gradient_dot", gradient_dot.len(), n)?;
    if step == 0 {
        return Err(KernelError::Argument { op: OP, argument: "step", problem: "must be 1 or more".into() });
    }
    device.resize(motion, n);
    let slope = Slope::new(config, step);
    let (gradient, m, v, dot) = (gradient.host(), m.host(), v.host(), gradient_dot.host());
    let tasks = motion.host_mut().par_iter_mut().with_min_len(ELEMENTS_PER_TASK).enumerate();
    tasks.for_each(|(i, motion)| {
        let slope = slope.at(f64::from(gradient[i]), f64::from(m[i]), f64::from(v[i]));
        *motion = (slope * f64::from(dot[i])) as f32;
    });
    Ok(())
}

/// `-lr J` as a function of one element.
#[derive(Clone, Copy)]
struct Slope {
    learning_rate: f64,
    epsilon: f64,
    rest1: f64,
    rest2: f64,
    correction1: f64,
    correction2: f64,
}

impl Slope {
    fn new(config: &AdamConfig, step: u64) -> Self {
        let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
        Slope {
            learning_rate: f64::from(config.learning_rate),
            epsilon: f64::from(config.epsilon),
            rest1: 1.0 - beta1,
            rest2: 1.0 - beta2,
            correction1: 1.0 - beta1.powf(step as f64),
            correction2: 1.0 - beta2.powf(step as f64),
        }
    }

    fn at(&self, gradient: f64, m: f64, v: f64) -> f64 {
        if v <= 0.0 {
            return 0.0;
        }
        let (mean, root) = (m / self.correction1, (v / self.correction2).sqrt());
        let r = root + self.epsilon;
        let through_mean = self.rest1 / (self.correction1 * r);
        let through_square = mean * self.rest2 * gradient / (self.correction2 * root * r * r);
        -self.learning_rate * (through_mean - through_square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::adam::adam_step_reference;

    const CPU: Device = Device::Cpu;

    /// One step in f64 from given moments: the parameters after it.
    fn stepped(config: &AdamConfig, step: u64, gradient: &[f64], m: &[f64], v: &[f64]) -> [Vec<f64>; 3] {
        let (mut m, mut v, mut p) = (m.to_vec(), v.to_vec(), vec![0.5; gradient.len()]);
        adam_step_reference(config, step, gradient, &mut m, &mut v, &mut p);
        [p, m, v]
    }

    /// Central differences of the whole step in f64 with h = 1e-6: the formula's own error is h^2 times a third derivative, the rounding 1e-10.
    #[test]
    fn the_motion_is_the_derivative_of_the_step() {
        let config = AdamConfig { learning_rate: 0.03, epsilon: 1e-3, ..AdamConfig::default() };
        let (g, dot) = ([0.3, -0.2, 0.05, 0.7], [1.0, -0.4, 0.3, 2.0]);
        let (m0, v0) = ([0.1, 0.2, -0.3, 0.0], [0.02, 0.01, 0.3, 0.0]);
        for step in [1, 7] {
            let [_, m, v] = stepped(&config, step, &g, &m0, &v0);
            let found = adam_tangent_reference(&config, step, &g, &m, &v, &dot);
            for (i, &found) in found.iter().enumerate() {
                let at = |h: f64| {
                    let moved: Vec<f64> = g.iter().zip(&dot).map(|(g, d)| g + h * d).collect();
                    stepped(&config, step, &moved, &m0, &v0)[0][i]
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
        adam_tangent(&CPU, &config, 5, &g, &m, &v, &dot, &mut motion).unwrap();
        let found = CPU.read(&motion);
        assert_eq!(found[0], 0.0, "v = 0 there");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
        assert!(adam_tangent(&CPU, &config, 0, &g, &m, &v, &dot, &mut motion).is_err());
        assert!(adam_tangent(&CPU, &config, 1, &g, &CPU.zeros(3), &v, &dot, &mut motion).is_err());
    }
}
