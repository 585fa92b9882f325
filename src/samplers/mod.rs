//! What goes into a batch. A batch is a function of (seed, epoch, step) alone, so that a resumed run sees the batches it would have seen.

mod candidates;
mod negatives;
mod pairs;
mod users;

use gcnrec_graphs::Interactions;

pub use candidates::draw_candidates;
pub use negatives::NegativeSampler;
pub use pairs::{PairOrder, PairSampler};
pub use users::UserSampler;

/// The examples of one step, as dense ids. One example is one user with one positive (and its negatives).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Batches of pairs: the user of each example. Batches of users: each user once.
    pub users: Vec<u32>,
    /// The positive of each example.
    pub positives: Vec<u32>,
    /// `n_negatives` sampled items for each example, one example after the other; empty where the loss samples none.
    pub negatives: Vec<u32>,
    /// Batches of users: user `q` has the examples `list_ptr[q]..list_ptr[q + 1]`. Empty for batches of pairs.
    pub list_ptr: Vec<u32>,
}

/// Draws batches.
pub trait Sampler: Send {
    /// Number of batches in an epoch.
    fn n_batches(&self) -> usize;

    /// Number of examples in an epoch.
    fn n_examples(&self) -> usize;

    /// Fills `batch` with the examples of a step.
    fn batch(&mut self, train: &Interactions, epoch: u64, step: usize, batch: &mut Batch);
}
