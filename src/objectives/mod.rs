//! Losses: the loss of each example, its gradient and its tangent, on final embeddings.
//!
//! A loss never sees layers or a graph: it is given the rows of the final embeddings that its
//! batch touches, users first. Example weights enter in [`Objective::backward`] and nowhere else.
//!
//! A loss is one file: its settings, which implement [`Loss`], and a row in the list below.

pub(crate) mod bpr;
mod bsl;
mod cosine_softmax;
mod logistic;
mod mse;
mod objective;
mod pair;
mod point;
mod slots;
mod softmax;
pub(crate) mod ssm;
mod task;
mod uniform_loss;
mod weights;

use crate::error::Result;
use crate::settings::{Chosen, Family, Row, Settings, Unread};
pub use objective::Nodes;
pub(crate) use objective::Objective;
pub(crate) use point::Pointwise;
pub(crate) use slots::Slots;
pub(crate) use softmax::Softmax;
pub use task::Batching;
pub(crate) use task::{Negatives, Regulariser, Task, TaskInputs, build};
pub(crate) use uniform_loss::UniformLoss;
pub use weights::Reduction;
pub(crate) use weights::{AuxiliaryTerm, ExampleWeights, Examples, Mean, Parameters};

/// Above this number of items a row of scores per user costs too much: the default
/// loss is `ssm`.
const MOST_ITEMS_FOR_SOFTMAX: usize = 200_000;

/// A loss with its settings: `[objective.NAME]` holds exactly one.
pub type Config = Chosen<dyn Loss>;

/// A kind of loss.
pub trait Loss: Settings {
    /// Its row in the list of losses.
    fn row(&self) -> &'static Row<dyn Loss>;

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`](crate::error::RecError::Config) for the first one.
    fn validate(&self) -> Result<()>;

    /// Settings that others of its settings make void; `key` is that of its table.
    fn unread(&self, key: &str) -> Vec<Unread> {
        let _ = key;
        Vec::new()
    }

    /// True when the loss is taken on cosines, so that embeddings are normalised before it.
    fn cosine(&self) -> bool {
        false
    }

    /// True when a batch is a number of users with all their positives, scored against all items.
    fn batches_users(&self) -> bool {
        false
    }

    /// Where single items that a user does not have are drawn from, and the exponent of their
    /// popularity; none for a loss that draws none.
    fn negatives(&self) -> Option<(Negatives, f64)> {
        None
    }

    /// The loss of the uniform log that belongs to this one, on inner products.
    fn uniform_loss(&self) -> UniformLoss {
        UniformLoss::Bpr
    }

    /// True for a loss of labels: it can use examples that are disliked.
    fn is_of_labels(&self) -> bool {
        self.uniform_loss() != UniformLoss::Bpr
    }

    /// The power of the item's norm that the loss is ranked with unless the model says otherwise:
    /// 1 is the inner product, 0 the cosine.
    fn default_norm_power(&self) -> f32 {
        if self.batches_users() { 0.0 } else { 1.0 }
    }

    /// The standard deviation of initial embeddings that the loss is known to work with: Xavier's
    /// order of magnitude for the losses that were published with it, the 0.1 of LightGCN-PyTorch
    /// for the others.
    fn default_init_std(&self) -> f32 {
        if self.cosine() && !self.batches_users() { 0.01 } else { 0.1 }
    }

    /// The step size that the loss is known to work with.
    fn default_learning_rate(&self) -> f32 {
        if self.batches_users() { 1e-2 } else { 1e-3 }
    }

    /// 2048 pairs, or an eighth of the users within 32..=512.
    fn default_batch_size(&self, n_users: usize) -> usize {
        if self.batches_users() { n_users.div_ceil(8).clamp(32, 512) } else { 2048 }
    }

    /// Epochs between validations of factors without layers, where the loss has a say in it.
    fn default_validate_every(&self) -> Option<u64> {
        None
    }

    /// These settings with those that depend on the number of items written out; nothing where
    /// none does. `is_set` answers whether the user wrote a key of this table.
    fn settled(&self, n_items: usize, is_set: &dyn Fn(&str) -> bool) -> Option<Config> {
        let _ = (n_items, is_set);
        None
    }

    /// The loss with its sampler and its weight decay.
    fn task(&self, inputs: &TaskInputs<'_>) -> Task;
}

impl Family for dyn Loss {
    const WHAT: &'static str = "loss";

    fn rows() -> &'static [&'static Row<Self>] {
        static ROWS: [&Row<dyn Loss>; 6] = [&bpr::ROW, &ssm::ROW, &softmax::ROW, &bsl::ROW, &mse::ROW, &logistic::ROW];
        &ROWS
    }

    fn default_row() -> &'static Row<Self> {
        &softmax::ROW
    }

    fn row(&self) -> &'static Row<Self> {
        Loss::row(self)
    }

    fn validate(&self) -> Result<()> {
        Loss::validate(self)
    }
}

/// The loss where none is named and there are so many items that the usual default is too dear.
pub(crate) fn default_of_many(n_items: usize) -> Option<Config> {
    (n_items > MOST_ITEMS_FOR_SOFTMAX).then(|| Config::new((ssm::ROW.default)()))
}

#[cfg(test)]
mod tests;
