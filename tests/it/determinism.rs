//! The same job gives the same bits: for any number of threads, and however often it is
//! interrupted.

use gcnrec::internals::data::world;
use gcnrec::internals::models;
use gcnrec::internals::models::graph::lightgcn::{Combination, Fit};
use gcnrec::internals::train::{Job, Outcome};
use gcnrec::{Observer, RecError, Silent, Split, Stop, World};
use gcnrec_graphs::Seed;

use crate::jobs::{change, digest, fingerprint, job, lightgcn, loss, metrics_lines, run_in, taught};

/// A demo world with enough rows for several tasks in every op: 450 nodes, about 5,000 pairs.
fn world(n_users: usize) -> Split {
    let demo =
        world::Config::default().with(|own| (own.n_users, own.n_items, own.interactions_per_user) = (n_users, 150, 20));
    World::generate(&demo, 0.1, Seed(5)).unwrap().split
}

fn on_threads(n_threads: usize, job: &Job) -> (String, Vec<String>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let outcome = run_in(&path, job, false, &mut Silent, &Stop::default()).unwrap();
        (fingerprint(&outcome), metrics_lines(&path))
    })
}

fn assert_same_for_any_number_of_threads(job: &Job, what: &str) {
    let one = on_threads(1, job);
    for n_threads in [2, 4] {
        assert!(on_threads(n_threads, job) == one, "{what}: {n_threads} threads");
    }
}

/// A job of two epochs with batches that no task size divides.
fn threaded(combination: Combination, objective: &str) -> Job {
    let mut job = job(world(300), lightgcn(combination), loss(objective));
    change(&mut job.model, |config| (config.dim, config.layers, config.attention.hidden) = (40, 3, 24));
    job.train.max_epochs = 2;
    job.train.batch_size = Some(if objective == "softmax" { 97 } else { 1030 });
    job
}

#[test]
fn bpr_gives_the_same_bits_for_any_number_of_threads() {
    for combination in Combination::all() {
        assert_same_for_any_number_of_threads(&threaded(combination, "bpr"), &format!("{combination:?}"));
    }
}

#[test]
fn softmax_gives_the_same_bits_for_any_number_of_threads() {
    for combination in Combination::all() {
        assert_same_for_any_number_of_threads(&threaded(combination, "softmax"), &format!("{combination:?}"));
    }
}

#[test]
fn ssm_gives_the_same_bits_for_any_number_of_threads() {
    for combination in Combination::all() {
        assert_same_for_any_number_of_threads(&threaded(combination, "ssm"), &format!("{combination:?}"));
    }
}

#[test]
fn edge_dropout_refit_and_the_closed_forms_give_the_same_bits_for_any_number_of_threads() {
    let mut dropout = threaded(Combination::ADDITIVE, "softmax");
    change(&mut dropout.model, |config| config.edge_dropout = 0.3);
    dropout.train.refit = true;
    assert_same_for_any_number_of_threads(&dropout, "edge dropout and refit");
    let closed = models::Config::parse("ease", "l2 = 50").unwrap();
    assert_same_for_any_number_of_threads(&job(world(300), closed, loss("softmax")), "ease");
    let mf = models::Config::parse("mf", "dim = 40\nbiases = true").unwrap();
    assert_same_for_any_number_of_threads(&job(world(300), mf, loss("logistic")), "mf with biases");
}

/// Asks for a stop after some steps.
struct StopAfter {
    steps: usize,
    stop: Stop,
}

impl Observer for StopAfter {
    fn on_step(&mut self, _epoch: u64, _step: usize, _loss: f64) {
        self.steps -= 1;
        if self.steps == 0 {
            self.stop.ask(130);
        }
    }
}

/// Runs a job that is stopped again and again, each time after the next number of steps, and
/// resumed.
fn interrupted(path: &std::path::Path, job: &Job, steps: &[usize]) -> (Outcome, usize) {
    for (n_stops, &steps) in steps.iter().cycle().enumerate() {
        let stop = Stop::default();
        let mut observer = StopAfter { steps, stop: stop.clone() };
        match run_in(path, job, n_stops > 0, &mut observer, &stop) {
            Ok(outcome) => return (outcome, n_stops),
            Err(RecError::Interrupted { code, .. }) => assert_eq!(code, 130),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the numbers of steps come round again and again")
}

fn assert_stops_change_nothing(job: &Job, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let expected = run_in(&whole, job, false, &mut Silent, &Stop::default()).unwrap();
    // Epochs have five to eight steps: stops come within an epoch, at its end, and after several
    // validations in one process.
    let (found, n_stops) = interrupted(&cut, job, &[3, 19, 1, 8, 26, 5]);
    assert!(n_stops >= 2, "{what}: {n_stops} stops");
    assert_eq!(fingerprint(&found), fingerprint(&expected), "{what} after {n_stops} stops");
    assert_eq!(metrics_lines(&cut), metrics_lines(&whole), "{what}");
    // Whoever opens the folder later finds the model that was reported.
    let opened = gcnrec::Recommender::open(&cut).unwrap();
    assert_eq!(digest(&opened.scorer().state()), digest(&expected.scorer.state()), "{what}");
}

fn stoppable(combination: Combination, objective: &str) -> Job {
    let mut job = job(world(80), lightgcn(combination), loss(objective));
    job.train.max_epochs = 7;
    job.train.patience = 3;
    job.train.batch_size = Some(if objective == "softmax" { 13 } else { 200 });
    job
}

#[test]
fn an_interrupted_run_ends_as_an_uninterrupted_one() {
    for combination in Combination::all() {
        assert_stops_change_nothing(&stoppable(combination, "softmax"), &format!("{combination:?}"));
    }
}

/// Under BPR the layer weights learn from lessons, those of the nodes in a second stage; on request
/// the first stage is on held-out pairs.
#[test]
fn an_interrupted_run_with_lessons_for_its_layer_weights_ends_as_an_uninterrupted_one() {
    for combination in Combination::all() {
        assert_stops_change_nothing(&stoppable(combination, "bpr"), &format!("{combination:?}"));
    }
    for combination in [Combination::GLOBAL, Combination::ADDITIVE, Combination::DOT] {
        let held_out = Job { model: taught(combination, Fit::HeldOut), ..stoppable(combination, "bpr") };
        assert_stops_change_nothing(&held_out, &format!("{combination:?}, held out"));
    }
}

#[test]
fn stops_change_nothing_with_refit_edge_dropout_and_checkpoints_between_steps() {
    let mut job = stoppable(Combination::ADDITIVE, "bpr");
    change(&mut job.model, |config| config.edge_dropout = 0.3);
    (job.train.refit, job.train.checkpoint_every_steps, job.train.validate_every) = (true, 2, 2);
    assert_stops_change_nothing(&job, "refit");
}
