//! The 32-bit engine against the f64 reference, at the same point of training.

use std::sync::{Arc, Mutex};

use gcnrec_graphs::{Interactions, ItemId, Seed, UserId};
use gcnrec_kernels::ops::adam::AdamConfig;
use gcnrec_kernels::ops::combine::additive::AdditiveShape;
use gcnrec_kernels::{Buffer, Device};

use super::reference::{Optimizer, World};
use super::*;
use crate::error::Result;
use crate::models::Learner;
use crate::models::graph::lightgcn::{Attention, Combination};
use crate::models::graph::{self, GraphLearner, Learning, MetaBatch, Setup, WeightFit};
use crate::models::state::State;
use crate::objectives::{self, Batching, ExampleWeights, Examples, Parameters, UniformLoss};
use crate::samplers::PairOrder;

/// Steps before the one that is compared: Adam's first step does not feel the length of a gradient.
const BEFORE: u64 = 3;

type Seen = Arc<Mutex<Vec<f64>>>;

/// Given weights; keeps what it is told.
struct Probe {
    weights: Vec<f32>,
    seen: Seen,
}

impl ExampleWeights for Probe {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        let found: Vec<f32> = examples.batch.edges.iter().map(|&edge| self.weights[edge as usize]).collect();
        device.write(weights, &found);
        Ok(())
    }

    fn learns(&self, epoch: u64) -> bool {
        epoch == BEFORE
    }

    fn learn(&mut self, device: &Device, _batch: &Batch, hypergradient: &Buffer<f32>) -> Result<()> {
        *self.seen.lock().unwrap() = device.read(hypergradient).iter().map(|&h| f64::from(h)).collect();
        Ok(())
    }
}

/// The imputation term; keeps its hypergradients instead of learning.
struct Watched {
    term: Imputation,
    seen: Seen,
}

impl AuxiliaryTerm for Watched {
    fn prepare(&mut self, device: &Device, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.term.prepare(device, batch, nodes)
    }

    fn forward(&self, device: &Device, rows: &Buffer<f32>) -> Result<f64> {
        self.term.forward(device, rows)
    }

    fn backward(&mut self, device: &Device, rows: &Buffer<f32>, gradient: &mut Buffer<f32>) -> Result<()> {
        self.term.backward(device, rows, gradient)
    }

    fn tangent(&mut self, device: &Device, rows: &Buffer<f32>, rows_dot: &Buffer<f32>) -> Result<()> {
        self.term.tangent(device, rows, rows_dot)?;
        let (by_weight, by_value) = self.term.kept();
        *self.seen.lock().unwrap() = [by_weight, by_value].concat();
        Ok(())
    }

    fn learns(&self, epoch: u64) -> bool {
        epoch == BEFORE
    }

    fn learn(&mut self, _epoch: u64) {}

    fn parameters(&self) -> Parameters {
        self.term.parameters()
    }

    fn restore(&mut self, parameters: Parameters) {
        self.term.restore(parameters);
    }
}

fn pairs(examples: impl Iterator<Item = (u32, u32)>) -> Arc<Interactions> {
    let pairs = examples.map(|(u, i)| (UserId(u), ItemId(i)));
    Arc::new(Interactions::from_pairs(N_USERS, N_ITEMS, pairs).unwrap())
}

fn uniform_batch() -> Batch {
    Batch {
        users: UNIFORM.iter().map(|e| e.0).collect(),
        positives: UNIFORM.iter().map(|e| e.1).collect(),
        labels: UNIFORM.iter().map(|e| e.2).collect(),
        ..Batch::default()
    }
}

/// A learner like the reference's world, with its two probes.
fn learner(layers: usize, additive: bool, adam: bool) -> (GraphLearner, Seen, Seen) {
    learner_of(None, Seed(1), layers, additive, adam)
}

/// The same, with a sample of the uniform log.
fn learner_of(
    sample: Option<usize>,
    draws: Seed,
    layers: usize,
    additive: bool,
    adam: bool,
) -> (GraphLearner, Seen, Seen) {
    let biases = layers == 0;
    let config = graph::Config {
        layers,
        dim: if biases { 3 } else { 5 },
        biases,
        decay_biases: !biases,
        init_std: Some(0.5),
        combination: if additive { Combination::ADDITIVE } else { Combination::UNIFORM },
        attention: Attention { hidden: 3, learning_rate: 0.05, ..Attention::default() },
        ..graph::Config::default()
    };
    let (examples, lists) = (Seen::default(), Seen::default());
    let shape = world(layers, additive, adam);
    let learning = Learning {
        optimizer: if adam { graph::Optimizer::Adam } else { graph::Optimizer::Sgd },
        reduction: Reduction::Sum,
        weights: Box::new(Probe {
            weights: meta().weights.iter().map(|&w| w as f32).collect(),
            seen: examples.clone(),
        }),
        auxiliary: Some(Box::new(Watched { term: term(&shape, &meta()), seen: lists.clone() })),
        meta_batch: Some(MetaBatch {
            loss: UniformLoss::Mse,
            batch: uniform_batch(),
            every: 1,
            look_ahead: true,
            sample,
            seed: draws,
        }),
        labels: Some(Arc::new(EXAMPLES.iter().map(|e| e.2).collect())),
        graph: Some(pairs(EXAMPLES.iter().filter(|e| e.2 > 0.0).map(|e| (e.0, e.1)))),
    };
    let setup = Setup {
        device: Device::Cpu,
        model: "lightgcn",
        config,
        objective: objectives::Config::parse("mse", "l2 = 0.1").unwrap(),
        batching: Batching { size: None, order: PairOrder::Blocks { users: 100, items: 100 } },
        learning_rate: 0.02,
        train: pairs(EXAMPLES.iter().map(|e| (e.0, e.1))),
        weight_fit: if additive { WeightFit::OnTraining } else { WeightFit::Fixed },
        prior: None,
        bound: 0.0,
        seed: Seed(5),
    };
    (GraphLearner::with(setup, learning).unwrap(), examples, lists)
}

