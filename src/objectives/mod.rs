//! Losses per example, their gradient and their tangent with respect to the final embeddings of the batch's rows.
//!
//! A loss never sees layers or a graph: it is given the rows of the final embeddings that its batch touches, users first. Example weights
//! enter in [`Objective::backward`] and nowhere else.

pub mod config;
mod pair;
mod point;
mod slots;
mod softmax;
mod weights;

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::samplers::{Batch, BlockSampler, NegativeSampler, PairOrder, PairSampler, Sampler, UserSampler};
pub use config::Config;
use config::{Candidates, Negatives};
pub use slots::Slots;
pub use weights::{AuxiliaryTerm, ExampleWeights, Examples, Mean, Parameters, Reduction, Sum};

/// A loss in its three parts. All of them speak of the batch that was given to [`Objective::prepare`] last.
pub trait Objective: Send {
    /// Takes a batch: finds the rows it touches and uploads its indices.
    ///
    /// # Errors
    /// Those of the device.
    fn prepare(&mut self, device: &Device, batch: &Batch) -> Result<()>;

    /// The touched nodes (users `0..n_users`, then items), strictly increasing: the rows of every matrix below.
    fn rows(&self) -> &[u32];

    /// Number of examples.
    fn n_examples(&self) -> usize;

    /// How often each row occurs in the batch: `[rows]`. The regulariser counts with it.
    fn occurrences(&self) -> &Buffer<f32>;

    /// The loss of each example, unreduced: `loss` becomes `[n_examples]`.
    ///
    /// # Errors
    /// Those of the ops.
    fn forward(&mut self, device: &Device, rows: &Buffer<f32>, loss: &mut Buffer<f32>) -> Result<()>;

    /// The gradient of `sum_b weights_b loss_b` with respect to every touched row; call after `forward` on the same rows.
    ///
    /// # Errors
    /// Those of the ops.
    fn backward(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        weights: &Buffer<f32>,
        gradient: &mut Buffer<f32>,
    ) -> Result<()>;

    /// How each example's loss moves when the rows move along `rows_dot`; call after `forward` on the same rows.
    ///
    /// # Errors
    /// Those of the ops.
    fn tangent(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        rows_dot: &Buffer<f32>,
        loss_dot: &mut Buffer<f32>,
    ) -> Result<()>;
}

/// Where nodes lie: users are nodes `0..n_users`, items follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    /// Number of users.
    pub n_users: usize,
    /// Number of items.
    pub n_items: usize,
}

impl Nodes {
    /// Number of nodes.
    pub fn len(self) -> usize {
        self.n_users + self.n_items
    }

    /// True when there are neither users nor items.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The node of an item.
    pub fn item(self, item: u32) -> u32 {
        self.n_users as u32 + item
    }
}

/// Weight decay that belongs to a loss: `l2/2 sum_b |row|^2 / n_examples` over the rows of each example (SPEC A.2, F.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regulariser {
    /// Strength.
    pub l2: f32,
    /// Over the vectors of every layer, or over the base embeddings alone.
    pub all_layers: bool,
}

/// What belongs together: a loss, how its batches are drawn, and its weight decay.
pub struct Task {
    /// The loss.
    pub objective: Box<dyn Objective>,
    /// Draws its batches.
    pub sampler: Box<dyn Sampler>,
    /// Its weight decay.
    pub regulariser: Regulariser,
    /// Items that the sampler draws for each negative; the one with the highest score is to be taken.
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

/// Builds a loss with its sampler over the pairs of `train`. `dim` is the width of the final embeddings.
pub fn build(config: &Config, train: &Interactions, dim: usize, batching: Batching, seed: Seed) -> Task {
    let nodes = Nodes { n_users: train.n_users(), n_items: train.n_items() };
    let size = batching.size.unwrap_or_else(|| config.default_batch_size(nodes.n_users));
    let pairs = |negatives| -> Box<dyn Sampler> {
        match batching.order {
            PairOrder::Blocks { users, items } => Box::new(BlockSampler::new(train, seed, users, items)),
            order => Box::new(PairSampler::new(train, seed, order, size, negatives)),
        }
    };
    let users = || Box::new(UserSampler::new(train, seed, size));
    let negatives = |kind, alpha, n| {
        let sampler = match kind {
            Negatives::Uniform => NegativeSampler::uniform(nodes.n_items),
            Negatives::Popularity => NegativeSampler::popularity(train, alpha),
        };
        Some((sampler, n))
    };
    let base = |l2| Regulariser { l2, all_layers: false };
    let layers = |l2| Regulariser { l2, all_layers: true };
    let softmax = |tau, t2, candidates| Box::new(softmax::SoftmaxLoss::new(nodes, dim, tau, t2, candidates));
    let task = |objective, sampler, regulariser| Task { objective, sampler, regulariser, n_candidates: 1 };
    match config {
        Config::Bpr(c) => {
            let sampler = pairs(negatives(c.negatives, c.alpha, c.n_negatives * c.n_candidates));
            let objective = Box::new(pair::Bpr::new(nodes, dim, c.n_negatives));
            Task { n_candidates: c.n_candidates, ..task(objective, sampler, base(c.l2)) }
        }
        Config::Ssm(c) => task(softmax(c.tau, 1.0, Candidates::Batch), pairs(None), layers(c.l2)),
        Config::Softmax(c) => task(softmax(c.tau, 1.0, Candidates::All), users(), base(c.l2)),
        Config::Bsl(c) => match c.candidates {
            Candidates::All => task(softmax(c.tau, c.t2, c.candidates), users(), base(c.l2)),
            Candidates::Batch => task(softmax(c.tau, c.t2, c.candidates), pairs(None), layers(c.l2)),
        },
        Config::Mse(c) | Config::Logistic(c) => {
            let sampler = pairs(negatives(c.negatives, c.alpha, c.n_negatives * c.n_candidates));
            let squared = matches!(config, Config::Mse(_));
            // Blocks know every pair: none is drawn.
            let n_negatives = if matches!(batching.order, PairOrder::Blocks { .. }) { 0 } else { c.n_negatives };
            let objective = Box::new(point::Pointwise::new(nodes, dim, squared, n_negatives));
            Task { n_candidates: c.n_candidates, ..task(objective, sampler, base(c.l2)) }
        }
    }
}

/// A loss of labels or of pairs on its own, without a sampler and without sampled negatives of its own: what judges a fixed set of examples.
pub fn judge(loss: Judge, nodes: Nodes, dim: usize) -> Box<dyn Objective> {
    match loss {
        Judge::Mse => Box::new(point::Pointwise::new(nodes, dim, true, 0)),
        Judge::Logistic => Box::new(point::Pointwise::new(nodes, dim, false, 0)),
        Judge::Bpr => Box::new(pair::Bpr::new(nodes, dim, 1)),
    }
}

/// A loss on inner products that needs no sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// Squared error of labels.
    Mse,
    /// Logistic loss of labels.
    Logistic,
    /// A liked item against a disliked one of the same user.
    Bpr,
}

#[cfg(test)]
mod tests;
