//! LightGCN and matrix factorisation in training, without a tape: propagation is linear, so its
//! gradient is written out.
//!
//! One step, with `E_0` the base table, `A` the normalised adjacency and K layers:
//!
//! 1. Draw a batch, and propagate: `E_l = A E_(l-1)` for `l < K`; `E_K` on the batch's rows only.
//! 2. Combine the layers of those rows: `x_i = sum_l a_il e_il`, with weights `a` that may be
//!    learned.
//! 3. Take the loss of every example from the rows `x`.
//! 4. Where example weights are learned and it is their turn: look ahead ([`LookAhead`]), and move
//!    them against how the loss of the uniform log answers.
//! 5. Weigh the examples, and go back: from `d loss / d x` to `D_l`, the gradient of layer `l`'s
//!    rows, and to the gradient of the layer weights, which take their Adam step with
//!    [`WeightFit::OnTraining`](super::setup::WeightFit).
//! 6. Go back to the base table by Horner's scheme: `B_K = D_K`, `B_l = D_l + A B_(l+1)`.
//! 7. With another [`WeightFit`](super::setup::WeightFit), fit the layer weights on a batch of
//!    their own: on the same layers, so before the base moves.
//! 8. Move the base table along `B_0` by Adam or plain descent.
//!
//! Sources: He et al., *LightGCN*, SIGIR 2020; reference code gusye1234/LightGCN-PyTorch. We
//! differ: isolated nodes have zero layers instead of NaN; ranks are taken on raw scores.

use std::ops::Range;
use std::sync::Arc;

use gcnrec_graphs::{
    BipartiteGraph, Interactions, NodeOrder, NodePermutation, Normalization, NormalizedAdjacency, Purpose,
};
use gcnrec_kernels::ops::adjacency::Adjacency;
use gcnrec_kernels::{Buffer, Device};

use super::combination::Combiner;
use super::hardest::Hardest;
use super::init::normal;
use super::meta::{ConstantColumns, LookAhead};
use super::pass::Pass;
use super::propagation::Propagation;
use super::scorer::{GraphScorer, LEARNED, Scoring};
use super::setup::{Learning, Setup};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Learner, Scorer, StepReport};
use crate::objectives::{self, Nodes, Task};

mod debiased;
#[cfg(test)]
mod hardest_tests;
mod steps;
#[cfg(test)]
mod tests;

use steps::{LOSS, Waiting};

/// LightGCN or matrix factorisation in training.
pub struct GraphLearner {
    setup: Setup,
    nodes: Nodes,
    /// Number of edges of each node.
    degrees: Vec<u32>,
    /// The whole graph, where edges are dropped from it; otherwise the device's copy is enough.
    graph: Option<NormalizedAdjacency>,
    propagation: Propagation,
    combination: Combiner,
    task: Task,
    fit_task: Option<Task>,
    /// Where the hardest of several drawn items becomes the negative.
    hardest: Option<Hardest>,
    learning: Learning,
    look_ahead: Option<LookAhead>,
    constant: Option<ConstantColumns>,
    pass: Pass,
    m: Buffer<f32>,
    v: Buffer<f32>,
    /// Steps taken so far, the present one included.
    n_steps: u64,
    /// The losses that the device still has, in the order of their steps.
    waiting: Vec<Waiting>,
    /// The epoch whose dropped edges are in the adjacency; `None` when it is whole.
    dropped_for: Option<u64>,
}

