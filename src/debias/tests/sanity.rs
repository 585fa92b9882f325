//! What learned weights should look like where the truth is known.

use std::sync::{Arc, Mutex};

use gcnrec_graphs::{Interactions, ItemId, Purpose, UserId};
use gcnrec_kernels::{Buffer, Device};
use rand::RngExt;

use super::*;
use crate::data::{Log, Split};
use crate::debias::{Config, Training, prepare};
use crate::models::Learner;
use crate::models::graph::{self, GraphLearner, Setup, WeightFit};
use crate::objectives::{self, Batching, ExampleWeights, Examples};
use crate::samplers::PairOrder;

const USERS: u32 = 60;
const ITEMS: u32 = 50;

/// Users like the items of their half; a row is shown at random and answered truly, or, in
/// `flipped` of the training rows, wrongly.
fn world(flipped: f64) -> (Split, Vec<bool>) {
    let mut random = Seed(11).stream(Purpose::Analysis, 0, 0);
    let (mut train, mut uniform, mut wrong) = (Log::default(), Log::default(), Vec::new());
    for user in 0..USERS {
        for item in 0..ITEMS {
            let truth = if user % 2 == item % 2 { 1.0 } else { -1.0 };
            let draw: f64 = random.random();
            let (log, label) = if draw < 0.3 {
                wrong.push(random.random::<f64>() < flipped);
                (&mut train, if wrong[wrong.len() - 1] { -truth } else { truth })
            } else if draw < 0.36 {
                (&mut uniform, truth)
            } else {
                continue;
            };
            log.users.push(user);
            log.items.push(item);
            log.ratings.push(label);
        }
    }
    let names = |n: u32| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let split = Split {
        users: names(USERS).iter().map(String::as_str).collect(),
        items: names(ITEMS).iter().map(String::as_str).collect(),
        train,
        uniform,
        explicit: true,
        labelled: true,
        ..Split::default()
    };
    (split, wrong)
}

/// Width of MF and its weight decay: enough to remember every row, and what the truth needs.
const WIDE: (usize, f32) = (6, 0.1);
const NARROW: (usize, f32) = (2, 1.0);

fn autodebias(settings: &str) -> Config {
    Config::parse("autodebias", settings).unwrap()
}

/// MF under a method.
fn learner(split: &Split, config: &Config) -> GraphLearner {
    learner_with(split, config, WIDE, |weights| weights)
}

/// MF under a method whose example weights go through `wrap`.
fn learner_with(
    split: &Split,
    config: &Config,
    (dim, l2): (usize, f32),
    wrap: impl FnOnce(Box<dyn ExampleWeights>) -> Box<dyn ExampleWeights>,
) -> GraphLearner {
    let pairs: Vec<(UserId, ItemId)> = split.train.pairs().collect();
    let pairs = Arc::new(Interactions::from_pairs(split.n_users(), split.n_items(), pairs).unwrap());
    let model = graph::Config {
        layers: 0,
        dim,
        biases: true,
        decay_biases: false,
        init_std: Some(0.1),
        ..graph::Config::default()
    };
    let objective = objectives::Config::parse("mse", &format!("l2 = {l2:?}")).unwrap();
    let (reduction, seed) = (Reduction::Sum, Seed(3));
    let training = Training { split, pairs, objective: &objective, reduction, dim: model.dim + 2, biases: true, seed };
    let prepared = prepare(config, &training).unwrap();
    let setup = Setup {
        device: Device::Cpu,
        config: model,
        model: "mf",
        objective: objective.clone(),
        batching: Batching { size: None, order: PairOrder::Blocks { users: 30, items: 25 } },
        learning_rate: 0.01,
        train: prepared.pairs,
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed,
    };
    let graph::Learning { weights, .. } = prepared.learning;
    let weights = wrap(weights);
    let learning = graph::Learning { optimizer: graph::Optimizer::Sgd, weights, ..prepared.learning };
    GraphLearner::with(setup, learning).unwrap()
}

fn train(learner: &mut GraphLearner, epochs: std::ops::Range<u64>) {
    for epoch in epochs {
        let steps = learner.steps_per_epoch();
        learner.steps(epoch, 0..steps).unwrap();
    }
}

/// The weights of the pairs after some epochs.
fn weights(split: &Split, config: &Config, epochs: u64) -> Vec<f32> {
    let mut learner = learner(split, config);
    train(&mut learner, 0..epochs);
    learner.pair_weights().unwrap().unwrap()
}

