//! Sequential models: what comes next after a history. One file per model; training, serving and
//! parameters are shared.
//!
//! Burn holds the tape and nothing more, on the device of the run: that is the only type parameter,
//! and it is erased here. A frozen model computes on the processor, wherever it was trained.
//! Parameters, their moments and every random number are ours, so a stopped run goes on with the same
//! bits; the ops are those of `gcnrec_kernels::burn_bridge`, in which a row's numbers depend on its
//! own sequence alone: no padding, and a batch answers as its queries one by one.

pub mod bert4rec;
mod blocks;
mod encoder;
pub mod fmlp;
pub mod fpmc;
pub mod gru4rec;
mod lanes;
mod learner;
mod losses;
pub mod narm;
mod negatives;
mod parameters;
mod pre_norm;
pub mod sasrec;
mod scorer;
mod teacher;

use std::sync::Arc;

use gcnrec_graphs::{ItemId, Seed};
use gcnrec_kernels::Device;

use super::{Config, Learner, Settled};
use crate::error::{RecError, Result};
pub use blocks::Activation;
pub use encoder::{Encoder, ITEMS, Input, Task};
pub use learner::SequenceLearner;
pub use losses::{Loss, Objective};
pub use parameters::{Init, Noise, Parameter, Rule, Weights};
pub use scorer::SequenceScorer;
pub use teacher::Teaching;

/// Step size where none was chosen.
pub const LEARNING_RATE: f32 = 1e-3;
/// Sequences in a batch where no number was chosen.
pub const BATCH_SIZE: usize = 128;

/// What a model that is trained by steps on sequences can do.
pub trait SequentialModel {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`RecError::Config`] for a setting outside its range, [`RecError::Input`] when no history has
    /// two items, [`RecError::Kernel`] for a model that has no kernels on the device.
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
    /// Sequences in a batch; none takes [`BATCH_SIZE`].
    pub batch_size: Option<usize>,
    /// Adam's step size; none takes [`LEARNING_RATE`].
    pub learning_rate: Option<f32>,
    /// The seed of the run.
    pub seed: Seed,
    /// Where training computes.
    pub device: Device,
}

impl Setup {
    /// The step size that was chosen, or the usual one.
    fn learning_rate(&self) -> f32 {
        self.learning_rate.unwrap_or(LEARNING_RATE)
    }
}

/// The learner of a sequential model; nothing for the models of other families.
///
/// # Errors
/// Those of [`SequentialModel::learner`].
pub fn learner(config: &Config, setup: Setup) -> Result<Option<Box<dyn Learner>>> {
    config.sequential().map(|model| model.learner(setup)).transpose()
}

/// The step size of all sequential models, and a batch size.
fn settled(batch_size: usize) -> Settled {
    Settled { learning_rate: Some(LEARNING_RATE), batch_size: Some(batch_size), ..Settled::default() }
}

/// Bytes that training takes on the processor: parameters, their moments, gradients and what a
/// checkpoint copies (8 tables), and the scores that a step keeps.
fn table_bytes(n_rows: usize, dim: usize) -> u128 {
    8 * 4 * n_rows as u128 * dim as u128 + (256 << 20)
}

/// A rule that settings must keep together.
fn expect(ok: bool, key: String, found: impl std::fmt::Display, expected: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(RecError::range(key, found, expected)) }
}

#[cfg(test)]
mod tests;
