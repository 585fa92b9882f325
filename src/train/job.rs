//! What to train: data, model, loss and settings, resolved and ready.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::Device;

use crate::data::{Part, Split};
use crate::error::{Place, RecError, Result};
use crate::eval::{self, Candidates, Evaluator, HeldOut, ItemCounts, MetricAt};
use crate::samplers::{NegativeSampler, draw_candidates};
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
        let mut held_out = HeldOut::new(&relevant, &masked, &self.split.histories(seen))?;
        if let Some(candidates) = self.candidates(part, &relevant)? {
            held_out = held_out.with_candidates(candidates)?;
        }
        let counts = ItemCounts::new(self.split.train_interactions()?.item_counts(), self.eval.tail_ratio);
        Ok(Some(Evaluator::new(held_out, &metrics)?.with_counts(counts)))
    }

    /// What is ranked beside the held-out items where that is not everything. Draws avoid all that the user has in the parts up to this one; where seen
    /// items may return, only what is held out. Popularity is counted over all parts, as in RecBole.
    fn candidates(&self, part: Part, relevant: &Interactions) -> Result<Option<Vec<Vec<u32>>>> {
        let all = [Part::Train, Part::Valid, Part::Test];
        let (sampler, n_draws) = match self.eval.candidates {
            Candidates::All | Candidates::Labeled => return Ok(None),
            Candidates::Uniform(n) => (NegativeSampler::uniform(self.split.n_items()), n),
            Candidates::Popularity(n) => (NegativeSampler::popularity(&self.split.joint_interactions(&all)?, 1.0), n),
        };
        let up_to_now = if part == Part::Valid { &all[..2] } else { &all[..] };
        let only_this = [part];
        let known = self.split.joint_interactions(if self.eval.exclude_seen { up_to_now } else { &only_this })?;
        // Validation and test draw from different streams, however alike their users.
        let seed = Seed(self.seed.0 ^ if part == Part::Valid { 1 << 63 } else { 0 });
        Ok(Some(draw_candidates(relevant, &known, &sampler, n_draws as usize, seed)))
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
