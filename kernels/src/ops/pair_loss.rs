//! The pairwise logistic loss (BPR) of score differences.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementary::softplus_sigmoid;
use crate::error::{Result, expect_len};

#[cfg(feature = "gpu")]
mod gpu;

/// Elements that one task treats; element-wise work, so it decides no bits.
const CHUNK: usize = 4096;

/// The definition, for one pair: `x = s_pos - s_neg`,
/// `(loss, slope) = (ln(1 + e^-x), -1 / (1 + e^x))`.
pub fn bpr_reference(s_pos: f64, s_neg: f64) -> (f64, f64) {
    let x = s_pos - s_neg;
    let t = (-x.abs()).exp();
    ((-x).max(0.0) + t.ln_1p(), -(if x <= 0.0 { 1.0 } else { t }) / (1.0 + t))
}

/// The loss of ranking a negative above a positive: `loss = softplus(s_neg - s_pos)`, and its slope
/// with respect to `s_pos - s_neg`, which is `-sigmoid(s_neg - s_pos)`.
///
/// # Shapes
/// - `s_pos`, `s_neg`, `loss`, `slope`: `[n]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the four lengths differ.
///
/// # Source
/// Rendle et al., *BPR*, UAI 2009, section 4.1. Safe for any finite score: the exponential's
/// argument is never positive.
pub fn bpr_forward(
    device: &Device,
    s_pos: &Buffer<f32>,
    s_neg: &Buffer<f32>,
    loss: &mut Buffer<f32>,
    slope: &mut Buffer<f32>,
) -> Result<()> {
    let n = s_pos.len();
    expect_len("bpr_forward", "s_neg", s_neg.len(), n)?;
    device.resize(loss, n);
    device.resize(slope, n);
    match device {
        Device::Cpu => (loss.host_mut().par_chunks_mut(CHUNK), slope.host_mut().par_chunks_mut(CHUNK))
            .into_par_iter()
            .zip((s_pos.host().par_chunks(CHUNK), s_neg.host().par_chunks(CHUNK)).into_par_iter())
            .for_each(|((loss, slope), (s_pos, s_neg))| forward(s_pos, s_neg, loss, slope)),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::forward(gpu, s_pos, s_neg, loss, slope),
    }
    Ok(())
}

crate::dispatch! { fn forward(s_pos: &[f32], s_neg: &[f32], loss: &mut [f32], slope: &mut [f32]) = forward_body }

#[inline(always)]
fn forward_body<const FUSED: bool>(s_pos: &[f32], s_neg: &[f32], loss: &mut [f32], slope: &mut [f32]) {
    for ((s_pos, s_neg), (loss, slope)) in s_pos.iter().zip(s_neg).zip(loss.iter_mut().zip(slope)) {
        let (softplus, sigmoid) = softplus_sigmoid::<FUSED>(s_neg - s_pos);
        (*loss, *slope) = (softplus, -sigmoid);
    }
}

/// How the loss moves with the scores: `loss_dot = slope * (s_pos_dot - s_neg_dot)`.
///
/// # Shapes
/// - all buffers: `[n]`; `slope` is that of [`bpr_forward`]
///
/// # Errors
/// [`crate::KernelError::Shape`] when the lengths differ.
pub fn bpr_tangent(
    device: &Device,
    slope: &Buffer<f32>,
    s_pos_dot: &Buffer<f32>,
    s_neg_dot: &Buffer<f32>,
    loss_dot: &mut Buffer<f32>,
) -> Result<()> {
    let n = slope.len();
    expect_len("bpr_tangent", "s_pos_dot", s_pos_dot.len(), n)?;
    expect_len("bpr_tangent", "s_neg_dot", s_neg_dot.len(), n)?;
    device.resize(loss_dot, n);
    match device {
        Device::Cpu => {
            let (slope, s_pos_dot, s_neg_dot) = (slope.host(), s_pos_dot.host(), s_neg_dot.host());
            loss_dot.host_mut().par_iter_mut().with_min_len(CHUNK).enumerate().for_each(|(i, loss_dot)| {
                *loss_dot = slope[i] * (s_pos_dot[i] - s_neg_dot[i]);
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::tangent(gpu, slope, s_pos_dot, s_neg_dot, loss_dot),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KernelError;
    use crate::testing::{assert_close, grid, numbers, same_bits, wide};

    fn run(s_pos: &[f32], s_neg: &[f32]) -> Vec<Vec<f32>> {
        let cpu = Device::Cpu;
        let (mut loss, mut slope) = (cpu.zeros(s_pos.len()), cpu.zeros(s_pos.len()));
        bpr_forward(&cpu, &cpu.upload(s_pos), &cpu.upload(s_neg), &mut loss, &mut slope).unwrap();
        vec![cpu.read(&loss), cpu.read(&slope)]
    }

    /// At x = 0: ln 2 and -1/2. At x = ln 3: ln(4/3) and -1/4.
    #[test]
    fn hand_worked_pairs() {
        let found = run(&[1.5, 1.098_612_3], &[1.5, 0.0]);
        assert_close("loss", &found[0], &[2f64.ln(), (4f64 / 3.0).ln()], 1e-7, 2e-7);
        assert_close("slope", &found[1], &[-0.5, -0.25], 1e-7, 2e-7);
    }

    /// The difference of the scores rounds in f32, so zero negatives keep it exact; five f32
    /// operations follow.
    #[test]
    fn the_cpu_path_agrees_with_the_reference_far_out_too() {
        let s_pos = grid(-300.0, 300.0, 10_007);
        let found = same_bits(|| run(&s_pos, &vec![0.0; s_pos.len()]));
        let (loss, slope): (Vec<f64>, Vec<f64>) = s_pos.iter().map(|&s| bpr_reference(s.into(), 0.0)).unzip();
        assert_close("loss", &found[0], &loss, 1e-37, 5e-7);
        assert_close("slope", &found[1], &slope, 1e-37, 5e-7);
    }

    #[test]
    fn the_reference_slope_is_the_derivative_of_the_reference_loss() {
        for x in [-90.0, -3.0, -0.1, 0.0, 0.7, 5.0, 90.0] {
            let difference = (bpr_reference(x + 1e-6, 0.0).0 - bpr_reference(x - 1e-6, 0.0).0) / 2e-6;
            assert!((difference - bpr_reference(x, 0.0).1).abs() < 1e-8);
        }
    }

    #[test]
    fn the_tangent_is_the_slope_times_the_motion_of_the_difference() {
        let cpu = Device::Cpu;
        let [slope, pos, neg] = [1, 2, 3].map(|seed| numbers(seed, 10_007));
        let mut loss_dot = cpu.zeros(slope.len());
        bpr_tangent(&cpu, &cpu.upload(&slope), &cpu.upload(&pos), &cpu.upload(&neg), &mut loss_dot).unwrap();
        let [slope, pos, neg] = [slope, pos, neg].map(|v| wide(&v));
        let expected: Vec<f64> = (0..slope.len()).map(|i| slope[i] * (pos[i] - neg[i])).collect();
        assert_close("loss_dot", &cpu.read(&loss_dot), &expected, 3e-7, 3e-7);
    }

    #[test]
    fn unequal_lengths_are_refused() {
        let cpu = Device::Cpu;
        let (mut loss, mut slope) = (cpu.zeros(2), cpu.zeros(2));
        let refused = bpr_forward(&cpu, &cpu.zeros(2), &cpu.zeros(3), &mut loss, &mut slope);
        assert_eq!(refused, Err(KernelError::Shape { op: "bpr_forward", argument: "s_neg", found: 3, expected: 2 }));
    }
}
