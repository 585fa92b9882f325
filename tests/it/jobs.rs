//! Small jobs and what to compare of their outcomes, shared by the tests of whole runs.
#![allow(dead_code)] // without a GPU feature, `parity` uses none of it

use std::path::Path;
use std::sync::Arc;

use gcnrec::internals::models;
use gcnrec::internals::models::graph;
use gcnrec::internals::models::graph::lightgcn::{Combination, Fit};
use gcnrec::internals::train;
use gcnrec::internals::train::Job;
use gcnrec::internals::train::Outcome;
use gcnrec::internals::{eval, objectives};
use gcnrec::{Destination, IdMap, Log, Observer, Prepared, Result, RunFolder, Silent, Split, State, Stop, Tensor};
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use sha2::{Digest, Sha256};

/// A part from its pairs.
pub fn log(pairs: &[(u32, u32)]) -> Log {
    Log {
        users: pairs.iter().map(|pair| pair.0).collect(),
        items: pairs.iter().map(|pair| pair.1).collect(),
        ..Log::default()
    }
}

/// Users `u0, u1, ..` and items `i0, i1, ..` with the given training, validation and test pairs.
pub fn split(n_users: usize, n_items: usize, [train, valid, test]: [&[(u32, u32)]; 3]) -> Split {
    let names = |prefix: &str, n| (0..n).map(|id| format!("{prefix}{id}")).collect::<IdMap>();
    Split {
        users: names("u", n_users),
        items: names("i", n_items),
        train: log(train),
        valid: log(valid),
        test: log(test),
        fingerprint: "a test".into(),
        ..Split::default()
    }
}

/// A small LightGCN.
pub fn lightgcn(combination: Combination) -> models::Config {
    let mut config = graph::Config::default();
    (config.dim, config.layers, config.combination, config.attention.hidden) = (16, 2, combination, 8);
    config.into()
}

/// Changes the settings of a LightGCN.
pub fn change(model: &mut models::Config, change: impl FnOnce(&mut graph::Config)) {
    assert!(model.change(change), "a LightGCN was asked for");
}

/// The same, with a say in what teaches the layer weights.
pub fn taught(combination: Combination, fit: Fit) -> models::Config {
    let mut model = lightgcn(combination);
    change(&mut model, |config| config.attention.fit = fit);
    model
}

/// A loss with its defaults.
pub fn loss(name: &str) -> objectives::Config {
    objectives::Config::named(name).unwrap()
}

/// A job of few epochs on the CPU.
pub fn job(split: Split, model: models::Config, objective: objectives::Config) -> Job {
    Job {
        split: Arc::new(split),
        model,
        objective,
        debias: gcnrec::internals::debias::Config::default(),
        train: train::Config::default().with(|own| {
            (own.learning_rate, own.max_epochs, own.validate_every) = (Some(1e-2), 4, 1);
            // Only stops write checkpoints: time must not help a test to pass.
            own.checkpoint_seconds = 1e9;
        }),
        eval: eval::Config::default().with(|own| own.k = vec![2, 10]),
        seed: Seed(2020),
        device: Device::Cpu,
        config_toml: "seed = 2020\n".into(),
    }
}

/// Runs a job in a folder, from the start or from its checkpoint.
pub fn run_in(folder: &Path, job: &Job, resume: bool, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome> {
    let into = if resume { Destination::resume(folder) } else { Destination::new(folder) };
    Ok(Prepared::of_job(job.clone(), into)?.train(observer, stop)?.outcome)
}

/// Runs a job to its end and keeps no folder.
pub fn run(job: &Job) -> Outcome {
    let prepared = Prepared::of_job(job.clone(), Destination::default()).unwrap();
    prepared.train_in_memory(&mut Silent, &Stop::default()).unwrap()
}

/// All numbers of a state, to the bit.
pub fn digest(state: &State) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in &state.tensors {
        hash.update(name);
        match tensor {
            Tensor::F32 { values, .. } => values.iter().for_each(|x| hash.update(x.to_bits().to_le_bytes())),
            Tensor::U32 { values, .. } => values.iter().for_each(|x| hash.update(x.to_le_bytes())),
        }
    }
    hash.update(serde_json::to_string(&state.facts).unwrap());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything of an outcome that must not depend on luck: weights, metrics to the bit, epochs,
/// protocol.
pub fn fingerprint(outcome: &Outcome) -> String {
    let bits = |metrics: &Option<gcnrec::Metrics>| -> Vec<(String, u64)> {
        metrics
            .iter()
            .flat_map(|m| m.iter().map(|(name, x)| (name.to_string(), x.to_bits())).collect::<Vec<_>>())
            .collect()
    };
    let Outcome { scorer, best_epoch, epochs_run, valid, test, protocol, layer_weights, warnings, .. } = outcome;
    let (weights, valid, test) = (digest(&scorer.state()), bits(valid), bits(test));
    format!("{weights} {best_epoch} {epochs_run} {valid:?} {test:?} {protocol:?} {layer_weights:?} {warnings:?}")
}

/// The lines of `metrics.jsonl` without what a clock says.
pub fn metrics_lines(folder: &Path) -> Vec<String> {
    let lines = RunFolder::open(folder).unwrap().read_metrics().unwrap();
    let timeless = |mut line: serde_json::Value| {
        let fields = line.as_object_mut().unwrap();
        ["seconds", "examples_per_s", "validate_s"].iter().for_each(|name| {
            fields.remove(*name);
        });
        line.to_string()
    };
    lines.into_iter().map(timeless).collect()
}
