//! What a user can choose about training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{RecError, Result};
use crate::models::graph::Optimizer;
use crate::objectives::Reduction;

/// `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the embeddings take a step. Default `adam`.
    pub optimizer: Optimizer,
    /// How the losses of a batch become one: their `mean`, or their `sum` with weight decay not divided either. Default `mean`.
    pub reduction: Reduction,
    /// The step size, above 0. Default: the loss's own (1e-2 for losses over all items, otherwise 1e-3).
    pub learning_rate: Option<f32>,
    /// Examples in a batch: pairs, or users for losses over all items; 1 or more. Default 2048 pairs, or an eighth of the users within 32..=512.
    pub batch_size: Option<usize>,
    /// Epochs at most, 1 or more. Default 1000.
    pub max_epochs: u64,
    /// Epochs between validations, 1 or more. Default 5.
    pub validate_every: u64,
    /// Validations without improvement before training stops, 1 or more. Default 10.
    pub patience: u64,
    /// The first epoch that can be picked, 0 or more: no validation before it. Default 0.
    pub validate_from: u64,
    /// The metric that picks the epoch, as in `ndcg@20`, or `auc` or `nll` for labelled rows. Default `ndcg@20`, for labelled rows `auc`.
    pub metric: String,
    /// How pairs are drawn. Default `pair`. Losses over all items take every user once an epoch and ignore this.
    pub sampling: Sampling,
    /// Users and items of a block, with `sampling = "block"`, each 1 or more. Default `[64, 64]`.
    pub block: [usize; 2],
    /// Train again on training and validation pairs, for as many epochs as validation chose, before test is scored. Default false.
    pub refit: bool,
    /// Epochs on the newest rows alone that follow the training, for sequential models; validation may keep what was there before. Default 0: none.
    pub finetune_epochs: u64,
    /// The share of the rows that are the newest ones there, above 0, up to 1. Default 0.1.
    pub finetune_recent_fraction: f64,
    /// A run whose item vectors a sequential model starts from, by the names of the items. Default: random vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_items_from: Option<PathBuf>,
    /// Seconds that pass at least between two checkpoints at validations, 0 or more. Default 10.
    pub checkpoint_seconds: f64,
    /// Steps between two checkpoints within an epoch; 0 means only at validations and at the end. Default 0.
    pub checkpoint_every_steps: usize,
}

/// How a batch of pairs is drawn (SPEC A.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every training pair once an epoch, shuffled.
    Pair,
    /// As many draws as training pairs: a user uniformly, then one of the user's items. Heavy users count less than with `pair`.
    User,
    /// Blocks of users times items, all of them once an epoch, for losses of labels: what a loss over all pairs of a block needs.
    Block,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            optimizer: Optimizer::Adam,
            reduction: Reduction::Mean,
            learning_rate: None,
            batch_size: None,
            max_epochs: 1000,
            validate_every: 5,
            patience: 10,
            validate_from: 0,
            metric: "ndcg@20".into(),
            sampling: Sampling::Pair,
            block: [64, 64],
            refit: false,
            finetune_epochs: 0,
            finetune_recent_fraction: 0.1,
            init_items_from: None,
            checkpoint_seconds: 10.0,
            checkpoint_every_steps: 0,
        }
    }
}

impl Config {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        if let Some(rate) = self.learning_rate
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(RecError::range("train.learning_rate", rate, "a number above 0"));
        }
        let whole = |name: &str, found: u64| {
            if found >= 1 {
                Ok(())
            } else {
                Err(RecError::range(format!("train.{name}"), found, "a whole number above 0"))
            }
        };
        let seconds = self.checkpoint_seconds;
        if !(seconds >= 0.0 && seconds.is_finite()) {
            return Err(RecError::range("train.checkpoint_seconds", seconds, "a number of 0 or more"));
        }
        let recent = self.finetune_recent_fraction;
        if !(recent > 0.0 && recent <= 1.0) {
            return Err(RecError::range("train.finetune_recent_fraction", recent, "a number above 0, up to 1"));
        }
        if self.block.contains(&0) {
            return Err(RecError::range("train.block", format!("{:?}", self.block), "two whole numbers above 0"));
        }
        whole("batch_size", self.batch_size.unwrap_or(1) as u64)?;
        whole("max_epochs", self.max_epochs)?;
        whole("validate_every", self.validate_every)?;
        whole("patience", self.patience)
    }
}