/// The reference at the point that a learner's state describes.
fn at(state: &State, layers: usize, additive: bool, adam: bool) -> World {
    let read = |name: &str| -> Vec<f64> {
        match &state.tensors[name] {
            crate::models::state::Tensor::F32 { values, .. } => values.iter().map(|&x| f64::from(x)).collect(),
            other => panic!("{other:?}"),
        }
    };
    let adam_of = |rate: f32, m: Vec<f64>, v: Vec<f64>, adam: bool| Optimizer {
        config: AdamConfig { learning_rate: rate, ..AdamConfig::default() },
        moments: adam.then_some((BEFORE + 1, m, v)),
    };
    let group = |index: usize, name: &str| read(&format!("combination.{index}.{name}"));
    let shape = AdditiveShape { dim: 5, hidden: 3, layers, temperature: 1.0, bound: 0.0 };
    let attention = additive.then(|| {
        let optimizers = [0, 1].map(|index| adam_of(0.05, group(index, "m"), group(index, "v"), true));
        (shape, [group(0, "value"), group(1, "value")], optimizers)
    });
    let optimizer = adam_of(0.02, read("adam.m"), read("adam.v"), adam);
    World { base: read("base"), attention, optimizer, ..world(layers, additive, adam) }
}

/// The engine's f32 sums of some ten products are off by 1e-6 of themselves; through Adam's slope,
/// a difference of two terms, by some 1e-4.
#[test]
fn the_engine_s_hypergradients_are_those_of_the_reference() {
    for (layers, additive, adam) in
        [(0, false, false), (0, false, true), (2, false, false), (2, false, true), (2, true, false), (2, true, true)]
    {
        let name = format!("K = {layers}, additive {additive}, Adam {adam}");
        let (mut learner, examples, lists) = learner(layers, additive, adam);
        for epoch in 0..BEFORE {
            learner.steps(epoch, 0..1).unwrap();
        }
        let world = at(&learner.state(), layers, additive, adam);
        learner.steps(BEFORE, 0..1).unwrap();
        let (x, x_dot) = world.motion(&meta());
        let expected = world.weight_gradient(&x, &x_dot);
        let found = examples.lock().unwrap().clone();
        assert_eq!(found.len(), expected.len());
        // Blocks list the pairs of each user in turn, as the examples do.
        for (found, &here) in found.iter().zip(&expected) {
            assert_near(*found, here, 100.0 * largest(&expected), 2e-4, &name);
        }
        let mut reference = term(&world, &meta());
        reference.motion(&x, &x_dot);
        let (by_weight, by_value) = reference.kept();
        let expected = [by_weight, by_value].concat();
        for (found, &here) in lists.lock().unwrap().iter().zip(&expected) {
            assert_near(*found, here, 100.0 * largest(&expected), 2e-4, &name);
        }
    }
}

/// The real step after the look-ahead must not feel that there was one.
#[test]
fn a_look_ahead_leaves_no_trace_in_the_step() {
    for (layers, additive) in [(0, false), (2, true)] {
        let (mut with, ..) = learner(layers, additive, true);
        let (mut without, ..) = learner(layers, additive, true);
        // The probes learn in one epoch only: this one has it, the other never reaches it.
        with.steps(BEFORE, 0..1).unwrap();
        without.steps(BEFORE - 1, 0..1).unwrap();
        assert_eq!(with.state(), without.state(), "K = {layers}");
    }
}

/// With gradient descent the hypergradients are linear in the gradient of the uniform log's loss,
/// so those of samples are right on average. 2 of 6 rows in 400 draws: the mean is off by a
/// twentieth of what single draws are off by; five times that is left alone.
#[test]
fn samples_of_the_uniform_log_want_on_average_what_the_whole_log_wants() {
    let hypergradients = |sample: Option<usize>, draws: u64| {
        let (mut learner, examples, lists) = learner_of(sample, Seed(draws), 2, false, false);
        for epoch in 0..=BEFORE {
            learner.steps(epoch, 0..1).unwrap();
        }
        let (mut all, lists) = (examples.lock().unwrap().clone(), lists.lock().unwrap().clone());
        all.extend(lists);
        all
    };
    const N: usize = 400;
    let whole = hypergradients(None, 0);
    assert_eq!(hypergradients(Some(UNIFORM.len()), 1), whole, "a sample of all is all");
    let found: Vec<Vec<f64>> = (0..N as u64).map(|draws| hypergradients(Some(2), draws)).collect();
    assert_eq!(hypergradients(Some(2), 3), found[3], "a draw is a function of the seed and the step");
    let size = largest(&whole);
    for (at, &whole) in whole.iter().enumerate() {
        let mean = found.iter().map(|draw| draw[at]).sum::<f64>() / N as f64;
        let variance = found.iter().map(|draw| (draw[at] - mean).powi(2)).sum::<f64>() / N as f64;
        let allowed = 5.0 * (variance / N as f64).sqrt() + 1e-6 * size;
        assert!((mean - whole).abs() <= allowed, "{at}: {mean}, expected {whole} within {allowed}");
    }
    let moved = (0..whole.len()).map(|at| (found[0][at] - whole[at]).abs()).fold(0.0, f64::max);
    assert!(moved > 1e-3 * size, "a sample of two wants something else than all: {moved} {size}");
}
