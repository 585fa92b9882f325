//! What a graph learner is made of: the model, its loss, what fits the layer weights, and ways of
//! learning other than the usual one.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::Device;

use super::lightgcn::Config;
use super::meta::{MetaBatch, Optimizer};
use crate::objectives::{
    self, AuxiliaryTerm, Batching, ExampleWeights, Mean, Nodes, Reduction, Regulariser, Softmax, Task, UniformLoss,
};
use crate::samplers::{Batch, Sampler};

/// What fits the layer weights.
pub enum WeightFit {
    /// The training loss, together with the embeddings.
    OnTraining,
    /// After every step a softmax over all items on cosines, over these pairs. It moves the layer
    /// weights and nothing else.
    OnPairs {
        /// The pairs to learn from.
        pairs: Arc<Interactions>,
        /// True when the global logits stay as they were given.
        fixed_prior: bool,
    },
    /// After every step the mean loss of a fixed set of labelled examples. It moves the layer
    /// weights and nothing else.
    OnUniformLog {
        /// The loss.
        loss: UniformLoss,
        /// All of the examples.
        batch: Batch,
        /// True when the global logits stay as they were given.
        fixed_prior: bool,
    },
    /// Nothing: the weights stay as they were given.
    Fixed,
}

impl WeightFit {
    /// The loss of a fit after every step and how its batches are drawn, if there is one.
    pub(super) fn task(&self, setup: &Setup, dim: usize) -> Option<Task> {
        match self {
            WeightFit::OnPairs { pairs, .. } => {
                let cosine = Softmax { l2: 0.0, ..Softmax::default() };
                let batching = Batching { size: None, ..setup.batching };
                Some(objectives::build(&cosine, pairs, dim, batching, setup.seed))
            }
            WeightFit::OnUniformLog { loss, batch, .. } => {
                let nodes = Nodes { n_users: setup.train.n_users(), n_items: setup.train.n_items() };
                Some(Task {
                    objective: loss.objective(nodes, dim),
                    sampler: Box::new(OneBatch(batch.clone())),
                    regulariser: Regulariser::of_base(0.0),
                    n_candidates: 1,
                })
            }
            WeightFit::OnTraining | WeightFit::Fixed => None,
        }
    }
}

/// Draws the same batch in every step.
struct OneBatch(Batch);

impl Sampler for OneBatch {
    fn n_batches(&self) -> usize {
        1
    }

    fn n_examples(&self) -> usize {
        self.0.positives.len()
    }

    fn batch(&mut self, _train: &Interactions, _epoch: u64, _step: usize, batch: &mut Batch) {
        batch.clone_from(&self.0);
    }
}

/// Everything a graph learner is made of.
pub struct Setup {
    /// Where to compute.
    pub device: Device,
    /// The model.
    pub config: Config,
    /// The registry's name of the model, for the checkpoint.
    pub model: &'static str,
    /// The loss.
    pub objective: objectives::Config,
    /// How batches are drawn.
    pub batching: Batching,
    /// Adam's step size for the embeddings.
    pub learning_rate: f32,
    /// The pairs to learn from.
    pub train: Arc<Interactions>,
    /// What fits the layer weights.
    pub weight_fit: WeightFit,
    /// Global logits to start from, `[layers + 1]`.
    pub prior: Option<Vec<f32>>,
    /// How far a node may leave the global logits; 0 means no limit.
    pub bound: f32,
    /// The seed of the run.
    pub seed: Seed,
}

/// How a learner learns, where it is not the usual way: Adam on the mean of the examples' losses,
/// all pairs being positives.
pub struct Learning {
    /// How the embeddings take a step.
    pub optimizer: Optimizer,
    /// How weight decay is divided; the example weights carry their own division.
    pub reduction: Reduction,
    /// The weight of every example.
    pub weights: Box<dyn ExampleWeights>,
    /// A term of the loss beside the examples.
    pub auxiliary: Option<Box<dyn AuxiliaryTerm>>,
    /// The examples that the weights and the term learn from, if they learn.
    pub meta_batch: Option<MetaBatch>,
    /// The labels of the training pairs, `[n_edges]`; none means that all are +1.
    pub labels: Option<Arc<Vec<f32>>>,
    /// The pairs that are edges of the graph; none takes the training pairs.
    pub graph: Option<Arc<Interactions>>,
}

impl Default for Learning {
    fn default() -> Self {
        Learning {
            optimizer: Optimizer::Adam,
            reduction: Reduction::Mean,
            weights: Box::new(Mean),
            auxiliary: None,
            meta_batch: None,
            labels: None,
            graph: None,
        }
    }
}