impl GraphLearner {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`crate::RecError::Graph`] and those of the device.
    pub fn new(setup: Setup) -> Result<Self> {
        GraphLearner::with(setup, Learning::default())
    }

    /// A learner at step 0 that learns in its own way.
    ///
    /// # Errors
    /// As [`GraphLearner::new`].
    pub fn with(setup: Setup, mut learning: Learning) -> Result<Self> {
        let (device, config, train) = (&setup.device, &setup.config, &setup.train);
        let nodes = Nodes { n_users: train.n_users(), n_items: train.n_items() };
        let graph = NormalizedAdjacency::from_graph(
            &BipartiteGraph::from_train(learning.graph.as_ref().unwrap_or(train)),
            Normalization::Symmetric,
        )?;
        // Biases are two more columns: [p_u, b_u, 1] . [q_i, 1, b_i] = p_u q_i + b_u + b_i.
        let dim = config.dim + if config.biases { 2 } else { 0 };
        let order = summing_order(device, &graph, config.layers * nodes.len() * dim);
        let (row_ptr, col_idx, values) = (graph.row_ptr(), graph.col_idx(), graph.values());
        let adjacency = Adjacency::upload_in_order(device, nodes.len(), row_ptr, col_idx, values, order.old_of())?;
        let degrees = graph.row_ptr().windows(2).map(|ends| ends[1] - ends[0]).collect();
        let graph = (config.edge_dropout > 0.0).then_some(graph);
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
        let combination = Combiner::new(device, config, dim, setup.prior.as_deref(), setup.bound, setup.seed);
        let task = objectives::build(&*setup.objective, train, dim, setup.batching, setup.seed);
        let hardest = (task.n_candidates > 1).then(|| Hardest::new(device, nodes, config.layers));
        let fit_task = setup.weight_fit.task(&setup, dim);
        let zeros = || device.zeros(nodes.len() * dim);
        let (m, v, mut pass) = (zeros(), zeros(), Pass::new(device, nodes, config.layers));
        pass.free_biases = config.biases && !config.decay_biases;
        let constant = config.biases.then_some(ConstantColumns { width: dim, nodes });
        let meta_batch = learning.meta_batch.take();
        let look_ahead =
            meta_batch.map(|batch| LookAhead::new(device, batch, nodes, dim, config.layers)).transpose()?;
        Ok(GraphLearner {
            learning,
            look_ahead,
            constant,
            nodes,
            degrees,
            graph,
            propagation,
            combination,
            task,
            fit_task,
            hardest,
            pass,
            m,
            v,
            n_steps: 0,
            waiting: Vec::new(),
            dropped_for: None,
            setup,
        })
    }

    /// The pairs that are trained on.
    pub fn pairs(&self) -> &Arc<Interactions> {
        &self.setup.train
    }

    /// Their labels; none where all are +1.
    pub fn labels(&self) -> Option<&Arc<Vec<f32>>> {
        self.learning.labels.as_ref()
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
        let device = self.setup.device.clone();
        device.run(|| self.take_steps(epoch, steps))
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
        let learned = self.learned().into_iter().flatten().collect();
        let (degrees, propagation, combination) = (&self.degrees, &self.propagation, &self.combination);
        let scorer = GraphScorer::freeze(device, scoring, self.nodes, degrees, propagation, combination, learned)?;
        Ok(Box::new(scorer))
    }

    fn state(&self) -> State {
        let (device, dim) = (&self.setup.device, self.propagation.dim);
        let mut state = State::default();
        let shape = [self.nodes.len(), dim];
        state.put_f32("base", &shape, device.read(&self.propagation.hops[0]));
        state.put_f32("adam.m", &shape, device.read(&self.m));
        state.put_f32("adam.v", &shape, device.read(&self.v));
        state.put_fact("step", self.n_steps);
        self.combination.save(device, &mut state, true);
        for (name, values) in self.learned().into_iter().flatten() {
            state.put_f32(&name, &[values.len()], values);
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let (device, shape) = (&self.setup.device, [self.nodes.len(), self.propagation.dim]);
        device.write(&mut self.propagation.hops[0], state.f32("base", &shape)?);
        device.write(&mut self.m, state.f32("adam.m", &shape)?);
        device.write(&mut self.v, state.f32("adam.v", &shape)?);
        self.n_steps = state.steps()?;
        self.combination.load(device, state, true)?;
        self.restore_learned(state)
    }

    fn n_parameters(&self) -> usize {
        self.nodes.len() * self.propagation.dim + self.combination.n_parameters()
    }

    fn layer_logits(&self) -> Option<Vec<f32>> {
        self.combination.logits(&self.setup.device)
    }
}

/// In which order a processor sums rows, for tables of `n_numbers` in all: communities after one
/// another where a table outgrows the caches near a core.
fn summing_order(device: &Device, graph: &NormalizedAdjacency, n_numbers: usize) -> NodePermutation {
    const CACHED: usize = 1 << 20; // 4 MiB
    let outgrown = device.has_ordered_rows() && n_numbers > CACHED;
    let order = if outgrown { NodeOrder::Communities } else { NodeOrder::Natural };
    order.of(graph)
}