fn mean(weights: &[f32], chosen: impl Fn(usize) -> bool) -> f64 {
    let chosen: Vec<f64> =
        weights.iter().enumerate().filter(|(at, _)| chosen(*at)).map(|(_, &weight)| f64::from(weight)).collect();
    chosen.iter().sum::<f64>() / chosen.len() as f64
}

/// All rows of some users are answered wrongly, so that the users' weights can tell: a fifth of the
/// rows.
#[test]
fn flipped_rows_weigh_less_than_the_others() {
    let (mut split, mut wrong) = world(0.0);
    for (row, &user) in split.train.users.iter().enumerate() {
        if user % 10 < 2 {
            split.train.ratings[row] *= -1.0;
            wrong[row] = true;
        }
    }
    let config = autodebias("weight_rate = 0.02\nfrozen_epochs = 5");
    let weights = weights(&split, &config, 60);
    let (flipped, others) = (mean(&weights, |row| wrong[row]), mean(&weights, |row| !wrong[row]));
    assert!(flipped < 0.8 * others, "{flipped} {others}");
}

/// Passes weights on and keeps the last one of every edge.
struct Recorded {
    inner: Box<dyn ExampleWeights>,
    seen: Arc<Mutex<Vec<f32>>>,
}

impl ExampleWeights for Recorded {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> crate::Result<()> {
        self.inner.weigh(device, examples, weights)?;
        let mut seen = self.seen.lock().unwrap();
        let weights = device.read(weights);
        examples.batch.edges.iter().zip(&weights).for_each(|(&edge, weight)| seen[edge as usize] = *weight);
        Ok(())
    }

    fn learns(&self, epoch: u64) -> bool {
        self.inner.learns(epoch)
    }

    fn learn(&mut self, device: &Device, batch: &Batch, hypergradient: &Buffer<f32>) -> crate::Result<()> {
        self.inner.learn(device, batch, hypergradient)
    }
}

/// What every row weighed in the last of some epochs, flipped rows and others: mean of each.
fn of_flipped_and_others(config: &Config, capacity: (usize, f32), epochs: u64) -> (f64, f64) {
    let (split, wrong) = world(0.2);
    let seen = Arc::new(Mutex::new(vec![0.0; split.train.len()]));
    let mut learner = learner_with(&split, config, capacity, |inner| Box::new(Recorded { inner, seen: seen.clone() }));
    train(&mut learner, 0..epochs);
    let weights = seen.lock().unwrap();
    (mean(&weights, |row| wrong[row]), mean(&weights, |row| !wrong[row]))
}

/// A fifth of all rows is answered wrongly, whoever the user and whatever the item is. A weight
/// that is a network of the loss can tell them from the others of the same user, item and label,
/// once the model has found what most rows agree on: before that a large loss only says that it has
/// not.
#[test]
fn single_flipped_rows_weigh_less_where_weights_depend_on_the_loss() {
    let config = Config::parse("meta_weight_net", "rate = 0.003\nfrozen_epochs = 30").unwrap();
    let (flipped, others) = of_flipped_and_others(&config, NARROW, 60);
    assert!(flipped < 0.4 * others, "{flipped} {others}");
}

/// A weight that is made of user, item and label cannot single out a row: only users and items that
/// happen to have many flipped rows weigh less, and their flipped rows with them. So there is a
/// difference in the mean, and it is small.
#[test]
fn single_flipped_rows_weigh_only_a_little_less_where_weights_depend_on_user_item_and_label() {
    let config = autodebias("weight_rate = 0.02\nfrozen_epochs = 5");
    let (flipped, others) = of_flipped_and_others(&config, WIDE, 60);
    assert!((0.8 * others..others).contains(&flipped), "{flipped} {others}");
}

/// The uniform log answers as the training log does: nothing in the rows is worth more than the
/// rest.
#[test]
fn a_uniform_log_like_the_training_log_leaves_the_weights_near_each_other() {
    let (split, _) = world(0.0);
    let config = autodebias("frozen_epochs = 5");
    let weights = weights(&split, &config, 60);
    let all = mean(&weights, |_| true);
    let spread = mean(&weights.iter().map(|w| (w - all as f32).powi(2)).collect::<Vec<_>>(), |_| true).sqrt();
    assert!(spread < 0.1 * all, "{spread} {all}");
}

