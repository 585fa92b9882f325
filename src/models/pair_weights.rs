//! How much each training pair counts, for models that are trained on what follows what.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, UserId};

/// A weight for each training pair. A prediction counts as the pair of the user and the item that was to be predicted: met twice, an item counts
/// each time as much.
#[derive(Debug, Clone)]
pub struct PairWeights {
    /// The pairs: all that is ever predicted.
    pub pairs: Arc<Interactions>,
    /// `[n_edges]`, with the mean 1.
    pub weights: Vec<f32>,
}

impl PairWeights {
    /// How much it counts that a user met an item.
    pub(super) fn of(&self, user: u32, item: u32) -> f32 {
        let edge = self.pairs.edge(UserId(user), ItemId(item));
        self.weights[edge.expect("what is predicted in training should be a training pair")]
    }
}
