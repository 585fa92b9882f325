//! Whole trainings on every device that is there: the metrics of the CPU, the same bits every time, and no step that waits for the host.
//!
//! Each op has its own cases in `kernels/tests/parity`. Without a device a test says so and passes; with `GCNREC_REQUIRE_VULKAN=1` (or
//! `GCNREC_REQUIRE_CUDA=1`) it fails instead.
#![cfg(any(feature = "cuda", feature = "vulkan"))]
// clippy.toml allows `unwrap` inside test functions; here the functions beside them are tests too.
#![allow(clippy::unwrap_used)]

mod jobs;

use std::sync::Arc;

use gcnrec::data::{Split, World, world};
use gcnrec::models::graph::config::Combination;
use gcnrec::models::graph::{GraphLearner, Setup, Teacher};
use gcnrec::models::{self, Learner};
use gcnrec::objectives::Batching;
use gcnrec::samplers::PairOrder;
use gcnrec::train::Job;
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use jobs::{digest, fingerprint, job, lightgcn, loss, run};

fn on_each(case: impl Fn(&Device)) {
    for kind in ["cuda", "vulkan"] {
        match Device::open(kind) {
            Ok(device) => case(&device),
            Err(error) => {
                let variable = format!("GCNREC_REQUIRE_{}", kind.to_uppercase());
                assert!(std::env::var(&variable).is_err(), "{variable} is set, but {error}");
                println!("skipped: no {kind} device ({error})");
            }
        }
    }
}

/// So many users that one pair of neighbours which change places in one list moves no metric by as much as the tolerance.
fn world() -> Split {
    let demo = world::Config { n_users: 500, n_items: 120, interactions_per_user: 15, ..world::Config::default() };
    World::generate(&demo, 0.1, Seed(5)).unwrap().split
}

/// What a user of a GPU trains first: each combination with a pairwise loss and with the softmax losses.
fn cases() -> Vec<(String, Job)> {
    let mut cases = Vec::new();
    for combination in [Combination::Uniform, Combination::Additive] {
        for objective in ["softmax", "ssm", "bpr", "logistic"] {
            let mut job = job(world(), lightgcn(combination), loss(objective));
            let models::Config::Lightgcn(config) = &mut job.model else { unreachable!("a LightGCN was asked for") };
            (config.dim, config.layers) = (20, 3);
            job.train.max_epochs = 3;
            cases.push((format!("{combination:?} {objective}"), job));
        }
    }
    cases
}

#[test]
fn a_training_on_a_device_gives_the_metrics_of_the_cpu_and_the_same_bits_every_time() {
    on_each(|device| {
        for (name, job) in cases() {
            let on_device = Job { device: device.clone(), ..job.clone() };
            let (expected, found) = (run(&job), run(&on_device));
            let (Some(expected), Some(metrics)) = (&expected.test, &found.test) else { panic!("{name}: no test part") };
            for (metric, value) in expected.iter() {
                let there = metrics.get(metric).unwrap();
                let place = device.name();
                assert!((there - value).abs() <= 1e-3, "{name}: {metric} is {there} on {place}, {value} on the cpu");
            }
            assert!(fingerprint(&run(&on_device)) == fingerprint(&found), "{name}: a second run gave other bits");
        }
    });
}

fn learner(device: &Device, job: &Job) -> GraphLearner {
    let models::Config::Lightgcn(config) = &job.model else { unreachable!("a LightGCN was asked for") };
    GraphLearner::new(Setup {
        device: device.clone(),
        config: config.clone(),
        model: "lightgcn",
        objective: job.objective.clone(),
        batching: Batching { size: Some(32), order: PairOrder::PairUniform },
        learning_rate: 1e-2,
        train: Arc::new(job.train_pairs().unwrap()),
        teacher: Teacher::Training,
        prior: None,
        bound: 0.0,
        seed: Seed(1),
    })
    .unwrap()
}

/// Launches of a step with three layers: they are what a step costs on a small graph.
const MOST_LAUNCHES: u64 = 85;

#[test]
fn a_step_never_waits_for_the_host_and_launches_a_known_number_of_kernels() {
    on_each(|device| {
        for (name, job) in cases() {
            let mut learner = learner(device, &job);
            learner.steps(0, 0..1).unwrap();
            learner.late_loss().unwrap();
            let before = device.counts().unwrap();
            let report = learner.steps(0, 1..5).unwrap();
            let after = device.counts().unwrap();
            assert_eq!(after.host_reads, before.host_reads, "{name}");
            let launches = (after.launches - before.launches) / 4;
            let bytes = (after.bytes_up - before.bytes_up) / 4;
            println!("{name}: {launches} launches and {bytes} bytes up in a step on {}", device.name());
            assert!(launches > 0 && launches <= MOST_LAUNCHES, "{name}: {launches}");
            assert_eq!(report.loss, 0.0, "{name}: a loss is not known before somebody waits for it");
            let late = learner.late_loss().unwrap();
            assert!(late > 0.0 && late.is_finite(), "{name}: {late}");
            assert_eq!(device.counts().unwrap().host_reads, after.host_reads + 1, "{name}");
        }
    });
}

/// A learner that goes on from a checkpoint takes the steps it would have taken.
#[test]
fn a_learner_on_a_device_goes_on_from_its_state() {
    on_each(|device| {
        let (_, job) = cases().swap_remove(4);
        let mut straight = learner(device, &job);
        straight.steps(0, 0..4).unwrap();
        let mut first = learner(device, &job);
        first.steps(0, 0..2).unwrap();
        let mut second = learner(device, &job);
        second.restore(&first.state()).unwrap();
        second.steps(0, 2..4).unwrap();
        assert_eq!(digest(&second.state()), digest(&straight.state()));
    });
}
