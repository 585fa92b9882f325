//! What to train: data, model, loss and settings, resolved and ready.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::Device;

use crate::data::{Part, Split};
use crate::error::{Place, RecError, Result};
use crate::eval::{self, Evaluator, HeldOut, MetricAt};
use crate::{models, objectives, train};

/// Everything a run depends on. The same job gives the same bits.
#[derive(Debug, Clone)]
pub struct Job {
    /// Data in parts.
    pub split: Arc<Split>,
    /// The model.
    pub model: models::Config,
    /// The loss; closed-form models ignore it.
    pub objective: objectives::Config,
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
    /// Refuses what cannot be run, before anything is written or a large table is allocated.
    ///
    /// # Errors
    /// [`RecError::Input`] without training pairs: nothing can be learned; [`RecError::Resources`] when the model does not fit into memory.
    pub fn check(&self) -> Result<()> {
        if self.split.train.is_empty() {
            return Err(RecError::Input {
                place: Place::file(Path::new("training part")),
                found: "0 pairs".into(),
                expected: "at least 1".into(),
                todo: "lower data.min_rating, or raise the first of data.ratios".into(),
            });
        }
        models::check_device(&self.model, &self.device)?;
        models::check_memory(&self.model, self.split.n_users(), self.split.n_items())
    }

    /// The training pairs.
    ///
    /// # Errors
    /// [`RecError::Graph`] when the split holds ids out of range.
    pub fn train_pairs(&self) -> Result<Interactions> {
        self.split.train_interactions()
    }

    /// Judges a held-out part while the pairs of others are masked; `None` when the part is empty.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for an unknown metric.
    pub fn evaluator(&self, part: Part, seen: &[Part]) -> Result<Option<Evaluator>> {
        if self.split.part(part).is_empty() {
            return Ok(None);
        }
        let relevant = self.split.interactions(part)?;
        let masked = self.split.joint_interactions(if self.eval.exclude_seen { seen } else { &[] })?;
        let mut metrics = self.eval.metrics_at()?;
        let selected: MetricAt = self.train.metric.parse()?;
        if !metrics.contains(&selected) {
            metrics.push(selected);
        }
        let held_out = HeldOut::new(&relevant, &masked, &self.split.histories(seen))?;
        Ok(Some(Evaluator::new(held_out, &metrics)?))
    }
}

/// Asks a run to stop after its next checkpoint. Cheap to clone; every clone is the same switch.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks for a stop; the run ends with [`RecError::Interrupted`] and this exit code (130 for Ctrl-C, 143 for a termination request).
    pub fn ask(&self, code: u8) {
        self.0.store(code, Ordering::Relaxed);
    }

    /// The exit code asked for, if any.
    pub fn asked(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }
}
