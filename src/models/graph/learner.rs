//! LightGCN in training: propagate, combine, take the loss, walk back, move the base table with Adam.
//!
//! Sources: He et al., *LightGCN*, SIGIR 2020; reference code gusye1234/LightGCN-PyTorch. There is no tape: propagation is linear, so the
//! gradient is written out (SPEC A.1, B.2). Differences from the reference code: isolated nodes have zero layers instead of NaN; ranks are taken on
//! raw scores.
//!
//! Two tasks can run side by side: the training task moves the embeddings (and, if the teacher says so, the layer weights); a lesson moves the
//! layer weights alone (SPEC B.3).

use std::ops::Range;
use std::sync::Arc;

use gcnrec_graphs::{BipartiteGraph, Interactions, Normalization, NormalizedAdjacency, Purpose, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::adjacency::Adjacency;
use gcnrec_kernels::ops::place::fill_column;
use gcnrec_kernels::{Buffer, Device};

use super::combination::Combination;
use super::config::Config;
use super::init::normal;
use super::pass::{Pass, Propagation};
use super::scorer::{GraphScorer, Scoring};
use crate::error::{RecError, Result};
use crate::models::state::State;
use crate::models::{Learner, Scorer, StepReport};
use crate::objectives::{self, Batching, Mean, Nodes, Task};

/// What teaches the layer weights.
pub enum Teacher {
    /// The training loss, together with the embeddings.
    Training,
    /// A lesson after every step: a softmax over all items on cosines, over these pairs. It moves the layer weights and nothing else.
    Lesson {
        /// The pairs to learn from.
        pairs: Arc<Interactions>,
        /// True when the global logits stay as they were given.
        fixed_prior: bool,
    },
    /// Nothing: the weights stay as they were given.
    Nobody,
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
    /// What teaches the layer weights.
    pub teacher: Teacher,
    /// Global logits to start from, `[layers + 1]`.
    pub prior: Option<Vec<f32>>,
    /// How far a node may leave the global logits; 0 means no limit.
    pub bound: f32,
    /// The seed of the run.
    pub seed: Seed,
}

/// LightGCN or matrix factorisation in training.
pub struct GraphLearner {
    setup: Setup,
    nodes: Nodes,
    /// Number of edges of each node.
    degrees: Vec<u32>,
    /// The whole graph, where edges are dropped from it; otherwise the device's copy is enough.
    graph: Option<NormalizedAdjacency>,
    propagation: Propagation,
    combination: Combination,
    task: Task,
    lesson: Option<Task>,
    pass: Pass,
    m: Buffer<f32>,
    v: Buffer<f32>,
    step: u64,
    /// The losses that the device still has, in the order of their steps.
    waiting: Vec<Waiting>,
    /// The epoch whose dropped edges are in the adjacency; `None` when it is whole.
    dropped_for: Option<u64>,
}

/// A loss that is not known yet.
struct Waiting {
    what: &'static str,
    epoch: u64,
    step: usize,
}

impl Waiting {
    /// Refuses a loss that is no number.
    fn finite(&self, value: f64) -> Result<f64> {
        let place = format!("epoch {}, step {}", self.epoch + 1, self.step + 1);
        let error = RecError::NotFinite { what: self.what, value, place, todo: "lower the learning rate".into() };
        if value.is_finite() { Ok(value) } else { Err(error) }
    }
}

/// What [`Waiting`] calls the loss that training reports.
const LOSS: &str = "loss";

impl GraphLearner {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`RecError::Graph`] and those of the device.
    pub fn new(setup: Setup) -> Result<Self> {
        let (device, config, train) = (&setup.device, &setup.config, &setup.train);
        let nodes = Nodes { n_users: train.n_users(), n_items: train.n_items() };
        let graph = NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(train), Normalization::Symmetric)?;
        let adjacency = Adjacency::upload(device, nodes.len(), graph.row_ptr(), graph.col_idx(), graph.values())?;
        let degrees = graph.row_ptr().windows(2).map(|ends| ends[1] - ends[0]).collect();
        let graph = (config.edge_dropout > 0.0).then_some(graph);
        // Biases are two more columns: [p_u, b_u, 1] . [q_i, 1, b_i] = p_u q_i + b_u + b_i.
        let dim = config.dim + if config.biases { 2 } else { 0 };
        let init_std = config.init_std.unwrap_or_else(|| setup.objective.default_init_std());
        let mut base = normal(setup.seed.stream(Purpose::Init, 0, 0), nodes.len() * dim, init_std);
        if config.biases {
            for (node, row) in base.chunks_exact_mut(dim).enumerate() {
                let (bias, one) =
                    if node < nodes.n_users { (config.dim, config.dim + 1) } else { (config.dim + 1, config.dim) };
                (row[bias], row[one]) = (0.0, 1.0);
            }
        }
        let propagation = Propagation::new(device, adjacency, device.upload(&base), dim, config.layers, config.storage);
        let combination = Combination::new(device, config, dim, setup.prior.as_deref(), setup.bound, setup.seed);
        let task = objectives::build(&setup.objective, train, dim, setup.batching, setup.seed);
        let lesson = match &setup.teacher {
            Teacher::Lesson { pairs, .. } => {
                let cosine = objectives::config::Softmax { l2: 0.0, ..Default::default() };
                let batching = Batching { size: None, ..setup.batching };
                Some(objectives::build(&objectives::Config::Softmax(cosine), pairs, dim, batching, setup.seed))
            }
            _ => None,
        };
        let zeros = || device.zeros(nodes.len() * dim);
        let (m, v, pass) = (zeros(), zeros(), Pass::new(device, nodes, config.layers));
        Ok(GraphLearner {
            nodes,
            degrees,
            graph,
            propagation,
            combination,
            task,
            lesson,
            pass,
            m,
            v,
            step: 0,
            waiting: Vec::new(),
            dropped_for: None,
            setup,
        })
    }

    /// One step: the embeddings learn from a training batch, then, if there is a teacher, the layer weights from a held-out batch.
    fn step(&mut self, epoch: u64, step: usize) -> Result<f64> {
        let device = &self.setup.device;
        // Layers need no batch: one thread draws it and sorts its rows while the others propagate.
        let (propagation, pass, task, train) =
            (&mut self.propagation, &mut self.pass, &mut self.task, &self.setup.train);
        let (layers, drawn) =
            rayon::join(|| propagation.below_last(device), || pass.draw(device, task, train, epoch, step));
        layers.and(drawn)?;
        let loss = self.pass.run(device, &self.propagation, &mut self.combination, &mut self.task, &mut Mean)?;
        let loss = known(&mut self.waiting, Waiting { what: LOSS, epoch, step }, loss)?;
        self.step += 1;
        let attention = AdamConfig { learning_rate: self.setup.config.attention.learning_rate, ..Default::default() };
        if let Teacher::Training = self.setup.teacher {
            self.combination.adam(device, &attention, self.step, false)?;
        }
        let mut gradient = self.propagation.backward(device, &self.pass.rows, &self.pass.direct)?;
        self.hold_constant_columns(&mut gradient)?;
        // The lesson is taken on the layers of this step, so it comes before the embeddings move.
        if let (Some(lesson), Teacher::Lesson { pairs, fixed_prior }) = (&mut self.lesson, &self.setup.teacher) {
            let (taken, n) = ((self.step - 1) as usize, lesson.sampler.n_batches().max(1));
            self.pass.draw(device, lesson, pairs, (taken / n) as u64, taken % n)?;
            let taught = self.pass.run(device, &self.propagation, &mut self.combination, lesson, &mut Mean)?;
            known(&mut self.waiting, Waiting { what: "held-out loss", epoch, step }, taught)?;
            self.combination.adam(device, &attention, self.step, *fixed_prior)?;
        }
        let config = AdamConfig { learning_rate: self.setup.learning_rate, ..Default::default() };
        let base = &mut self.propagation.hops[0];
        adam_step(device, &config, self.step, &gradient, &mut self.m, &mut self.v, base)?;
        self.propagation.recycle(gradient);
        Ok(loss)
    }

    /// With biases one column of users and one of items is the constant 1: its gradient is none.
    fn hold_constant_columns(&self, gradient: &mut Buffer<f32>) -> Result<()> {
        if self.setup.config.biases {
            let (dim, users, items) = (self.setup.config.dim, self.nodes.n_users, self.nodes.n_items);
            let width = dim + 2;
            fill_column(&self.setup.device, 0.0, dim + 1, width, users, gradient)?;
            fill_column(&self.setup.device, 0.0, users * width + dim, width, items, gradient)?;
        }
        Ok(())
    }

    /// Drops the edges of an epoch, or puts all back.
    fn drop_edges(&mut self, epoch: Option<u64>) -> Result<()> {
        let Some(graph) = self.graph.as_ref().filter(|_| self.dropped_for != epoch) else { return Ok(()) };
        let dropout = self.setup.config.edge_dropout;
        let dropped;
        let values = match epoch {
            Some(epoch) => {
                dropped = graph.with_edge_dropout(1.0 - dropout, self.setup.seed, epoch)?;
                &dropped
            }
            None => graph.values(),
        };
        self.propagation.adjacency.set_values(&self.setup.device, values)?;
        self.dropped_for = epoch;
        Ok(())
    }
}

