//! The job of the trainer: data, model, loss and settings of one training.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::Device;

use crate::data::{Log, Part, Split};
use crate::error::Result;
use crate::eval::{self, Candidates, Protocol, SelectedOn};
use crate::{debias, models, objectives, train};

/// Everything a run depends on. The same job gives the same bits.
#[derive(Debug, Clone)]
pub struct Job {
    /// Data in parts.
    pub split: Arc<Split>,
    /// The model.
    pub model: models::Config,
    /// The loss; closed-form models ignore it.
    pub objective: objectives::Config,
    /// How examples are weighed; closed-form models know none.
    pub debias: debias::Config,
    /// Epochs, batches, early stopping.
    pub train: train::Config,
    /// Metrics and masks.
    pub eval: eval::Config,
    /// The seed.
    pub seed: Seed,
    /// Where to compute.
    pub device: Device,
    /// The resolved run file, kept in every checkpoint.
    pub config_toml: String,
}

impl Job {
    /// The training pairs.
    ///
    /// # Errors
    /// [`crate::RecError::Graph`] when the split holds ids out of range.
    pub fn train_pairs(&self) -> Result<Interactions> {
        self.split.train_interactions()
    }

    /// The rows that fine-tuning learns from.
    pub(super) fn newest_rows(&self, parts: &[Part]) -> Result<Log> {
        self.split.newest(parts, self.train.finetune_recent_fraction, "train.finetune_recent_fraction")
    }

    /// True when what is served learns from the validation pairs as well. Labelled rows were shown,
    /// not chosen: they are no pairs to learn from.
    pub fn learns_from_valid(&self) -> bool {
        (self.train.refit || self.model.is_closed_form()) && !self.split.labelled
    }

    /// How the numbers of a held-out part come about; `selected` where a validation part picked the
    /// epoch.
    pub fn protocol(&self, part: Part, selected: bool, n_eval_users: usize) -> Protocol {
        let candidates = match self.eval.candidates {
            _ if self.split.labelled => Candidates::Labeled,
            // A file of candidates is about what is tested.
            Candidates::Given if part == Part::Valid => Candidates::All,
            candidates => candidates,
        };
        let selected_on = match selected {
            true if self.split.labelled => SelectedOn::Uniform,
            true => SelectedOn::Valid,
            false => SelectedOn::None,
        };
        // A closed form picks no epoch and learns from the validation pairs too.
        let refit =
            !self.split.valid.is_empty() && self.learns_from_valid() && (selected || self.model.is_closed_form());
        let exclude_seen = self.eval.exclude_seen;
        Protocol { candidates, exclude_seen, selected_on, refit, n_eval_users }
    }
}
