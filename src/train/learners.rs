//! Learners of a training stage: those of the graph models and those of the sequential models.

use std::sync::Arc;

use gcnrec_graphs::Interactions;

use super::config::Sampling;
use super::job::Job;
use super::observer::Stage;
use super::outcome::ExampleWeightReport;
use super::start::start_items;
use super::weight_fit::FitPlan;
use crate::data::Part;
use crate::debias::{self, UniformLog};
use crate::error::Result;
use crate::models::graph::{GraphLearner, Learning, Setup};
use crate::models::{self, Learner, PairWeights, Scorer, sequential};
use crate::objectives::Batching;
use crate::samplers::PairOrder;

/// A learner of one of the families.
pub(super) enum StageLearner {
    Graph(Box<GraphLearner>),
    Sequential(Box<dyn Learner>),
}

impl StageLearner {
    /// The learner of a stage that learns from `pairs`; `prior` are the layer logits of an earlier
    /// stage.
    pub(super) fn new(
        job: &Job,
        fit_plan: FitPlan,
        uniform: &UniformLog,
        stage: Stage,
        pairs: Arc<Interactions>,
        prior: Option<Vec<f32>>,
    ) -> Result<Self> {
        match job.model.graph() {
            Some(config) => {
                Ok(StageLearner::Graph(Box::new(graph_learner(job, config, fit_plan, uniform, stage, pairs, prior)?)))
            }
            None => Ok(StageLearner::Sequential(sequence_learner(job, stage, pairs)?)),
        }
    }

    pub(super) fn as_dyn(&mut self) -> &mut dyn Learner {
        match self {
            StageLearner::Graph(learner) => &mut **learner,
            StageLearner::Sequential(learner) => &mut **learner,
        }
    }

    /// The weights of a learner's pairs, where a method made them, as they were when the model was
    /// frozen.
    pub(super) fn example_weights(&mut self, job: &Job, scorer: &dyn Scorer) -> Result<Option<ExampleWeightReport>> {
        let StageLearner::Graph(learner) = self else { return Ok(None) };
        if job.debias.is_none() {
            return Ok(None);
        }
        learner.restore_learned(&scorer.state())?;
        let (pairs, labels) = (learner.pairs().clone(), learner.labels().cloned());
        let Some(weights) = learner.pair_weights()? else { return Ok(None) };
        let of_edges = labels.as_ref().map(|labels| labels.as_slice());
        let table = debias::weight_table(&job.split, &pairs, of_edges, &weights, learner.imputed_values());
        Ok(Some(ExampleWeightReport { pairs, labels, weights, table }))
    }
}

fn graph_learner(
    job: &Job,
    config: models::graph::Config,
    fit_plan: FitPlan,
    uniform: &UniformLog,
    stage: Stage,
    pairs: Arc<Interactions>,
    prior: Option<Vec<f32>>,
) -> Result<GraphLearner> {
    let assigned = fit_plan.assign(job, stage, config, pairs)?;
    let order = match job.train.sampling {
        Sampling::Pair => PairOrder::PairUniform,
        Sampling::User => PairOrder::UserUniform,
        Sampling::Block => PairOrder::Blocks { users: job.train.block[0], items: job.train.block[1] },
    };
    let prepared = debias::prepare_on(
        &job.debias,
        uniform,
        &debias::Training {
            split: &job.split,
            pairs: assigned.pairs,
            objective: &job.objective,
            reduction: job.train.reduction,
            dim: assigned.config.dim + if assigned.config.biases { 2 } else { 0 },
            biases: assigned.config.biases,
            seed: job.seed,
        },
    )?;
    let learning = Learning { optimizer: job.train.optimizer, ..prepared.learning };
    let setup = Setup {
        device: job.device.clone(),
        config: assigned.config,
        model: job.model.name(),
        objective: job.objective.clone(),
        batching: Batching { size: job.train.batch_size, order },
        learning_rate: job.train.learning_rate.unwrap_or_else(|| job.objective.default_learning_rate()),
        train: prepared.pairs,
        weight_fit: assigned.weight_fit,
        prior,
        bound: assigned.bound,
        seed: job.seed,
    };
    GraphLearner::with(setup, learning)
}

fn sequence_learner(job: &Job, stage: Stage, pairs: Arc<Interactions>) -> Result<Box<dyn Learner>> {
    let parts = if learns_from_valid(job, stage) { &[Part::Train, Part::Valid][..] } else { &[Part::Train] };
    let histories = match stage {
        Stage::Finetune => job.split.histories_in(&job.newest_rows(parts)?),
        _ => job.split.histories(parts),
    };
    let setup = sequential::Setup {
        histories: Arc::new(histories),
        n_items: job.split.n_items(),
        batch_size: job.train.batch_size,
        learning_rate: job.train.learning_rate,
        seed: job.seed,
        device: job.device.clone(),
    };
    let model = job.model.sequential().expect("models of other families should have returned earlier");
    let mut learner = model.learner(setup)?;
    if let Some(weights) = job.split.recency_weights(&pairs) {
        learner.weigh_pairs(PairWeights { pairs, weights })?;
    }
    if let Some(items) = start_items(job)? {
        learner.start_with_items(&items)?;
    }
    Ok(learner)
}

/// Whether a stage learns from the validation part too.
pub(super) fn learns_from_valid(job: &Job, stage: Stage) -> bool {
    stage == Stage::Refit || (stage == Stage::Finetune && job.train.refit)
}
