//! One step against an independent computation (`tests/data/steps`), the start at plain LightGCN,
//! edge dropout, and any chunking of the steps.

use std::path::{Path, PathBuf};

use gcnrec_graphs::{ItemId, Seed, UserId};
use serde::Deserialize;

use super::*;
use crate::models::Query;
use crate::models::graph::setup::WeightFit;
use crate::models::graph::{Config, lightgcn};
use crate::objectives::Batching;
use crate::samplers::{Batch, PairOrder, Sampler};

/// A case that `tests/data/steps/make.py` wrote.
#[derive(Deserialize)]
struct Case {
    name: String,
    n_users: usize,
    n_items: usize,
    pairs: Vec<(u32, u32)>,
    config: Config,
    objective: objectives::Config,
    bound: f32,
    frozen: Vec<(usize, usize)>,
    learning_rate: f32,
    steps_before: u64,
    m_before: f32,
    v_before: f32,
    batch: Given,
    #[serde(rename = "lesson")]
    fitted_on: Option<FitPairs>,
    base: Vec<f32>,
    parameters: Vec<Vec<f32>>,
    expected: Expected,
}

#[derive(Deserialize)]
struct FitPairs {
    pairs: Vec<(u32, u32)>,
    batch: Given,
    fixed_prior: bool,
}

#[derive(Deserialize)]
struct Expected {
    loss: Vec<f64>,
    base_gradient: Vec<f64>,
    base: Vec<f64>,
    parameter_gradients: Vec<Vec<f64>>,
    parameters: Vec<Vec<f64>>,
}

/// The one batch of a sampler that draws nothing.
#[derive(Clone, Deserialize)]
struct Given {
    users: Vec<u32>,
    positives: Vec<u32>,
    negatives: Vec<u32>,
    list_ptr: Vec<u32>,
}

impl Sampler for Given {
    fn n_batches(&self) -> usize {
        1
    }

    fn n_examples(&self) -> usize {
        self.positives.len()
    }

    fn batch(&mut self, _train: &Interactions, _epoch: u64, _step: usize, batch: &mut Batch) {
        let Given { users, positives, negatives, list_ptr } = self.clone();
        *batch = Batch { users, positives, negatives, list_ptr, ..Batch::default() };
    }
}

fn interactions(n_users: usize, n_items: usize, pairs: &[(u32, u32)]) -> Arc<Interactions> {
    let pairs = pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i)));
    Arc::new(Interactions::from_pairs(n_users, n_items, pairs).unwrap())
}

/// f32 arithmetic against f64: a number is a sum of a few hundred products of numbers around 1,
/// each rounded by 6e-8, and what cancels in a sum is not seen in its size. So 1e-5 of the size,
/// and 1e-6 where the size is smaller than what was summed.
fn assert_close(what: &str, found: impl IntoIterator<Item = f32>, expected: &[f64]) {
    let found: Vec<f32> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= 1e-6 + 1e-5 * expected.abs(), "{what} at {at}: {found} {expected}");
    }
}

impl Case {
    fn learner(&self) -> GraphLearner {
        let weight_fit = match &self.fitted_on {
            Some(FitPairs { pairs, fixed_prior, .. }) => {
                WeightFit::OnPairs { pairs: interactions(self.n_users, self.n_items, pairs), fixed_prior: *fixed_prior }
            }
            None => WeightFit::OnTraining,
        };
        let mut learner = GraphLearner::new(Setup {
            device: Device::Cpu,
            config: self.config.clone(),
            model: "lightgcn",
            objective: self.objective.clone(),
            batching: Batching { size: None, order: PairOrder::PairUniform },
            learning_rate: self.learning_rate,
            train: interactions(self.n_users, self.n_items, &self.pairs),
            weight_fit,
            prior: None,
            bound: self.bound,
            seed: Seed(1),
        })
        .unwrap();
        learner.task.sampler = Box::new(self.batch.clone());
        if let (Some(task), Some(fit)) = (&mut learner.fit_task, &self.fitted_on) {
            task.sampler = Box::new(fit.batch.clone());
        }
        learner.restore(&self.state()).unwrap();
        learner
    }

