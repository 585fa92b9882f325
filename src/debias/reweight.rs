//! Learning to reweight: an example counts as much as a step on it alone would have helped the uniform log, and not at all where it would have hurt.
//!
//! `h_b` is the derivative of the uniform log's loss with respect to the weight of example `b`, at weight 0; `w_b = max(-h_b, 0)`, divided by their sum.
//!
//! Source: Ren et al., *Learning to Reweight Examples for Robust Deep Learning*, ICML 2018, algorithm 1. All weights are 0 in its look-ahead, which is
//! therefore the current point. We differ: with sums instead of means the weights of a batch add up to the number of its examples.

use gcnrec_kernels::ops::place::{fill_column, place};
use gcnrec_kernels::ops::shares::shares;
use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::objectives::{ExampleWeights, Examples, Reduction};
use crate::samplers::Batch;

/// Weights of one batch; nothing is kept from batch to batch.
pub(super) struct Reweight {
    pub(super) reduction: Reduction,
    pub(super) weights: Buffer<f32>,
}

impl ExampleWeights for Reweight {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        device.resize(weights, examples.n);
        if self.weights.len() == examples.n {
            return Ok(place(device, &self.weights, 0, weights)?);
        }
        // Before its look-ahead nobody in a batch counts.
        Ok(fill_column(device, 0.0, 0, 1, examples.n, weights)?)
    }

    fn weighs_pairs(&self) -> bool {
        false
    }

    fn learns(&self, _epoch: u64) -> bool {
        true
    }

    fn learn(&mut self, device: &Device, _batch: &Batch, hypergradient: &Buffer<f32>) -> Result<()> {
        let n = hypergradient.len();
        let total = f64::from(self.reduction.scale(n)) * n as f64;
        Ok(shares(device, total, hypergradient, &mut self.weights)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_that_help_share_the_weight_and_those_that_hurt_have_none() {
        let cpu = Device::Cpu;
        let mut reweight = Reweight { reduction: Reduction::Sum, weights: Buffer::default() };
        let (batch, none) = (Batch::default(), Buffer::default());
        let weigh = |reweight: &mut Reweight, n: usize| {
            let mut weights = Buffer::default();
            reweight.weigh(&cpu, &Examples { batch: &batch, n, losses: &none }, &mut weights).unwrap();
            cpu.read(&weights)
        };
        assert_eq!(weigh(&mut reweight, 2), [0.0, 0.0], "nothing is known yet");
        reweight.learn(&cpu, &batch, &cpu.upload(&[-3.0, 2.0, -1.0, 0.0])).unwrap();
        assert_eq!(weigh(&mut reweight, 4), [3.0, 0.0, 1.0, 0.0]);
        reweight.learn(&cpu, &batch, &cpu.upload(&[1.0, 2.0])).unwrap();
        assert_eq!(weigh(&mut reweight, 2), [0.0, 0.0], "when every example hurts, none counts");
    }
}
