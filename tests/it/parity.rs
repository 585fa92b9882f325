//! Whole trainings on every device that is there: the metrics of the CPU, the same bits every time,
//! and no step that waits for the host.
//!
//! Each op has its own cases in `kernels/tests/parity`. Without a device a test says so and passes;
//! with `GCNREC_REQUIRE_VULKAN=1` (or `GCNREC_REQUIRE_CUDA=1`) it fails instead.

mod sequences;

use std::sync::Arc;

use gcnrec::configs::Sampling;
use gcnrec::internals::data::world;
use gcnrec::internals::debias;
use gcnrec::internals::models;
use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::lightgcn::{Combination, Fit, Storage};
use gcnrec::internals::models::graph::{GraphLearner, Learning, Optimizer, Setup, WeightFit};
use gcnrec::internals::objectives::{Batching, Config as Objective, Reduction};
use gcnrec::internals::samplers::PairOrder;
use gcnrec::internals::train::Job;
use gcnrec::{Split, World};
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

use crate::jobs::{change, digest, fingerprint, job, lightgcn, loss, run, taught};

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

/// So many users that one pair of neighbours which change places in one list moves no metric by as
/// much as the tolerance.
fn world() -> Split {
    let demo =
        world::Config::default().with(|own| (own.n_users, own.n_items, own.interactions_per_user) = (500, 120, 15));
    World::generate(&demo, 0.1, Seed(5)).unwrap().split
}

fn case(model: models::Config, objective: &str) -> Job {
    let mut job = job(world(), model, loss(objective));
    change(&mut job.model, |config| (config.dim, config.layers) = (20, 3));
    job.train.max_epochs = 3;
    job
}

/// What a user of a GPU trains first: each combination with a pairwise loss and with the softmax
/// losses.
fn cases() -> Vec<(String, Job)> {
    let all = ["softmax", "ssm", "bpr", "logistic"];
    let mut cases = Vec::new();
    for (combination, objectives) in [
        (Combination::UNIFORM, &all[..]),
        (Combination::ADDITIVE, &all[..]),
        (Combination::GLOBAL, &["softmax", "bpr"]),
        (Combination::DOT, &["softmax", "bpr"]),
    ] {
        let named =
            |&objective: &&str| (format!("{combination:?} {objective}"), case(lightgcn(combination), objective));
        cases.extend(objectives.iter().map(named));
    }
    cases
}

/// A method of debiasing that learns from its second epoch on.
fn debiased(method: &str, every: u64, mut job: Job) -> Job {
    let learned = ["autodebias", "meta_weight_net"].contains(&method);
    let settings = if learned { format!("frozen_epochs = 1\nevery = {every}") } else { String::new() };
    job.debias = debias::Config::parse(method, &settings).unwrap();
    job
}

/// Every kind of debiasing that has kernels: weights that are given, shared out, a network of
/// losses, and learned beside an imputation term, through the look-ahead of Adam and of gradient
/// descent; and layer weights that are fitted on the uniform log.
fn ways_of_debiasing(every: u64) -> Vec<(&'static str, Job)> {
    let uniform = |objective| case(lightgcn(Combination::UNIFORM), objective);
    let mut factors = job(world(), models::Config::parse("mf", "dim = 18\nbiases = true").unwrap(), loss("mse"));
    (factors.train.max_epochs, factors.train.block) = (3, [250, 60]);
    (factors.train.sampling, factors.train.reduction) = (Sampling::Block, Reduction::Sum);
    (factors.train.optimizer, factors.train.learning_rate) = (Optimizer::Sgd, Some(1e-3));
    vec![
        ("snips", debiased("snips", every, uniform("bpr"))),
        ("combine", debiased("combine", every, uniform("logistic"))),
        ("reweight", debiased("reweight", every, uniform("bpr"))),
        ("a network of losses", debiased("meta_weight_net", every, uniform("bpr"))),
        ("autodebias, MF", debiased("autodebias", every, factors)),
        ("autodebias, uniform", debiased("autodebias", every, uniform("mse"))),
        ("autodebias, additive", debiased("autodebias", every, case(lightgcn(Combination::ADDITIVE), "logistic"))),
        ("additive on the uniform log", case(taught(Combination::ADDITIVE, Fit::Uniform), "bpr")),
    ]
}

/// Ways of training that go through other ops: layer weights fitted on held-out pairs, then a fixed
/// prior with a bound; layers in 16 bits.
fn other_ways(device: &Device) -> Vec<(String, Job)> {
    let mut cases = vec![
        ("held out, then additive".to_string(), case(taught(Combination::ADDITIVE, Fit::HeldOut), "bpr")),
        ("held out, then dot".to_string(), case(taught(Combination::DOT, Fit::HeldOut), "bpr")),
    ];
    let mut hardest = case(lightgcn(Combination::UNIFORM), "bpr");
    hardest.objective = Objective::parse("bpr", "n_candidates = 4").unwrap();
    cases.push(("the hardest of four".into(), hardest));
    for storage in [Storage::F16, Storage::Bf16] {
        let mut job = case(lightgcn(Combination::UNIFORM), "softmax");
        change(&mut job.model, |config| config.storage = storage);
        match job.model.check_device(device) {
            Ok(()) => cases.push((format!("{storage:?}"), job)),
            Err(error) => println!("skipped: {error}"),
        }
    }
    cases
}

