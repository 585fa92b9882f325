//! A loss with what belongs to it: how its batches are drawn, and its weight decay.

use gcnrec_graphs::{Interactions, Seed};
use serde::{Deserialize, Serialize};

use super::{Loss, Nodes, Objective};
use crate::samplers::{BlockSampler, NegativeSampler, PairOrder, PairSampler, Sampler, UserSampler};
use crate::settings::name_setting;

/// Weight decay that belongs to a loss: `l2/2 sum_b |row|^2 / n_examples` over the rows of each
/// example, once per occurrence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regulariser {
    /// Strength.
    pub l2: f32,
    /// Over the vectors of every layer, or over the base embeddings alone.
    pub all_layers: bool,
}

impl Regulariser {
    /// Over the base embeddings.
    pub fn of_base(l2: f32) -> Self {
        Regulariser { l2, all_layers: false }
    }

    /// Over the vectors of every layer.
    pub fn of_layers(l2: f32) -> Self {
        Regulariser { l2, all_layers: true }
    }
}

/// A loss, how its batches are drawn, and its weight decay.
pub struct Task {
    /// The loss.
    pub objective: Box<dyn Objective>,
    /// Draws its batches.
    pub sampler: Box<dyn Sampler>,
    /// Its weight decay.
    pub regulariser: Regulariser,
    /// Items that the sampler draws for each negative; the one with the highest score is taken.
    pub n_candidates: usize,
}

/// How batches are drawn, resolved: see `[train]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Pairs or users in a batch; `None` takes the loss's default.
    pub size: Option<usize>,
    /// Order of pairs.
    pub order: PairOrder,
}

/// What a task is built of.
#[derive(Debug, Clone, Copy)]
pub struct TaskInputs<'a> {
    /// The pairs to learn from.
    pub train: &'a Interactions,
    /// Width of the final embeddings.
    pub dim: usize,
    /// Pairs or users in a batch.
    pub batch_size: usize,
    /// Order of pairs.
    pub order: PairOrder,
    /// The seed of the run.
    pub seed: Seed,
}

impl TaskInputs<'_> {
    /// Where nodes lie.
    pub fn nodes(&self) -> Nodes {
        Nodes { n_users: self.train.n_users(), n_items: self.train.n_items() }
    }

    /// True when batches are blocks of users and items, all of whose pairs are known.
    pub fn in_blocks(&self) -> bool {
        matches!(self.order, PairOrder::Blocks { .. })
    }

    /// Draws pairs, each with so many sampled items.
    pub fn pairs(&self, negatives: Option<(NegativeSampler, usize)>) -> Box<dyn Sampler> {
        match self.order {
            PairOrder::Blocks { users, items } => Box::new(BlockSampler::new(self.train, self.seed, users, items)),
            order => Box::new(PairSampler::new(self.train, self.seed, order, self.batch_size, negatives)),
        }
    }

    /// Draws users with all their positives.
    pub fn users(&self) -> Box<dyn Sampler> {
        Box::new(UserSampler::new(self.train, self.seed, self.batch_size))
    }
}

/// Where negatives are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// Every item alike.
    Uniform,
    /// Items in proportion to their training count to the power of `alpha`.
    Popularity,
}

name_setting!(Negatives, "negative sampler");

impl Negatives {
    /// Draws single items; `alpha` is the exponent of popularity.
    pub(crate) fn sampler(self, train: &Interactions, alpha: f64) -> NegativeSampler {
        match self {
            Negatives::Uniform => NegativeSampler::uniform(train.n_items()),
            Negatives::Popularity => NegativeSampler::popularity(train, alpha),
        }
    }
}

/// Builds a loss with its sampler over the pairs of `train`. `dim` is the width of the final
/// embeddings.
pub(crate) fn build(loss: &dyn Loss, train: &Interactions, dim: usize, batching: Batching, seed: Seed) -> Task {
    let batch_size = batching.size.unwrap_or_else(|| loss.default_batch_size(train.n_users()));
    loss.task(&TaskInputs { train, dim, batch_size, order: batching.order, seed })
}
