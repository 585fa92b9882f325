//! Weights of examples by a small network of their losses, divided by their mean:
//! `w_b = scale * a_b / mean(a)` with `a_b = sigmoid(sum_h v_h max(p_h l_b + q_h, 0) + c)`.

use crate::error::{Result, expect_len};
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// A mean that weights can be divided by is no less than this.
const LEAST: f64 = 1e-12;

/// The network's answer to a loss. `parameters` are `p`, `q` and `v` of every hidden unit, then
/// `c`: `[3 * hidden + 1]`.
pub fn loss_answer(parameters: &[f64], loss: f64) -> f64 {
    let n = parameters.len() / 3;
    let hidden = |unit: usize| (parameters[unit] * loss + parameters[n + unit]).max(0.0);
    let sum: f64 = (0..n).map(|unit| parameters[2 * n + unit] * hidden(unit)).sum();
    1.0 / (1.0 + (-sum - parameters[3 * n]).exp())
}

/// The mean of answers, and no less than what can be divided by.
pub fn mean_answer(answers: &[f64]) -> f64 {
    (answers.iter().sum::<f64>() / answers.len().max(1) as f64).max(LEAST)
}

/// The definition: see [`loss_weights`].
pub fn loss_weights_reference(parameters: &[f64], scale: f64, losses: &[f64]) -> Vec<f64> {
    let answers: Vec<f64> = losses.iter().map(|&loss| loss_answer(parameters, loss)).collect();
    let scale = scale / mean_answer(&answers);
    answers.iter().map(|answer| scale * answer).collect()
}

/// Weighs every loss; the mean weight is `scale`.
///
/// # Shapes
/// - `parameters`: `[3 * hidden + 1]`, see [`loss_answer`]; `losses`: `[n]`; `weights` becomes
///   `[n]`
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when the parameters are not those of a
/// network.
pub fn loss_weights(
    device: &Device,
    parameters: &[f64],
    scale: f64,
    losses: &Buffer<f32>,
    weights: &mut Buffer<f32>,
) -> Result<()> {
    expect_len("loss_weights", "parameters", parameters.len(), parameters.len() / 3 * 3 + 1)?;
    device.resize(weights, losses.len());
    match device {
        Device::Cpu => {
            let wide: Vec<f64> = losses.host().iter().map(|&loss| f64::from(loss)).collect();
            let found = loss_weights_reference(parameters, scale, &wide);
            weights.host_mut().iter_mut().zip(found).for_each(|(weight, found)| *weight = found as f32);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let narrow: Vec<f32> = parameters.iter().map(|&p| p as f32).collect();
            gpu::weigh(gpu, &device.upload(&narrow), scale, losses, weights);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One unit: relu(2 * 1.5 - 1) = 2; sigmoid(-.5 * 2 + .25) = 1 / (1 + e^.75). For the loss .25
    /// the unit is silent: 1 / (1 + e^-.25). Their mean becomes 3.
    #[test]
    fn a_weight_is_a_network_of_the_loss() {
        let (cpu, mut weights) = (Device::Cpu, Buffer::default());
        let parameters = [2.0, -1.0, -0.5, 0.25];
        loss_weights(&cpu, &parameters, 3.0, &cpu.upload(&[1.5, 0.25]), &mut weights).unwrap();
        let answers = [1.0 / (1.0 + 0.75f64.exp()), 1.0 / (1.0 + (-0.25f64).exp())];
        let mean = (answers[0] + answers[1]) / 2.0;
        for (found, answer) in cpu.read(&weights).iter().zip(answers) {
            assert!((f64::from(*found) - 3.0 * answer / mean).abs() < 1e-6, "{found}");
        }
        assert!(loss_weights(&cpu, &[1.0; 5], 3.0, &cpu.upload(&[1.0]), &mut weights).is_err());
    }
}