impl Learner for GraphLearner {
    fn steps_per_epoch(&self) -> usize {
        self.task.sampler.n_batches()
    }

    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport> {
        self.drop_edges(Some(epoch))?;
        let mut report = StepReport::default();
        for step in steps {
            report.loss += self.step(epoch, step)?;
            report.n_examples += self.task.objective.n_examples() as u64;
        }
        Ok(report)
    }

    fn late_loss(&mut self) -> Result<f64> {
        let sums = self.pass.losses.take(&self.setup.device)?;
        let mut total = 0.0;
        for (waiting, sum) in self.waiting.drain(..).zip(sums) {
            let sum = waiting.finite(sum)?;
            if waiting.what == LOSS {
                total += sum;
            }
        }
        Ok(total)
    }

    fn freeze(&mut self) -> Result<Box<dyn Scorer>> {
        self.drop_edges(None)?;
        let scoring = Scoring {
            model: self.setup.model,
            norm_power: self.setup.config.norm_power.unwrap_or_else(|| self.setup.objective.default_norm_power()),
            config: self.setup.config.clone(),
            bound: self.setup.bound,
        };
        let device = &self.setup.device;
        self.propagation.all(device)?;
        let scorer =
            GraphScorer::freeze(device, scoring, self.nodes, &self.degrees, &self.propagation, &self.combination)?;
        Ok(Box::new(scorer))
    }

