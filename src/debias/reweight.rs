//! Learning to reweight: an example counts as much as a step on it alone would have helped the uniform log, and not at all where it would have hurt.
//!
//! `h_b` is the derivative of the uniform log's loss with respect to the weight of example `b`, at weight 0; `w_b = max(-h_b, 0)`, divided by their sum.
//!
//! Source: Ren et al., *Learning to Reweight Examples for Robust Deep Learning*, ICML 2018, algorithm 1. All weights are 0 in its look-ahead, which is
//! therefore the current point. We differ: with sums instead of means the weights of a batch add up to the number of its examples.

use crate::error::Result;
use crate::objectives::{ExampleWeights, Examples, Reduction};
use crate::samplers::Batch;

/// Weights of one batch; nothing is kept from batch to batch.
pub(super) struct Reweight {
    pub(super) reduction: Reduction,
    pub(super) weights: Vec<f32>,
}

impl ExampleWeights for Reweight {
    fn weigh(&mut self, examples: &Examples<'_>, weights: &mut Vec<f32>) -> Result<()> {
        // A batch without examples teaches nothing and has none to weigh.
        self.weights.resize(examples.n, 0.0);
        weights.clone_from(&self.weights);
        Ok(())
    }

    fn weighs_pairs(&self) -> bool {
        false
    }

    fn learns(&self, _epoch: u64) -> bool {
        true
    }

    fn learn(&mut self, _batch: &Batch, hypergradient: &[f32]) -> Result<()> {
        let sum: f64 = hypergradient.iter().map(|&h| f64::from(-h).max(0.0)).sum();
        let total = f64::from(self.reduction.scale(hypergradient.len())) * hypergradient.len() as f64;
        let weight = |h: &f32| if sum > 0.0 { (total * f64::from(-h).max(0.0) / sum) as f32 } else { 0.0 };
        self.weights.clear();
        self.weights.extend(hypergradient.iter().map(weight));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_that_help_share_the_weight_and_those_that_hurt_have_none() {
        let mut reweight = Reweight { reduction: Reduction::Sum, weights: Vec::new() };
        let mut weights = Vec::new();
        let batch = Batch::default();
        reweight.learn(&batch, &[-3.0, 2.0, -1.0, 0.0]).unwrap();
        reweight.weigh(&Examples { batch: &batch, n: 4, losses: &[] }, &mut weights).unwrap();
        assert_eq!(weights, [3.0, 0.0, 1.0, 0.0]);
        reweight.learn(&batch, &[1.0, 2.0]).unwrap();
        reweight.weigh(&Examples { batch: &batch, n: 2, losses: &[] }, &mut weights).unwrap();
        assert_eq!(weights, [0.0, 0.0], "when every example hurts, none counts");
    }
}