#[test]
fn a_training_on_a_device_gives_the_metrics_of_the_cpu_and_the_same_bits_every_time() {
    on_each(|device| {
        let debiased = ways_of_debiasing(1).into_iter().map(|(name, job)| (name.to_string(), job));
        for (name, job) in cases().into_iter().chain(other_ways(device)).chain(debiased) {
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
    let config = job.model.graph().unwrap();
    let training = debias::Training {
        split: &job.split,
        pairs: Arc::new(job.train_pairs().unwrap()),
        objective: &job.objective,
        reduction: job.train.reduction,
        dim: config.dim + if config.biases { 2 } else { 0 },
        biases: config.biases,
        seed: Seed(1),
    };
    let prepared = debias::prepare(&job.debias, &training).unwrap();
    let by_uniform = config.attention.fit == Fit::Uniform && config.combination != Combination::UNIFORM;
    let weight_fit = if by_uniform {
        let (loss, batch) = debias::uniform_batch(&job.objective, &job.split).unwrap();
        WeightFit::OnUniformLog { loss, batch, fixed_prior: false }
    } else {
        WeightFit::OnTraining
    };
    let setup = Setup {
        device: device.clone(),
        config,
        model: job.model.name(),
        objective: job.objective.clone(),
        batching: Batching { size: Some(32), order: PairOrder::PairUniform },
        learning_rate: 1e-2,
        train: prepared.pairs,
        weight_fit,
        prior: None,
        bound: 0.0,
        seed: Seed(1),
    };
    GraphLearner::with(setup, Learning { optimizer: job.train.optimizer, ..prepared.learning }).unwrap()
}

/// Launches of a step with three layers: they are what a step costs on a small graph. Dot attention
/// makes queries and keys of every layer, and the gradients of three matrices, for users and for
/// items.
fn most_launches(name: &str) -> u64 {
    if name.starts_with("dot") { 130 } else { 85 }
}

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
            assert!(launches > 0 && launches <= most_launches(&name), "{name}: {launches}");
            // A batch of 32 sends its indices: no table goes up.
            assert!(bytes <= 256 * 32, "{name}: {bytes}");
            assert_eq!(report.loss, 0.0, "{name}: a loss is not known before somebody waits for it");
            let late = learner.late_loss().unwrap();
            assert!(late > 0.0 && late.is_finite(), "{name}: {late}");
            assert_eq!(device.counts().unwrap().host_reads, after.host_reads + 1, "{name}");
        }
    });
}

/// The parameters of weights that are learned are in f64 on the host: a look-ahead waits for the
/// derivatives by the weights and for what belongs to them (the losses, the motion of the
/// imputation term). Nothing else waits.
#[test]
fn a_debiased_step_waits_for_what_a_look_ahead_learns_and_for_nothing_else() {
    on_each(|device| {
        for (name, job) in ways_of_debiasing(4) {
            let reads = match name {
                "a network of losses" => 2,
                _ if name.starts_with("autodebias") => 2,
                _ => 0,
            };
            let mut learner = learner(device, &job);
            learner.steps(1, 0..1).unwrap();
            learner.late_loss().unwrap();
            let before = device.counts().unwrap().host_reads;
            // The look-ahead before the first step is over; the next is that of the fifth.
            learner.steps(1, 1..4).unwrap();
            assert_eq!(device.counts().unwrap().host_reads, before, "{name}");
            learner.steps(1, 4..5).unwrap();
            assert_eq!(device.counts().unwrap().host_reads, before + reads, "{name}");
            let late = learner.late_loss().unwrap();
            assert!(late > 0.0 && late.is_finite(), "{name}: {late}");
        }
    });
}

/// What has no kernel is refused by name, not computed elsewhere in silence.
#[test]
fn methods_that_work_on_the_processor_are_refused_by_name() {
    on_each(|device| {
        for method in ["dr", "dr_jl", "cause"] {
            let job = debiased(method, 1, case(lightgcn(Combination::UNIFORM), "mse"));
            let error = Job { device: device.clone(), ..job }.check().unwrap_err();
            assert_eq!(error.exit_code(), 5);
            let kind = device.name().split(':').next().unwrap().to_string();
            let expected = format!(
                "device {}: the debiasing method {method} is not on {kind} yet: use --device cpu",
                device.name()
            );
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn a_training_that_a_device_has_no_room_for_is_refused_with_what_it_needs() {
    on_each(|device| {
        let (_, job) = cases().swap_remove(0);
        let size = models::TrainingSize {
            n_users: 1_000_000_000,
            n_items: 10_000_000,
            n_pairs: 4_000_000_000,
            batch_size: None,
            n_meta: 0,
            loss: &job.objective,
        };
        let error = job.model.memory(&size).unwrap().check(device).unwrap_err();
        assert_eq!(error.exit_code(), 5);
        let text = error.to_string();
        // 1,010,000,000 rows of 20 numbers of 4 bytes.
        let needed =
            "expected 80.80 GB in one array for 1000000000 users, 10000000 items and 4000000000 pairs with dim 20";
        assert!(text.starts_with(&format!("device {}: found room for arrays of ", device.name())), "{text}");
        assert!(text.contains(needed) && text.ends_with("or use --device cpu"), "{text}");
        job.check().unwrap();
        assert!(Job { device: device.clone(), ..job }.check().is_ok());
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
