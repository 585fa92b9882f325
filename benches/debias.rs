//! What debiasing is worth, and what it costs.
//!
//! `cargo bench --bench debias -- coat [SEEDS] [NAME…]`: every run file of `configs/debias` over split seeds, with paired differences to `biased`; needs
//! `GCNREC_DATA`. `… -- cost`: a debiased LightGCN step against a plain one. Without an argument: `cost`.
#![allow(clippy::unwrap_used, reason = "a program that prints a table may stop at the first thing that is wrong")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gcnrec::config::{Sources, resolve};
use gcnrec::debias::{self, config::Autodebias};
use gcnrec::models::Learner;
use gcnrec::models::graph::{self, GraphLearner, Learning, Setup, Teacher};
use gcnrec::objectives::{self, Batching, Reduction};
use gcnrec::samplers::PairOrder;
use gcnrec::train::{self, RunStore, Silent, Stop};
use gcnrec::{Device, Seed, data};

const METRICS: [&str; 3] = ["nll", "auc", "ndcg@5"];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.first().map(String::as_str) {
        Some("coat") => coat(&words[1..]),
        None | Some("cost") => cost(),
        Some(other) => panic!("unknown part \"{other}\"; known: coat, cost"),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// The test metrics of a run file under a seed.
fn run(file: &std::path::Path, seed: u64) -> [f64; 3] {
    let folder = std::env::var("GCNREC_DATA").expect("GCNREC_DATA should name the folder of the data");
    let sources = Sources {
        run_file: Some(file.into()),
        environment: vec![("GCNREC_DATA".into(), folder)],
        set: vec![format!("seed={seed}")],
        ..Sources::default()
    };
    let mut resolved = resolve(&sources).unwrap_or_else(|error| panic!("{error}"));
    let split = Arc::new(data::load(&resolved.config.data, Seed(seed)).unwrap_or_else(|error| panic!("{error}")));
    resolved.settle(split.n_users(), split.n_items());
    resolved.settle_labels();
    let job = resolved.config.job(split, Device::Cpu).unwrap();
    let mut store = RunStore::discarding(&job).unwrap();
    let outcome = train::run(&job, &mut store, false, &mut Silent, &Stop::default());
    let test = outcome.unwrap_or_else(|error| panic!("{}: {error}", file.display())).test.unwrap();
    METRICS.map(|name| test.get(name).unwrap())
}

fn coat(words: &[String]) {
    let n_seeds: u64 = words.first().map_or(10, |word| word.parse().unwrap());
    let configs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/debias");
    let mut files: Vec<PathBuf> = std::fs::read_dir(configs).unwrap().map(|entry| entry.unwrap().path()).collect();
    let stem = |file: &PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
    files.retain(|file| words.len() < 2 || words[1..].contains(&stem(file)) || stem(file) == "biased");
    // The one that all others are compared with comes first.
    files.sort_by_key(|file| (stem(file) != "biased", stem(file)));
    let mut base: Vec<[f64; 3]> = Vec::new();
    println!("coat, explicit, {n_seeds} split seeds: mean (deviation) [paired difference to biased, better on, t]");
    for file in files {
        let started = Instant::now();
        let found: Vec<[f64; 3]> = (0..n_seeds).map(|seed| run(&file, seed)).collect();
        let seconds = started.elapsed().as_secs_f64() / n_seeds as f64;
        let mut line = format!("{:<12}", stem(&file));
        for (at, name) in METRICS.iter().enumerate() {
            let values: Vec<f64> = found.iter().map(|row| row[at]).collect();
            line += &format!("  {name} {:.4} ({:.4})", mean(&values), deviation(&values));
            if !base.is_empty() {
                let sign = if at == 0 { -1.0 } else { 1.0 };
                let gains: Vec<f64> = found.iter().zip(&base).map(|(row, base)| sign * (row[at] - base[at])).collect();
                let better = gains.iter().filter(|gain| **gain > 0.0).count();
                let t = mean(&gains) / (deviation(&gains) / (n_seeds as f64).sqrt());
                line += &format!(" [{:+.4}, {better}, {t:.1}]", mean(&gains));
            }
        }
        println!("{line}  {seconds:.1} s a run");
        if base.is_empty() {
            base = found;
        }
    }
}

/// A learner on the demo world under a method.
fn learner(config: &debias::Config) -> GraphLearner {
    let seed = Seed(2020);
    let demo = data::world::Config { n_users: 4000, n_items: 1500, ..data::world::Config::default() };
    let split = data::load(&data::Config { demo, ..data::Config::default() }, seed).unwrap();
    let model = graph::Config { layers: 3, ..graph::Config::default() };
    let objective = objectives::Config::named("bpr").unwrap();
    let pairs = Arc::new(split.train_interactions().unwrap());
    let (dim, reduction) = (model.dim, Reduction::Mean);
    let training = debias::Training { split: &split, pairs, objective: &objective, reduction, dim, seed };
    let prepared = debias::prepare(config, &training).unwrap();
    let setup = Setup {
        device: Device::Cpu,
        config: model,
        model: "lightgcn",
        objective: objective.clone(),
        batching: Batching { size: Some(2048), order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: prepared.pairs,
        teacher: Teacher::Nobody,
        prior: None,
        bound: 0.0,
        seed,
    };
    GraphLearner::with(setup, Learning { ..prepared.learning }).unwrap()
}

fn cost() {
    let method = |every, look_ahead| {
        let config = Autodebias { frozen_epochs: 0, every, look_ahead, ..Autodebias::default() };
        debias::Config::Autodebias(config)
    };
    let plain = debias::Config::default();
    let all = [
        ("plain", plain),
        ("every step", method(1, true)),
        ("every 5", method(5, true)),
        ("aligned", method(1, false)),
    ];
    let mut learners: Vec<(&str, GraphLearner, Vec<f64>)> =
        all.iter().map(|(name, config)| (*name, learner(config), Vec::new())).collect();
    // Taken in turn, so that what else runs on the machine slows all of them alike.
    for round in 0..12u64 {
        for (_, learner, seconds) in &mut learners {
            let started = Instant::now();
            learner.steps(round, 0..5).unwrap();
            seconds.push(started.elapsed().as_secs_f64() / 5.0);
        }
    }
    for (_, _, seconds) in &mut learners {
        seconds.sort_by(f64::total_cmp);
    }
    let plain = learners[0].2[6];
    println!("LightGCN, K = 3, 5,500 nodes, BPR, 2048 pairs a step: median ms a step, ratio to the plain step");
    for (name, _, seconds) in &learners {
        println!("{name:<12} {:8.2} ms  {:.2}", seconds[6] * 1e3, seconds[6] / plain);
    }
}
