//! The seam by which a model asks how much each example counts.

use crate::error::Result;
use crate::samplers::Batch;

/// Gives every example of a batch its weight in the loss.
pub trait ExampleWeights: Send {
    /// Fills `weights` with one number per example. They are used as they are: a mean carries its own `1/n`.
    ///
    /// # Errors
    /// Those of the method that learns the weights.
    fn weigh(&mut self, batch: &Batch, n_examples: usize, weights: &mut Vec<f32>) -> Result<()>;
}

/// The mean over the batch: every example weighs `1 / n_examples`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl ExampleWeights for Mean {
    fn weigh(&mut self, _batch: &Batch, n_examples: usize, weights: &mut Vec<f32>) -> Result<()> {
        weights.clear();
        weights.resize(n_examples, 1.0 / n_examples.max(1) as f32);
        Ok(())
    }
}
