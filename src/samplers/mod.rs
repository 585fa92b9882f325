//! Samplers: batches of training examples, each a function of (seed, epoch, step) alone, so that a
//! resumed run sees the batches it would have seen.

mod blocks;
mod candidates;
mod lanes;
mod negatives;
mod pairs;
mod sequences;
mod users;

use gcnrec_graphs::Interactions;

pub(crate) use blocks::BlockSampler;
pub(crate) use candidates::draw_candidates;
pub(crate) use lanes::SessionLanes;
pub use negatives::NegativeSampler;
pub(crate) use negatives::keep_hardest;
pub use pairs::{PairOrder, PairSampler};
pub(crate) use sequences::{Examples, SequenceBatch, SequenceSampler, Windows, beside_batch};
pub(crate) use users::UserSampler;

/// The examples of one step, as dense ids. One example is one user with one positive (and its
/// negatives).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Batches of pairs: the user of each example. Batches of users: each user once.
    pub users: Vec<u32>,
    /// The positive of each example.
    pub positives: Vec<u32>,
    /// `n_negatives` sampled items for each example, one example after the other; empty where the
    /// loss samples none. Where the hardest of several is taken, all that were drawn, until it is.
    pub negatives: Vec<u32>,
    /// Batches of users: user `q` has the examples `list_ptr[q]..list_ptr[q + 1]`. Empty for
    /// batches of pairs.
    pub list_ptr: Vec<u32>,
    /// The training edge of each positive.
    pub edges: Vec<u32>,
    /// The label of each positive; empty where all are +1.
    pub labels: Vec<f32>,
    /// Batches of blocks: the users of the block, rising, with or without a pair in it. Empty
    /// otherwise.
    pub block_users: Vec<u32>,
    /// Batches of blocks: its items, rising.
    pub block_items: Vec<u32>,
}

impl Batch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        let Batch { users, positives, negatives, list_ptr, edges, labels, block_users, block_items } = self;
        [users, positives, negatives, list_ptr, edges, block_users, block_items].into_iter().for_each(Vec::clear);
        labels.clear();
    }

    /// Calls `each` with the number of every pair of the batch, its user and its item, in order.
    pub fn each_pair(&self, mut each: impl FnMut(usize, u32, u32)) {
        if self.list_ptr.is_empty() {
            self.users.iter().zip(&self.positives).enumerate().for_each(|(pair, (&u, &i))| each(pair, u, i));
            return;
        }
        for (list, &user) in self.list_ptr.windows(2).zip(&self.users) {
            (list[0] as usize..list[1] as usize).for_each(|pair| each(pair, user, self.positives[pair]));
        }
    }
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
