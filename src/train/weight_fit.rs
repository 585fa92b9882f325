//! Layer weights: on what they are fitted, and in how many stages (`attention.fit`).
//!
//! A loss on cosines cannot gain by making one layer long, so its weights learn on the training
//! loss. A loss on inner products can: learned on the training loss, the weights collapse onto
//! layer 0. There the weights are fitted after every step, by a softmax over all items on cosines
//! that moves them and nothing else. The per-node kinds are fitted in two stages: first one global
//! weight per layer; then the embeddings start again with these weights as a fixed prior, from
//! which each node may lean away by a bounded amount.
//!
//! With `held_out` the first stage is fitted on pairs that the embeddings never see. With `uniform`
//! every fit is on the labelled rows of the uniform log: embeddings learn from the biased log, what
//! is made of them from the unbiased one.

use std::sync::Arc;

use gcnrec_graphs::Interactions;

use super::job::Job;
use super::observer::Stage;
use crate::data;
use crate::debias;
use crate::error::Result;
use crate::models::graph::WeightFit;
use crate::models::graph::lightgcn::{Combination, Config, Fit};

/// How far a node's logits may lean away from the fitted global ones.
const DEFAULT_BOUND: f32 = 0.2;

/// How the layer weights of a job are fitted, resolved.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum FitPlan {
    /// There are none.
    NoWeights,
    /// On the training loss.
    OnTraining { bound: f32 },
    /// After every step, in one stage: global weights.
    OneStage(FitData),
    /// After every step, in two stages: global weights first, then what each node adds to them.
    TwoStages { data: FitData, bound: f32 },
}

/// What layer weights are fitted on after a step.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum FitData {
    /// The pairs that the embeddings learn from.
    Training,
    /// Pairs that the embeddings never see, in the first of two stages.
    HeldOut,
    /// The uniform log.
    UniformLog,
}

/// A stage's model, what its embeddings learn from, and what fits its layer weights.
pub(super) struct Assignment {
    pub(super) config: Config,
    pub(super) pairs: Arc<Interactions>,
    pub(super) weight_fit: WeightFit,
    /// How far a node's logits may lean away from the prior; 0 is no limit.
    pub(super) bound: f32,
}

impl FitPlan {
    /// What a job asks for.
    pub(super) fn of(job: &Job) -> Self {
        let Some(config) = job.model.graph() else { return FitPlan::NoWeights };
        if !config.combination.is_learned() {
            return FitPlan::NoWeights;
        }
        let bound = config.attention.bound;
        let data = match config.attention.fit {
            Fit::Auto if job.objective.cosine() => return FitPlan::OnTraining { bound: bound.unwrap_or(0.0) },
            Fit::Training => return FitPlan::OnTraining { bound: bound.unwrap_or(0.0) },
            Fit::Auto | Fit::Lesson => FitData::Training,
            Fit::HeldOut => FitData::HeldOut,
            Fit::Uniform => FitData::UniformLog,
        };
        if !config.combination.is_per_node() && data != FitData::HeldOut {
            return FitPlan::OneStage(data);
        }
        FitPlan::TwoStages { data, bound: bound.unwrap_or(DEFAULT_BOUND) }
    }

    /// True when the global weights are learned first, in a stage of their own.
    pub(super) fn in_stages(self) -> bool {
        matches!(self, FitPlan::TwoStages { .. })
    }

    /// The assignment of a stage whose learner learns from `pairs`.
    pub(super) fn assign(
        self,
        job: &Job,
        stage: Stage,
        config: Config,
        pairs: Arc<Interactions>,
    ) -> Result<Assignment> {
        let mut assigned = Assignment { config, pairs, weight_fit: WeightFit::Fixed, bound: 0.0 };
        match (self, stage) {
            (FitPlan::NoWeights, _) => {}
            (FitPlan::OnTraining { bound }, _) => {
                (assigned.weight_fit, assigned.bound) = (WeightFit::OnTraining, bound);
            }
            (FitPlan::OneStage(data), _) => assigned.weight_fit = data.fit(job, &assigned.pairs, false)?,
            (FitPlan::TwoStages { data, .. }, Stage::Layers) => {
                if assigned.config.combination.is_per_node() {
                    assigned.config.combination = Combination::GLOBAL;
                }
                let mut fit_pairs = assigned.pairs.clone();
                if data == FitData::HeldOut {
                    // Index 0 carves the validation part, index 1 this one: they never share draws.
                    let fraction = assigned.config.attention.held_out_fraction;
                    let (kept, carved) = data::carve(&job.split.train, fraction, job.seed, 1);
                    let (n_users, n_items) = (job.split.n_users(), job.split.n_items());
                    assigned.pairs = Arc::new(kept.interactions(n_users, n_items)?);
                    fit_pairs = Arc::new(carved.interactions(n_users, n_items)?);
                }
                assigned.weight_fit = data.fit(job, &fit_pairs, false)?;
            }
            (FitPlan::TwoStages { data, bound }, _) => {
                assigned.bound = bound;
                if assigned.config.combination.is_per_node() {
                    assigned.weight_fit = data.fit(job, &assigned.pairs, true)?;
                }
            }
        }
        Ok(assigned)
    }
}

impl FitData {
    fn fit(self, job: &Job, pairs: &Arc<Interactions>, fixed_prior: bool) -> Result<WeightFit> {
        if self != FitData::UniformLog {
            return Ok(WeightFit::OnPairs { pairs: pairs.clone(), fixed_prior });
        }
        let (loss, batch) = debias::uniform_batch(&job.objective, &job.split)?;
        Ok(WeightFit::OnUniformLog { loss, batch, fixed_prior })
    }
}
