//! `reweight`: learning to reweight; an example counts as much as a step on it alone would have
//! helped the uniform log, and not at all where it would have hurt.
//!
//! `h_b` is the derivative of the uniform log's loss with respect to the weight of example `b`, at
//! weight 0; `w_b = max(-h_b, 0)`, divided by their sum.
//!
//! Source: Ren et al., *Learning to Reweight Examples for Robust Deep Learning*, ICML 2018,
//! algorithm 1. All weights are 0 in its look-ahead, which is therefore the current point. We
//! differ: with sums instead of means the weights of a batch add up to the number of its examples.

use gcnrec_kernels::ops::copy_rows::{copy_into, fill_column};
use gcnrec_kernels::ops::shares::share_below_zero;
use gcnrec_kernels::{Buffer, Device};

use super::{Method, MethodInputs};
use crate::error::Result;
use crate::models::graph::{Learning, MetaBatch};
use crate::objectives::{ExampleWeights, Examples, Reduction, UniformLoss};
use crate::samplers::Batch;
use crate::settings::{Row, row, settings};

settings! {
    /// `[debias.reweight]`.
    pub(crate) struct Reweight {
        /// Loss of the uniform log.
        uniform_loss: Option<UniformLoss> = None, or "that of the loss; `bpr` for losses of rankings";
    }
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, Reweight, "reweight", "learning to reweight: weights from gradient alignment, batch by batch");

impl Method for Reweight {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.reweight")
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn check(&self, inputs: &MethodInputs<'_>) -> Result<()> {
        inputs.meta_batch(self.uniform_loss).map(drop)
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        learning.weights = Box::new(AlignedWeights { reduction: inputs.reduction(), weights: Buffer::default() });
        learning.meta_batch = Some(MetaBatch { look_ahead: false, ..inputs.meta_batch(self.uniform_loss)? });
        Ok(())
    }
}

/// Weights of one batch; nothing is kept from batch to batch.
struct AlignedWeights {
    reduction: Reduction,
    weights: Buffer<f32>,
}

impl ExampleWeights for AlignedWeights {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        device.resize(weights, examples.n);
        if self.weights.len() == examples.n {
            return Ok(copy_into(device, &self.weights, 0, weights)?);
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
        Ok(share_below_zero(device, total, hypergradient, &mut self.weights)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_that_help_share_the_weight_and_those_that_hurt_have_none() {
        let cpu = Device::Cpu;
        let mut aligned = AlignedWeights { reduction: Reduction::Sum, weights: Buffer::default() };
        let (batch, none) = (Batch::default(), Buffer::default());
        let weigh = |aligned: &mut AlignedWeights, n: usize| {
            let mut weights = Buffer::default();
            aligned.weigh(&cpu, &Examples { batch: &batch, n, losses: &none }, &mut weights).unwrap();
            cpu.read(&weights)
        };
        assert_eq!(weigh(&mut aligned, 2), [0.0, 0.0], "nothing is known yet");
        aligned.learn(&cpu, &batch, &cpu.upload(&[-3.0, 2.0, -1.0, 0.0])).unwrap();
        assert_eq!(weigh(&mut aligned, 4), [3.0, 0.0, 1.0, 0.0]);
        aligned.learn(&cpu, &batch, &cpu.upload(&[1.0, 2.0])).unwrap();
        assert_eq!(weigh(&mut aligned, 2), [0.0, 0.0], "when every example hurts, none counts");
    }
}
