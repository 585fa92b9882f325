//! Weights of training pairs, for models that are trained on sequences.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, UserId};

/// A weight for each training pair. A prediction has the weight of the pair of its user and its
/// target; an item that a user met twice has it both times.
#[derive(Debug, Clone)]
pub struct PairWeights {
    /// The pairs: all that is ever predicted.
    pub pairs: Arc<Interactions>,
    /// `[n_edges]`, with the mean 1.
    pub weights: Vec<f32>,
}

impl PairWeights {
    /// The weight of a pair.
    pub(super) fn of(&self, user: u32, item: u32) -> f32 {
        let edge = self.pairs.edge(UserId(user), ItemId(item));
        self.weights[edge.expect("what is predicted in training should be a training pair")]
    }
}
