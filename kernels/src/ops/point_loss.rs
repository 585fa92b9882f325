//! Losses of one score and one label.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementary::softplus_sigmoid;
use crate::error::{Result, expect_len};

#[cfg(feature = "gpu")]
mod gpu;

/// Elements that one task treats; element-wise work, so it decides no bits.
const CHUNK: usize = 4096;

/// Which loss of score `s` and label `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointLoss {
    /// `(s - y)^2`, for any label.
    Squared,
    /// `ln(1 + e^(-y s))`, for labels -1 and +1.
    Logistic,
}

/// The definition, for one example: the loss and its slope with respect to the score.
pub fn point_reference(kind: PointLoss, s: f64, y: f64) -> (f64, f64) {
    match kind {
        PointLoss::Squared => ((s - y).powi(2), 2.0 * (s - y)),
        PointLoss::Logistic => {
            let t = (-(y * s).abs()).exp();
            ((-y * s).max(0.0) + t.ln_1p(), -y * (if y * s <= 0.0 { 1.0 } else { t }) / (1.0 + t))
        }
    }
}

/// The loss of each example and its slope with respect to the score: `(s - y)^2` and `2 (s - y)`,
/// or `softplus(-y s)` and `-y sigmoid(-y s)`.
///
/// # Shapes
/// - `s`, `y`, `loss`, `slope`: `[n]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the four lengths differ.
pub fn point_forward(
    device: &Device,
    kind: PointLoss,
    s: &Buffer<f32>,
    y: &Buffer<f32>,
    loss: &mut Buffer<f32>,
    slope: &mut Buffer<f32>,
) -> Result<()> {
    let n = s.len();
    expect_len("point_forward", "y", y.len(), n)?;
    device.resize(loss, n);
    device.resize(slope, n);
    match device {
        Device::Cpu => (loss.host_mut().par_chunks_mut(CHUNK), slope.host_mut().par_chunks_mut(CHUNK))
            .into_par_iter()
            .zip((s.host().par_chunks(CHUNK), y.host().par_chunks(CHUNK)).into_par_iter())
            .for_each(|((loss, slope), (s, y))| forward(kind, s, y, loss, slope)),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::forward(gpu, kind, s, y, loss, slope),
    }
    Ok(())
}

crate::dispatch! { fn forward(kind: PointLoss, s: &[f32], y: &[f32], loss: &mut [f32], slope: &mut [f32]) = forward_body }

#[inline(always)]
fn forward_body<const FUSED: bool>(kind: PointLoss, s: &[f32], y: &[f32], loss: &mut [f32], slope: &mut [f32]) {
    let examples = s.iter().zip(y).zip(loss.iter_mut().zip(slope));
    match kind {
        PointLoss::Squared => {
            for ((s, y), (loss, slope)) in examples {
                let residual = s - y;
                (*loss, *slope) = (residual * residual, 2.0 * residual);
            }
        }
        PointLoss::Logistic => {
            for ((s, y), (loss, slope)) in examples {
                let (softplus, sigmoid) = softplus_sigmoid::<FUSED>(-y * s);
                (*loss, *slope) = (softplus, -y * sigmoid);
            }
        }
    }
}

/// How the loss moves with the score: `loss_dot = slope * s_dot`.
///
/// # Shapes
/// - all buffers: `[n]`; `slope` is that of [`point_forward`]
///
/// # Errors
/// [`crate::KernelError::Shape`] when the lengths differ.
pub fn point_tangent(
    device: &Device,
    slope: &Buffer<f32>,
    s_dot: &Buffer<f32>,
    loss_dot: &mut Buffer<f32>,
) -> Result<()> {
    expect_len("point_tangent", "s_dot", s_dot.len(), slope.len())?;
    device.resize(loss_dot, slope.len());
    match device {
        Device::Cpu => {
            let (slope, s_dot) = (slope.host(), s_dot.host());
            loss_dot.host_mut().par_iter_mut().with_min_len(CHUNK).enumerate().for_each(|(i, loss_dot)| {
                *loss_dot = slope[i] * s_dot[i];
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::tangent(gpu, slope, s_dot, loss_dot),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KernelError;
    use crate::testing::{assert_close, grid, same_bits};

    fn run(kind: PointLoss, s: &[f32], y: &[f32]) -> Vec<Vec<f32>> {
        let cpu = Device::Cpu;
        let (mut loss, mut slope) = (cpu.zeros(s.len()), cpu.zeros(s.len()));
        point_forward(&cpu, kind, &cpu.upload(s), &cpu.upload(y), &mut loss, &mut slope).unwrap();
        vec![cpu.read(&loss), cpu.read(&slope)]
    }

    /// (3 - 1)^2 = 4 with slope 4; a score of -ln 3 for a positive label gives ln 4 and -3/4, for a
    /// negative one ln(4/3) and 1/4.
    #[test]
    fn hand_worked_examples() {
        assert_eq!(run(PointLoss::Squared, &[3.0], &[1.0]), [[4.0], [4.0]]);
        let found = run(PointLoss::Logistic, &[-1.098_612_3, -1.098_612_3], &[1.0, -1.0]);
        assert_close("loss", &found[0], &[4f64.ln(), (4f64 / 3.0).ln()], 1e-7, 2e-7);
        assert_close("slope", &found[1], &[-0.75, 0.25], 1e-7, 2e-7);
    }

    /// The residual is exact to one rounding of a number near 300; squares double it. The logistic
    /// form is five f32 operations.
    #[test]
    fn the_cpu_path_agrees_with_the_reference_far_out_too() {
        let s = grid(-300.0, 300.0, 10_007);
        let y: Vec<f32> = (0..s.len()).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
        for kind in [PointLoss::Squared, PointLoss::Logistic] {
            let found = same_bits(|| run(kind, &s, &y));
            let (loss, slope): (Vec<f64>, Vec<f64>) =
                s.iter().zip(&y).map(|(&s, &y)| point_reference(kind, s.into(), y.into())).unzip();
            assert_close("loss", &found[0], &loss, 1e-9, 5e-7);
            assert_close("slope", &found[1], &slope, 1e-9, 5e-7);
        }
    }

    /// Losses up to 8,300 round at 1e-12; over a step of 1e-5 that is 1e-7.
    #[test]
    fn the_reference_slope_is_the_derivative_of_the_reference_loss() {
        for kind in [PointLoss::Squared, PointLoss::Logistic] {
            for (s, y) in [(-90.0, 1.0), (-3.0, -1.0), (0.0, 1.0), (0.7, 1.0), (5.0, -1.0), (90.0, -1.0)] {
                let difference = (point_reference(kind, s + 1e-5, y).0 - point_reference(kind, s - 1e-5, y).0) / 2e-5;
                assert!((difference - point_reference(kind, s, y).1).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_tangent_is_the_slope_times_the_motion() {
        let cpu = Device::Cpu;
        let mut loss_dot = cpu.zeros(3);
        point_tangent(&cpu, &cpu.upload(&[2.0, -1.0, 0.5]), &cpu.upload(&[3.0, 4.0, 0.0]), &mut loss_dot).unwrap();
        assert_eq!(cpu.read(&loss_dot), [6.0, -4.0, 0.0]);
    }

    #[test]
    fn unequal_lengths_are_refused() {
        let cpu = Device::Cpu;
        let refused = point_tangent(&cpu, &cpu.zeros(2), &cpu.zeros(3), &mut cpu.zeros(2));
        assert_eq!(refused, Err(KernelError::Shape { op: "point_tangent", argument: "s_dot", found: 3, expected: 2 }));
    }
}