    fn state(&self) -> State {
        let (device, dim) = (&self.setup.device, self.propagation.dim);
        let mut state = State::default();
        let shape = [self.nodes.len(), dim];
        state.put_f32("base", &shape, device.read(&self.propagation.hops[0]));
        state.put_f32("adam.m", &shape, device.read(&self.m));
        state.put_f32("adam.v", &shape, device.read(&self.v));
        state.put_fact("step", self.step);
        self.combination.save(device, &mut state, true);
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let (device, shape) = (&self.setup.device, [self.nodes.len(), self.propagation.dim]);
        device.write(&mut self.propagation.hops[0], state.f32("base", &shape)?);
        device.write(&mut self.m, state.f32("adam.m", &shape)?);
        device.write(&mut self.v, state.f32("adam.v", &shape)?);
        self.step = state.fact("step")?;
        self.combination.load(device, state, true)
    }

    fn n_parameters(&self) -> usize {
        self.nodes.len() * self.propagation.dim + self.combination.n_parameters()
    }

    fn layer_logits(&self) -> Option<Vec<f32>> {
        self.combination.logits(&self.setup.device)
    }
}

/// The loss of a step where it is known; otherwise it is waited for later, and counts 0 for now.
fn known(waiting: &mut Vec<Waiting>, place: Waiting, loss: Option<f64>) -> Result<f64> {
    match loss {
        Some(loss) => place.finite(loss),
        None => {
            waiting.push(place);
            Ok(0.0)
        }
    }
}

#[cfg(test)]
mod tests;