    fn state(&self) -> State {
        let shape = [self.n_users + self.n_items, self.base.len() / (self.n_users + self.n_items)];
        let mut state = State::default();
        state.put_f32("base", &shape, self.base.clone());
        for (name, before) in [("m", self.m_before), ("v", self.v_before)] {
            let mut moments = vec![before; self.base.len()];
            if self.config.biases {
                for (node, row) in moments.chunks_exact_mut(shape[1]).enumerate() {
                    row[self.config.dim + usize::from(node < self.n_users)] = 0.0;
                }
            }
            state.put_f32(&format!("adam.{name}"), &shape, moments);
            for (group, value) in self.parameters.iter().enumerate() {
                let mut moments = vec![before; value.len()];
                // What does not learn has no moments that could move it.
                self.frozen.iter().for_each(|&(first, end)| moments[first..end].fill(0.0));
                state.put_f32(&format!("combination.{group}.{name}"), &[value.len()], moments);
            }
        }
        for (group, value) in self.parameters.iter().enumerate() {
            state.put_f32(&format!("combination.{group}.value"), &[value.len()], value.clone());
        }
        state.put_fact("step", self.steps_before);
        state
    }

    fn check(&self) {
        let mut learner = self.learner();
        let report = learner.steps(0, 0..1).unwrap();
        let (state, shape) = (learner.state(), [learner.nodes.len(), learner.propagation.dim]);
        let named = |what: &str| format!("{}: {what}", self.name);
        // The fit of layer weights comes last, so with one the pass holds its losses and the report
        // those of the batch.
        if self.fitted_on.is_none() {
            assert_close(&named("loss"), Device::Cpu.read(&learner.pass.loss), &self.expected.loss);
        }
        let total: f64 = self.expected.loss.iter().sum();
        assert!((report.loss - total).abs() <= 1e-5 * total, "{}: {} {total}", self.name, report.loss);
        assert_eq!(report.n_examples as usize, self.expected.loss.len(), "{}", self.name);
        // m' = beta1 m + (1 - beta1) g gives the gradient back.
        let gradient = |after: &[f32], before: &State, name: &str, shape: &[usize]| -> Vec<f32> {
            let before = before.f32(name, shape).unwrap();
            let g = |(&after, &before): (&f32, &f32)| ((f64::from(after) - 0.9 * f64::from(before)) / 0.1) as f32;
            after.iter().zip(before).map(g).collect()
        };
        let before = self.state();
        let moments = state.f32("adam.m", &shape).unwrap();
        let found = gradient(moments, &before, "adam.m", &shape);
        assert_close(&named("gradient of the base"), found, &self.expected.base_gradient);
        assert_close(&named("base"), state.f32("base", &shape).unwrap().iter().copied(), &self.expected.base);
        assert_eq!(learner.combination.gradients(&Device::Cpu).len(), self.expected.parameters.len(), "{}", self.name);
        for (group, expected) in self.expected.parameters.iter().enumerate() {
            let (name, shape) = (format!("combination.{group}"), [expected.len()]);
            let moments = state.f32(&format!("{name}.m"), &shape).unwrap();
            let found = gradient(moments, &before, &format!("{name}.m"), &shape);
            assert_close(&named(&format!("gradient of {name}")), found, &self.expected.parameter_gradients[group]);
            let found = state.f32(&format!("{name}.value"), &shape).unwrap();
            assert_close(&named(&name), found.iter().copied(), expected);
        }
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/steps");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

#[test]
fn a_step_of_every_loss_and_combination_equals_an_independent_one() {
    let cases = cases();
    assert_eq!(cases.len(), 33, "every file of make.py is there");
    cases.iter().for_each(Case::check);
}

/// 40 users in two groups of tastes with some noise, 24 items.
fn world() -> Arc<Interactions> {
    let liked = |u: u32, i: u32| {
        let kept = (u + i).is_multiple_of(2) && !(u * 7 + i * 5).is_multiple_of(3);
        kept || (u * 11 + i * 3).is_multiple_of(17)
    };
    let pairs: Vec<_> = (0..40).flat_map(|u| (0..24).filter(move |&i| liked(u, i)).map(move |i| (u, i))).collect();
    interactions(40, 24, &pairs)
}

pub(super) fn learner(combination: lightgcn::Combination, loss: &str, change: impl FnOnce(&mut Setup)) -> GraphLearner {
    let attention = lightgcn::Attention { hidden: 8, ..Default::default() };
    let mut setup = Setup {
        device: Device::Cpu,
        config: Config { dim: 16, combination, attention, ..Config::default() },
        model: "lightgcn",
        objective: objectives::Config::named(loss).unwrap(),
        batching: Batching { size: Some(16), order: PairOrder::PairUniform },
        learning_rate: 1e-2,
        train: world(),
        weight_fit: WeightFit::OnTraining,
        prior: None,
        bound: 0.0,
        seed: Seed(7),
    };
    change(&mut setup);
    GraphLearner::new(setup).unwrap()
}

pub(super) fn scores(learner: &mut GraphLearner) -> Vec<f32> {
    let queries: Vec<Query<'_>> = (0..40).map(|u| Query { user: Some(UserId(u)), history: &[] }).collect();
    learner.freeze().unwrap().scores(&queries).unwrap().into_iter().collect()
}

/// Weights are 1/(K+1) to the last bit; only the order of a row's additions differs
/// between the kinds, hence the few ulps of numbers around 0.1.
#[test]
fn before_training_every_combination_scores_as_plain_lightgcn() {
    for layers in 0..=3 {
        let start = |kind, bound| {
            scores(&mut learner(kind, "bpr", |setup| (setup.config.layers, setup.bound) = (layers, bound)))
        };
        let uniform = start(lightgcn::Combination::UNIFORM, 0.0);
        for (kind, bound) in lightgcn::Combination::all().flat_map(|kind| [(kind, 0.0), (kind, 0.5)]) {
            for (&found, &expected) in start(kind, bound).iter().zip(&uniform) {
                assert!((found - expected).abs() <= 1e-7 + 1e-6 * expected.abs(), "{kind:?}, {layers} layers");
            }
        }
    }
}

/// What starts at zero gets a gradient in the first step, what hides behind it in the second: the
/// start is no saddle.
#[test]
fn no_parameter_of_an_attention_stays_where_it_started() {
    for kind in lightgcn::Combination::all() {
        for loss in ["bpr", "softmax"] {
            let mut learner = learner(kind, loss, |_| {});
            let before = learner.state();
            learner.steps(0, 0..2).unwrap();
            let after = learner.state();
            for group in 0..learner.combination.gradients(&Device::Cpu).len() {
                let name = format!("combination.{group}.value");
                let n = learner.combination.gradients(&Device::Cpu)[group].len();
                let (before, after) = (before.f32(&name, &[n]).unwrap(), after.f32(&name, &[n]).unwrap());
                let still = before.iter().zip(after).filter(|(a, b)| a == b).count();
                assert_eq!(still, 0, "{kind:?} with {loss}: of {n} parameters of group {group}");
            }
        }
    }
}

#[test]
fn a_fixed_prior_stays_and_its_network_learns() {
    for kind in [lightgcn::Combination::ADDITIVE, lightgcn::Combination::DOT] {
        let prior = vec![0.3, -0.1, 0.4, -0.6];
        let mut learner = learner(kind, "bpr", |setup| {
            let weight_fit = WeightFit::OnPairs { pairs: world(), fixed_prior: true };
            (setup.weight_fit, setup.prior, setup.bound) = (weight_fit, Some(prior.clone()), 0.5);
        });
        let before = learner.combination.gradients(&Device::Cpu)[0].clone();
        learner.steps(0, 0..3).unwrap();
        assert_eq!(learner.layer_logits().unwrap(), prior);
        let after = &learner.combination.gradients(&Device::Cpu)[0];
        assert!(before[4..] != after[4..] && after[..4].iter().all(|&g| g == 0.0));
    }
}

#[test]
fn any_chunking_of_the_steps_gives_the_same_bits() {
    for kind in lightgcn::Combination::all() {
        for loss in ["bpr", "softmax", "ssm"] {
            let run = |chunks: &[&[Range<usize>]]| {
                let mut learner = learner(kind, loss, |setup| setup.config.edge_dropout = 0.2);
                let mut loss = 0.0;
                for (epoch, chunks) in chunks.iter().enumerate() {
                    for chunk in *chunks {
                        loss += learner.steps(epoch as u64, chunk.clone()).unwrap().loss;
                    }
                }
                (learner.state(), loss)
            };
            let n = learner(kind, loss, |_| {}).steps_per_epoch();
            assert!(n >= 3, "{n} steps");
            let all = 0..n;
            let whole = std::slice::from_ref(&all);
            let (state, loss) = run(&[whole, whole]);
            let (chunked, chunked_loss) = run(&[&[0..1, 1..n], &[0..n - 1, n - 1..n]]);
            assert!(state == chunked, "{kind:?}");
            // The same numbers, added in another order.
            assert!((loss - chunked_loss).abs() <= 1e-12 * loss);
        }
    }
}

/// The definition in f64: mean BPR of a batch over uniform layers of a dense adjacency, with weight
/// decay.
fn bpr_on(adjacency: &[f64], base: &[f64], dim: usize, layers: usize, batch: &Batch, n_users: usize, l2: f64) -> f64 {
    let n = base.len() / dim;
    let (mut hop, mut pooled) = (base.to_vec(), base.to_vec());
    for _ in 0..layers {
        hop = (0..n * dim)
            .map(|at| (0..n).map(|j| adjacency[at / dim * n + j] * hop[j * dim + at % dim]).sum())
            .collect();
        pooled.iter_mut().zip(&hop).for_each(|(sum, x)| *sum += x);
    }
    let row = |x: &[f64], node: usize| x[node * dim..(node + 1) * dim].to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (layers as f64 + 1.0).powi(2);
    let mut sum = 0.0;
    for ((&u, &i), &j) in batch.users.iter().zip(&batch.positives).zip(&batch.negatives) {
        let nodes = [u as usize, n_users + i as usize, n_users + j as usize];
        let [u, i, j] = nodes.map(|node| row(&pooled, node));
        sum += (-(dot(&u, &i) - dot(&u, &j)) / scale).exp().ln_1p();
        sum += l2 / 2.0 * nodes.iter().map(|&node| dot(&row(base, node), &row(base, node))).sum::<f64>();
    }
    sum / batch.users.len() as f64
}

/// Central differences in f64, step 1e-4: their own error is of the order 1e-8, the f32 gradient's
/// 1e-6 of numbers around 0.01.
#[test]
fn with_edge_dropout_the_gradient_is_that_of_the_epochs_own_graph() {
    let (dim, layers, epoch) = (3, 2, 4);
    let mut learner = learner(lightgcn::Combination::UNIFORM, "bpr", |setup| {
        (setup.config.dim, setup.config.layers, setup.config.edge_dropout) = (dim, layers, 0.4);
    });
    let n = learner.nodes.len();
    let graph = learner.graph.as_ref().expect("a learner that drops edges keeps its graph");
    let values = graph.with_edge_dropout(0.6, Seed(7), epoch).unwrap();
    assert!(values.contains(&0.0) && values.iter().any(|&v| v > 0.0));
    let mut adjacency = vec![0.0; n * n];
    for row in 0..n {
        for edge in graph.row_ptr()[row] as usize..graph.row_ptr()[row + 1] as usize {
            adjacency[row * n + graph.col_idx()[edge] as usize] = f64::from(values[edge]);
        }
    }
    let mut batch = Batch::default();
    learner.task.sampler.batch(&learner.setup.train, epoch, 1, &mut batch);
    let mut base: Vec<f64> = Device::Cpu.read(&learner.propagation.hops[0]).iter().map(|&x| f64::from(x)).collect();
    learner.steps(epoch, 1..2).unwrap();
    // From zero moments m = 0.1 g.
    let found: Vec<f32> = Device::Cpu.read(&learner.m).iter().map(|m| m * 10.0).collect();
    for at in 0..base.len() {
        let mut loss = |x: f64| {
            let old = std::mem::replace(&mut base[at], x);
            let loss = bpr_on(&adjacency, &base, dim, layers, &batch, learner.nodes.n_users, f64::from(1e-4f32));
            base[at] = old;
            (loss, old)
        };
        let (_, x) = loss(0.0);
        let expected = (loss(x + 1e-4).0 - loss(x - 1e-4).0) / 2e-4;
        assert!(
            (f64::from(found[at]) - expected).abs() < 1e-7 + 1e-5 * expected.abs(),
            "{at}: {} {expected}",
            found[at]
        );
    }
}

#[test]
fn a_frozen_model_has_all_its_edges_and_training_goes_on_with_the_dropped_ones() {
    let dropped = |freeze: bool| {
        let mut learner = learner(lightgcn::Combination::UNIFORM, "bpr", |setup| setup.config.edge_dropout = 0.4);
        learner.steps(0, 0..1).unwrap();
        if freeze {
            learner.freeze().unwrap();
        }
        learner.steps(0, 1..2).unwrap();
        learner.state()
    };
    assert!(dropped(true) == dropped(false));
    let mut with = learner(lightgcn::Combination::UNIFORM, "bpr", |setup| setup.config.edge_dropout = 0.4);
    let mut without = learner(lightgcn::Combination::UNIFORM, "bpr", |_| {});
    with.steps(0, 0..1).unwrap();
    without.restore(&with.state()).unwrap();
    assert_eq!(scores(&mut with), scores(&mut without));
}

/// Three users and items, layers 0 to 2, embeddings that stand still: only the layer weights can
/// learn what the labelled rows say.
fn fitted(weight_fit: WeightFit) -> GraphLearner {
    let config = Config { layers: 2, dim: 4, combination: lightgcn::Combination::GLOBAL, ..Config::default() };
    GraphLearner::new(Setup {
        device: Device::Cpu,
        config,
        model: "lightgcn",
        objective: objectives::Config::named("bpr").unwrap(),
        batching: Batching { size: None, order: PairOrder::PairUniform },
        learning_rate: 0.0,
        train: interactions(3, 3, &[(0, 0), (0, 1), (1, 1), (2, 1), (2, 2)]),
        weight_fit,
        prior: None,
        bound: 0.0,
        seed: Seed(8),
    })
    .unwrap()
}

const LABELLED: [(u32, u32, f32); 5] = [(0, 0, 1.0), (0, 2, -1.0), (1, 1, -1.0), (2, 0, 1.0), (1, 2, 1.0)];

/// The mean of `ln(1 + e^(-y s))`, from the scores that the frozen model gives.
fn logistic(learner: &mut GraphLearner, sign: f32) -> f64 {
    let scorer = learner.freeze().unwrap();
    let mut sum = 0.0;
    for (user, item, label) in LABELLED {
        let scores = scorer.scores(&[Query { user: Some(UserId(user)), history: &[] }]).unwrap();
        sum += f64::from(-sign * label * scores[[0, item as usize]]).exp().ln_1p();
    }
    sum / LABELLED.len() as f64
}

#[test]
fn labelled_rows_fit_the_layer_weights_to_the_labels_and_touch_nothing_else() {
    for sign in [1.0, -1.0] {
        let batch = Batch {
            users: LABELLED.iter().map(|row| row.0).collect(),
            positives: LABELLED.iter().map(|row| row.1).collect(),
            labels: LABELLED.iter().map(|row| sign * row.2).collect(),
            ..Batch::default()
        };
        let mut learner =
            fitted(WeightFit::OnUniformLog { loss: objectives::UniformLoss::Logistic, batch, fixed_prior: false });
        let (before, base) = (logistic(&mut learner, sign), learner.state().tensors["base"].clone());
        for epoch in 0..200 {
            learner.steps(epoch, 0..1).unwrap();
        }
        let after = logistic(&mut learner, sign);
        assert!(after < before, "labels times {sign}: {after} {before}");
        assert_eq!(learner.state().tensors["base"], base);
        let weights = learner.freeze().unwrap().layer_weights().unwrap().mean.clone();
        assert!(weights.iter().any(|weight| (weight - 1.0 / 3.0).abs() > 0.05), "{weights:?}");
    }
    let mut still = fitted(WeightFit::Fixed);
    for epoch in 0..5 {
        still.steps(epoch, 0..1).unwrap();
    }
    let weights = still.freeze().unwrap().layer_weights().unwrap().mean.clone();
    assert!(weights.iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-7), "{weights:?}");
}
