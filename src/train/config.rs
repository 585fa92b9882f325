//! Training settings: `[train]` of a run file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{RecError, Result};
use crate::models::graph::Optimizer;
use crate::objectives::{self, Reduction};
use crate::settings::{Unread, above, above_up_to, at_least, name_setting, settings};

settings! {
    /// `[train]`.
    pub struct Config {
        /// How the embeddings take a step.
        optimizer: Optimizer = Optimizer::Adam;
        /// How the losses of a batch become one; with sums weight decay is not divided either.
        reduction: Reduction = Reduction::Mean;
        /// Step size.
        learning_rate: Option<f32> = None, or "0.01 for losses over all items, else 0.001",
            in above(0.0), flag "--lr";
        /// Examples in a batch: pairs, or users for losses over all items.
        batch_size: Option<usize> = None,
            or "2048 pairs; an eighth of the users (32 to 512) for losses over all items",
            in above(0.0), flag "--batch-size";
        /// Epochs at most.
        max_epochs: u64 = 1000, in above(0.0), flag "--epochs";
        /// Epochs between validations; `mf` with `softmax`, whose epochs cost hardly more than a
        /// validation, takes 10.
        validate_every: u64 = 5, in above(0.0);
        /// Validations without improvement before training stops.
        patience: u64 = 10, in above(0.0);
        /// The first epoch that is validated.
        validate_from: u64 = 0;
        /// Picks the epoch; for labelled rows it is `auc` unless it is set.
        metric: String = "ndcg@20".into(),
            takes "`METRIC@K`, K from 1 to 10000; `auc`, `nll` and others for labelled rows";
        /// Every pair once an epoch, a user first and then one of their pairs, or blocks of users
        /// times items. Losses over all items take every user once an epoch.
        sampling: Sampling = Sampling::Pair;
        /// Users and items of a block, for `sampling = "block"`.
        block: [usize; 2] = [64, 64], takes "two numbers of 1 or more";
        /// Train again on training and validation pairs, for as many epochs as validation chose,
        /// before test is scored.
        refit: bool = false, flag "--refit";
        /// Epochs on the newest rows alone that follow the training, with optimiser state anew, for
        /// models that read sequences (not `fpmc`); they are validated as in training, and where
        /// none is better the trained model stays; after `train.refit` all are taken.
        finetune_epochs: u64 = 0;
        /// The share of the rows that are the newest there, by the rule of `data.recent_fraction`.
        finetune_recent_fraction: f64 = 0.1, in above_up_to(0.0, 1.0);
        /// Item vectors that a model of sequences starts from, by the names of the items, scaled to
        /// the model's own start; other items start at random.
        #[serde(skip_serializing_if = "Option::is_none")]
        init_items_from: Option<PathBuf> = None, or "none", takes "a run folder", flag "--init-items";
        /// Seconds at least between checkpoints at validations.
        checkpoint_seconds: f64 = 10.0, in at_least(0.0);
        /// Steps between checkpoints within an epoch.
        checkpoint_every_steps: usize = 0, takes "0 or more, 0 for never";
    }
}

/// How a batch of pairs is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every training pair once an epoch, shuffled.
    Pair,
    /// As many draws as training pairs: a user uniformly, then one of the user's items. Heavy users
    /// count less than with `pair`.
    User,
    /// Blocks of users times items, all of them once an epoch, for losses of labels: what a loss
    /// over all pairs of a block needs.
    Block,
}

name_setting!(Sampling, "sampling");

/// Keys that a model without steps reads, or refuses by itself.
const READ_WITHOUT_STEPS: [&str; 4] = ["metric", "init_items_from", "finetune_epochs", "finetune_recent_fraction"];

impl Config {
    /// True for a key of `[train]` that says something to a model that is not trained by steps.
    pub(crate) fn is_read_without_steps(key: &str) -> bool {
        READ_WITHOUT_STEPS.contains(&key)
    }

    /// Keys that are set and that nothing reads beside the others and the loss.
    pub(crate) fn unread(&self, objective: Option<&objectives::Config>) -> Vec<Unread> {
        let (changed, mut found) = (self.changed(), Vec::new());
        if self.sampling == Sampling::User
            && let Some(objective) = objective.filter(|objective| objective.batches_users())
        {
            let beside = format!("the loss {}, whose batches are users with all their items", objective.name());
            let todo = "it fits losses of pairs, such as bpr and ssm; remove the key";
            found.push(Unread::new("train.sampling", beside, todo, "objective"));
        }
        if changed.contains(&"block") && self.sampling != Sampling::Block {
            let todo = "set train.sampling = \"block\", or remove the key";
            found.push(Unread::new("train.block", "a training without blocks", todo, "train.sampling"));
        }
        if changed.contains(&"finetune_recent_fraction") && self.finetune_epochs == 0 {
            let (key, todo) = ("train.finetune_recent_fraction", "set train.finetune_epochs, or remove the key");
            found.push(Unread::new(key, "a training without fine-tuning", todo, "train.finetune_epochs"));
        }
        found
    }

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        if self.block.contains(&0) {
            return Err(RecError::range("train.block", format!("{:?}", self.block), "two whole numbers above 0"));
        }
        self.check_ranges("train")
    }
}
