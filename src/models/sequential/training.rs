//! What all sequential models are trained on, and what a model of this family can do.

use std::sync::Arc;

use gcnrec_graphs::{ItemId, Seed};
use gcnrec_kernels::Device;

use crate::error::Result;
use crate::models::{Learner, Settled};

/// Step size where none was chosen.
pub(crate) const LEARNING_RATE: f32 = 1e-3;
/// Sequences in a batch where no number was chosen.
pub(crate) const BATCH_SIZE: usize = 128;

/// What a model that is trained by steps on sequences can do.
pub trait SequentialModel {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for a setting outside its range, [`crate::RecError::Input`] when
    /// no history has two items, [`crate::RecError::Kernel`] for a model that has no kernels on the
    /// device.
    fn learner(&self, setup: Setup) -> Result<Box<dyn Learner>>;

    /// The width of the item vectors, for models that read a history with one vector for each item.
    fn item_dim(&self) -> Option<usize>;

    /// True for a model whose training can go on from where another one ended, on other rows.
    fn can_be_finetuned(&self) -> bool;
}

/// What a sequential model is trained on.
pub struct Setup {
    /// Each user's items, oldest first.
    pub histories: Arc<Vec<Vec<ItemId>>>,
    /// Number of items.
    pub n_items: usize,
    /// Sequences in a batch; none takes `BATCH_SIZE`.
    pub batch_size: Option<usize>,
    /// Adam's step size; none takes `LEARNING_RATE`.
    pub learning_rate: Option<f32>,
    /// The seed of the run.
    pub seed: Seed,
    /// Where training computes.
    pub device: Device,
}

impl Setup {
    /// The step size that was chosen, or the usual one.
    pub(super) fn learning_rate(&self) -> f32 {
        self.learning_rate.unwrap_or(LEARNING_RATE)
    }
}

/// The step size of all sequential models, and a batch size.
pub(super) fn settled(batch_size: usize) -> Settled {
    Settled { learning_rate: Some(LEARNING_RATE), batch_size: Some(batch_size), ..Settled::default() }
}

/// Bytes that training takes on the processor: parameters, their moments, gradients and what a
/// checkpoint copies (8 tables), and the scores that a step keeps.
pub(super) fn table_bytes(n_rows: usize, dim: usize) -> u128 {
    8 * 4 * n_rows as u128 * dim as u128 + (256 << 20)
}
