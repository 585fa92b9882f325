//! What to train: data, model, loss and settings, resolved and ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::Device;

use crate::data::{Part, Split};
use crate::error::{RecError, Result};
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
    /// The training pairs.
    ///
    /// # Errors
    /// [`RecError::Config`] when there are none: nothing can be learned.
    pub fn train_pairs(&self) -> Result<Interactions> {
        let pairs = self.split.train_interactions()?;
        if pairs.n_edges() == 0 {
            return Err(RecError::range("data", "0 training pairs", "at least 1; lower min_rating or check the files"));
        }
        Ok(pairs)
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
