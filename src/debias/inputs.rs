//! What a debiasing method prepares from: the uniform log, the training pairs and their labels.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, Seed, UserId};

use super::prepare::Training;
use super::propensity::{self, Propensity};
use super::{Config, UniformLog, uniform_log};
use crate::data::{Log, Split};
use crate::error::Result;
use crate::models::graph::{Learning, MetaBatch};
use crate::objectives::{Nodes, Reduction, UniformLoss};

/// The rows that a model is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingRows {
    /// Those of the biased log.
    Biased,
    /// Those of the uniform log.
    Uniform,
    /// Those of both.
    Both,
}

/// What a method prepares from.
pub struct MethodInputs<'a> {
    /// The training that the method is for.
    pub training: &'a Training<'a>,
    /// The uniform log without held-out rows; empty without a method.
    pub uniform: &'a UniformLog,
    /// The pairs to train on.
    pub pairs: Arc<Interactions>,
    /// Their labels, where the loss reads labels; none where all are +1 by nature.
    pub labels: Option<Arc<Vec<f32>>>,
    /// The pairs that are edges of the graph; none for all.
    graph: Option<Arc<Interactions>>,
}

impl<'a> MethodInputs<'a> {
    /// The inputs of a method.
    ///
    /// # Errors
    /// Those of [`Interactions::from_pairs`].
    pub fn new(config: &Config, training: &'a Training<'a>, uniform: &'a UniformLog) -> Result<Self> {
        let split = training.split;
        let (rows, ranks) = (config.training_rows(), !training.objective.is_of_labels());
        let pairs = match rows {
            TrainingRows::Biased => training.pairs.clone(),
            TrainingRows::Uniform => with_rows(training, &uniform.rows, false, ranks)?,
            TrainingRows::Both => with_rows(training, &uniform.rows, true, ranks)?,
        };
        let labels = labels_of(split, &pairs, (rows != TrainingRows::Biased).then_some(&uniform.rows));
        let graph = labels.as_ref().map(|labels| Arc::new(pairs.filtered(|edge| labels[edge] > 0.0)));
        let labels = labels.filter(|_| !ranks).map(Arc::new);
        Ok(MethodInputs { training, uniform, pairs, labels, graph })
    }

    /// The usual way to learn from these pairs: all weights alike.
    pub fn learning(&self) -> Learning {
        let reduction = self.reduction();
        let (labels, graph) = (self.labels.clone(), self.graph.clone());
        Learning { weights: reduction.plain(), reduction, labels, graph, ..Learning::default() }
    }

    /// Where nodes lie.
    pub fn nodes(&self) -> Nodes {
        Nodes { n_users: self.training.split.n_users(), n_items: self.training.split.n_items() }
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.training.seed
    }

    /// How losses become one.
    pub fn reduction(&self) -> Reduction {
        self.training.reduction
    }

    /// The label of every pair.
    pub fn known_labels(&self) -> Vec<f32> {
        self.labels.as_ref().map_or_else(|| vec![1.0; self.pairs.n_edges()], |labels| labels.to_vec())
    }

    /// `1 / p` of every pair, with propensities below `clip` counted as `clip`.
    pub(super) fn inverse_propensities(&self, kind: Propensity, clip: f64, alpha: f64) -> Vec<f32> {
        let propensities = match kind {
            Propensity::NaiveBayes => {
                propensity::naive_bayes(&self.pairs, &self.known_labels(), &self.uniform.rows.ratings)
            }
            Propensity::Popularity => propensity::popularity(&self.pairs, alpha),
        };
        propensities.into_iter().map(|p| (1.0 / p.max(clip)) as f32).collect()
    }

    /// The whole uniform log as the examples of a look-ahead, in every step. Without
    /// a loss it is that of the objective.
    ///
    /// # Errors
    /// As for the batch of the uniform log.
    pub fn meta_batch(&self, loss: Option<UniformLoss>) -> Result<MetaBatch> {
        let loss = loss.unwrap_or_else(|| self.training.objective.uniform_loss());
        let batch = uniform_log::batch(loss, &self.uniform.rows)?;
        Ok(MetaBatch { loss, batch, every: 1, look_ahead: true, sample: None, seed: self.seed() })
    }
}

/// The uniform rows as training pairs, alone or beside the training pairs. A loss of rankings takes
/// the liked ones.
fn with_rows(training: &Training<'_>, uniform: &Log, beside: bool, liked_only: bool) -> Result<Arc<Interactions>> {
    let (n_users, n_items) = (training.split.n_users(), training.split.n_items());
    let rows = uniform.pairs().zip(&uniform.ratings).filter(|(_, label)| !liked_only || **label > 0.0);
    let biased = beside.then(|| training.pairs.pairs()).into_iter().flatten();
    let pairs: Vec<(UserId, ItemId)> = biased.chain(rows.map(|(pair, _)| pair)).collect();
    Ok(Arc::new(Interactions::from_pairs(n_users, n_items, pairs)?))
}

/// Calls `each` with the edge and the row of every row that is an edge.
pub(super) fn each_edge(pairs: &Interactions, log: &Log, mut each: impl FnMut(usize, usize)) {
    for (row, (user, item)) in log.pairs().enumerate() {
        if let Some(edge) = pairs.edge(user, item) {
            each(edge, row);
        }
    }
}

/// The labels of the pairs: those of the training rows where feedback is explicit, those of the
/// uniform rows where they are mixed in, otherwise +1. None where all are +1 by nature.
fn labels_of(split: &Split, pairs: &Interactions, uniform: Option<&Log>) -> Option<Vec<f32>> {
    if !split.explicit && uniform.is_none() {
        return None;
    }
    let mut labels = vec![1.0; pairs.n_edges()];
    if split.explicit {
        let held_out = if split.labelled { None } else { Some(&split.valid) };
        for log in [Some(&split.train), held_out].into_iter().flatten().filter(|log| !log.ratings.is_empty()) {
            each_edge(pairs, log, |edge, row| labels[edge] = log.ratings[row]);
        }
    }
    if let Some(uniform) = uniform {
        each_edge(pairs, uniform, |edge, row| labels[edge] = uniform.ratings[row]);
    }
    Some(labels)
}
