//! Example weights that are known before training: one number per training edge.

use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::objectives::{ExampleWeights, Examples, Reduction};

/// A weight for every edge.
pub(super) struct FixedWeights {
    /// `[n_edges]`.
    pub(super) weights: Vec<f32>,
    /// True when the weights of a batch are divided by their mean (SNIPS).
    pub(super) self_normalised: bool,
    /// How the losses become one.
    pub(super) reduction: Reduction,
}

impl ExampleWeights for FixedWeights {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        let Examples { batch, n: n_examples, .. } = *examples;
        let each = n_examples / batch.positives.len().max(1);
        let mut scale = self.reduction.scale(n_examples);
        if self.self_normalised {
            let sum: f64 = batch.edges.iter().map(|&edge| f64::from(self.weights[edge as usize])).sum();
            if sum > 0.0 {
                scale *= (batch.edges.len() as f64 / sum) as f32;
            }
        }
        let of_pairs = batch.edges.iter().map(|&edge| scale * self.weights[edge as usize]);
        device.write(weights, &of_pairs.flat_map(|weight| std::iter::repeat_n(weight, each)).collect::<Vec<f32>>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::Batch;

    fn weigh(self_normalised: bool, reduction: Reduction) -> Vec<f32> {
        let mut fixed = FixedWeights { weights: vec![9.0, 1.0, 3.0], self_normalised, reduction };
        let batch = Batch { users: vec![0, 0], positives: vec![4, 5], edges: vec![1, 2], ..Batch::default() };
        let (cpu, mut weights) = (Device::Cpu, Buffer::default());
        fixed.weigh(&cpu, &Examples { batch: &batch, n: 4, losses: &Buffer::default() }, &mut weights).unwrap();
        cpu.read(&weights)
    }

    /// Two pairs of two examples each; the mean over four divides by 4, normalising by the mean
    /// weight 2.
    #[test]
    fn every_example_of_a_pair_has_the_weight_of_its_edge() {
        assert_eq!(weigh(false, Reduction::Sum), [1.0, 1.0, 3.0, 3.0]);
        assert_eq!(weigh(false, Reduction::Mean), [0.25, 0.25, 0.75, 0.75]);
        assert_eq!(weigh(true, Reduction::Sum), [0.5, 0.5, 1.5, 1.5]);
    }
}
