//! What a debiased step costs, against a plain one in the same run.

use std::sync::Arc;
use std::time::Instant;

use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph;
use gcnrec::internals::models::graph::GraphLearner;
use gcnrec::internals::models::graph::Learning;
use gcnrec::internals::models::graph::Setup;
use gcnrec::internals::models::graph::WeightFit;
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::objectives::Reduction;
use gcnrec::internals::samplers::PairOrder;
use gcnrec::internals::{data, debias};
use gcnrec::{Device, Seed};

/// Rounds of five steps each; the middle one counts.
const ROUNDS: usize = 15;

/// How much of the uniform log a look-ahead takes.
#[derive(Clone, Copy)]
enum MetaRows {
    /// What `judge_rows` says by default.
    Drawn,
    /// All of it.
    All,
}

/// A learner on the demo world under a method, and what its look-ahead takes. Of the 4,000 users
/// this share saw ten items at random.
fn learner(config: &debias::Config, uniform_users: f64, rows: MetaRows) -> (GraphLearner, String) {
    let seed = Seed(2020);
    let demo = data::world::Config::default()
        .with(|own| (own.n_users, own.n_items, own.uniform_users) = (4000, 1500, uniform_users));
    let split = data::load(&data::Config::default().with(|own| own.demo = demo), seed).unwrap();
    let model = graph::Config::default().with(|own| own.layers = 3);
    let objective = objectives::Config::named("bpr").unwrap();
    let pairs = Arc::new(split.train_interactions().unwrap());
    let (dim, reduction) = (model.dim, Reduction::Mean);
    let training =
        debias::Training { split: &split, pairs, objective: &objective, reduction, dim, biases: false, seed };
    let mut prepared = debias::prepare(config, &training).unwrap();
    let mut taken = String::new();
    if let Some(meta_batch) = &mut prepared.learning.meta_batch {
        let n_pairs = meta_batch.batch.positives.len();
        if matches!(rows, MetaRows::All) {
            meta_batch.sample = None;
        }
        let n_taken = meta_batch.sample.map_or(n_pairs, |wanted| wanted.min(n_pairs));
        taken = format!(", {} uniform rows, {n_taken} of {n_pairs} pairs taken", split.uniform.len());
    }
    let setup = Setup {
        device: Device::Cpu,
        config: model,
        model: "lightgcn",
        objective: objective.clone(),
        batching: Batching { size: Some(2048), order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: prepared.pairs,
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed,
    };
    let learner = GraphLearner::with(setup, Learning { ..prepared.learning }).unwrap();
    (learner, taken)
}

pub fn table() {
    let method = |every, look_ahead| {
        let settings = format!("frozen_epochs = 0\nevery = {every}\nlook_ahead = {look_ahead}");
        debias::Config::parse("autodebias", &settings).unwrap()
    };
    // Yahoo! R3, the larger of the published logs, teaches with 2,700 rows; half of all users are
    // the demo world's own share.
    let all = [
        ("plain", debias::Config::default(), 0.0675, MetaRows::Drawn),
        ("every step", method(1, true), 0.0675, MetaRows::Drawn),
        ("every step", method(1, true), 0.0675, MetaRows::All),
        ("every 5", method(5, true), 0.0675, MetaRows::Drawn),
        ("aligned", method(1, false), 0.0675, MetaRows::Drawn),
        ("every step", method(1, true), 0.5, MetaRows::Drawn),
        ("every step", method(1, true), 0.5, MetaRows::All),
        ("every 5", method(5, true), 0.5, MetaRows::Drawn),
    ];
    let mut learners: Vec<(String, GraphLearner, Vec<f64>)> = Vec::new();
    for (name, config, share, rows) in &all {
        let (learner, taken) = learner(config, *share, *rows);
        learners.push((format!("{name}{taken}"), learner, Vec::new()));
    }
    // Taken in turn, so that what else runs on the machine slows all of them alike.
    for round in 0..ROUNDS as u64 {
        for (_, learner, seconds) in &mut learners {
            let started = Instant::now();
            learner.steps(round, 0..5).unwrap();
            seconds.push(started.elapsed().as_secs_f64() / 5.0);
        }
    }
    // The ratio within a round is what the round's own disturbance leaves alone.
    let plain = learners[0].2.clone();
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "LightGCN, K = 3, 5,500 nodes, BPR, 2048 pairs a step: median ms a step, median ratio to the plain step of the round"
    );
    for (name, _, seconds) in &learners {
        let ratios = seconds.iter().zip(&plain).map(|(step, plain)| step / plain).collect();
        println!("{name:<64} {:8.2} ms  {:.2}", median(seconds.clone()) * 1e3, median(ratios));
    }
}