/// Weights, imputed values and their moments are in the state.
#[test]
fn a_resumed_run_learns_the_same_weights_to_the_bit() {
    let (split, _) = world(0.1);
    let config = autodebias("frozen_epochs = 2");
    let mut whole = learner(&split, &config);
    train(&mut whole, 0..6);
    let mut first = learner(&split, &config);
    train(&mut first, 0..4);
    let mut second = learner(&split, &config);
    second.restore(&first.state()).unwrap();
    train(&mut second, 4..6);
    assert_eq!(whole.state(), second.state());
}

/// Every method, with and without the look-ahead, on every loss, over the liked rows alone: losses
/// stay finite and somebody is weighed.
#[test]
fn every_method_takes_steps_on_every_loss() {
    let (mut split, _) = world(0.0);
    let liked: Vec<u32> = (0..).zip(&split.train.ratings).filter(|(_, y)| **y > 0.0).map(|(row, _)| row).collect();
    split.train = split.train.select(&liked);
    split.explicit = false;
    let aligned = autodebias("look_ahead = false\nfrozen_epochs = 0");
    let ahead = autodebias("frozen_epochs = 0\nevery = 2");
    let mut methods: Vec<Config> = Config::names().iter().map(|name| Config::named(name).unwrap()).collect();
    methods.extend([aligned, ahead]);
    for (config, loss) in
        methods.iter().flat_map(|m| objectives::Config::names().into_iter().map(move |loss| (m, loss)))
    {
        let pairs: Vec<(UserId, ItemId)> = split.train.pairs().collect();
        let pairs = Arc::new(Interactions::from_pairs(split.n_users(), split.n_items(), pairs).unwrap());
        let objective = objectives::Config::named(loss).unwrap();
        let model = graph::Config { layers: 2, dim: 6, ..graph::Config::default() };
        let (reduction, seed, dim) = (Reduction::Mean, Seed(3), model.dim);
        let training = Training { split: &split, pairs, objective: &objective, reduction, dim, biases: false, seed };
        let of_labels = ["mse", "logistic"].contains(&loss);
        let refused = match config.name() {
            "dr" | "dr_jl" | "kd_label" => loss != "mse",
            "cause" => !of_labels,
            _ => false,
        };
        if refused {
            let problem = prepare(config, &training).err().unwrap().to_string();
            assert!(problem.contains("does not fit the loss"), "{problem}");
            continue;
        }
        let prepared = prepare(config, &training).unwrap();
        let setup = Setup {
            device: Device::Cpu,
            config: model,
            model: "lightgcn",
            objective: objective.clone(),
            batching: Batching { size: Some(32), order: PairOrder::PairUniform },
            learning_rate: 0.01,
            train: prepared.pairs,
            weight_fit: WeightFit::Fixed,
            prior: None,
            bound: 0.0,
            seed,
        };
        let mut learner = GraphLearner::with(setup, prepared.learning).unwrap();
        let report = learner.steps(0, 0..2).unwrap();
        assert!(report.loss.is_finite() && report.n_examples > 0, "{} {loss}", config.name());
        if let Some(weights) = learner.pair_weights().unwrap() {
            assert!(weights.iter().all(|w| w.is_finite() && *w > 0.0), "{} {loss}", config.name());
        }
    }
}

/// What a report tells of the weights is told of the model that was kept, not of the epochs after
/// it; a reloaded model remembers as well.
#[test]
fn a_frozen_model_remembers_the_weights_of_its_epoch() {
    let (split, _) = world(0.1);
    let config = autodebias("frozen_epochs = 2");
    let mut learner = learner(&split, &config);
    train(&mut learner, 0..6);
    let (weights, imputed) = (learner.pair_weights().unwrap(), learner.imputed_values());
    let kept = learner.freeze().unwrap().state();
    train(&mut learner, 6..9);
    assert_ne!((learner.pair_weights().unwrap(), learner.imputed_values()), (weights.clone(), imputed));
    let nodes = Nodes { n_users: split.n_users(), n_items: split.n_items() };
    let reloaded = crate::models::load_scorer(&Device::Cpu, "mf", &kept, nodes).unwrap().state();
    assert_eq!(reloaded, kept);
    learner.restore_learned(&reloaded).unwrap();
    assert_eq!((learner.pair_weights().unwrap(), learner.imputed_values()), (weights, imputed));
}
