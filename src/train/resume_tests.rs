//! A run that ends anywhere goes on to the same bits: at every change to the disk, after every
//! step, twice in a row; and a state that lacks a part does not, so the comparison can fail.

use std::path::Path;
use std::sync::Arc;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::failpoint::fill_disk_after;
use crate::checkpoint::{self, Contents, RunFolder};
use crate::data::{self, world};
use crate::error::{RecError, Result};
use crate::models::graph::lightgcn::{Attention, Combination, Fit};
use crate::models::sequential::{self, gru4rec};
use crate::models::state::Tensor;
use crate::{eval, models, objectives};

/// A small run of three epochs, with a checkpoint after every second step.
fn job(combination: Combination, loss: &str, fit: Fit, refit: bool) -> Job {
    let demo = world::Config { n_users: 24, n_items: 50, interactions_per_user: 8, ..Default::default() };
    let split = data::load(&data::Config { demo, ..Default::default() }, Seed(3)).unwrap();
    let mut model = models::graph::lightgcn::Config { layers: 2, dim: 4, combination, ..Default::default() };
    model.attention = Attention { hidden: 3, fit, ..Default::default() };
    model.edge_dropout = if loss == "ssm" { 0.2 } else { 0.0 };
    Job {
        split: Arc::new(split),
        model: model.into(),
        objective: objectives::Config::named(loss).unwrap(),
        debias: crate::debias::Config::default(),
        train: Config {
            max_epochs: 3,
            validate_every: 1,
            patience: 2,
            batch_size: Some(if loss == "softmax" { 7 } else { 60 }),
            checkpoint_seconds: 0.0,
            checkpoint_every_steps: 2,
            refit,
            ..Default::default()
        },
        eval: eval::Config::default(),
        seed: Seed(3),
        device: Device::Cpu,
        config_toml: "seed = 3\n".into(),
    }
}

fn softmax() -> Job {
    job(Combination::ADDITIVE, "softmax", Fit::Auto, false)
}

fn ssm() -> Job {
    job(Combination::UNIFORM, "ssm", Fit::Auto, false)
}

/// All three stages.
fn held_out() -> Job {
    job(Combination::DOT, "bpr", Fit::Auto, true)
}

/// Sessions side by side, with dropout, and two epochs on the newest half of the rows. `refit`:
/// after training again with the validation pairs.
fn finetuned(refit: bool) -> Job {
    let model = gru4rec::Config {
        dim: 4,
        hidden: 5,
        batches: gru4rec::Batches::SessionsInParallel,
        loss: sequential::Loss::BprMax,
        n_negatives: 7,
        ..Default::default()
    };
    let job = job(Combination::UNIFORM, "softmax", Fit::Auto, refit);
    let train = Config { batch_size: Some(40), finetune_epochs: 2, finetune_recent_fraction: 0.5, ..job.train };
    Job { model: model.into(), train, ..job }
}

/// Asks for a stop after the n-th step.
struct StopAt {
    left: u64,
    stop: Stop,
    messages: Vec<String>,
}

impl Observer for StopAt {
    fn on_step(&mut self, _: u64, _: usize, _: f64) {
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            self.stop.ask(130);
        }
    }

    fn on_message(&mut self, message: &str) {
        self.messages.push(message.into());
    }
}

/// One process of a run; with `stop_at` it is stopped after that many steps. Answers the test
/// metrics and what was said.
fn process(job: &Job, path: &Path, resume: bool, stop_at: u64) -> Result<(Value, Vec<String>)> {
    let folder = RunFolder::create(path, false, resume)?;
    folder.write_config("seed = 3\n")?;
    let stop = Stop::default();
    let mut observer = StopAt { left: stop_at, stop: stop.clone(), messages: Vec::new() };
    let outcome = run(job, &mut RunStore::new(folder, job), resume, &mut observer, &stop)?;
    Ok((json!([outcome.test, outcome.valid, outcome.best_epoch, outcome.epochs_run]), observer.messages))
}

/// What must be equal: the weights, the metrics, and the lines of `metrics.jsonl` without their
/// seconds.
#[derive(Debug, PartialEq)]
struct End {
    weights: Vec<u8>,
    metrics: Value,
    lines: Vec<Value>,
}

fn end(path: &Path, metrics: Value) -> End {
    let mut lines = RunFolder::open(path).unwrap().read_metrics().unwrap();
    for line in &mut lines {
        for name in ["seconds", "examples_per_s", "validate_s"] {
            line.as_object_mut().unwrap().shift_remove(name);
        }
    }
    End { weights: std::fs::read(path.join("best/model.safetensors")).unwrap(), metrics, lines }
}

fn whole(job: &Job) -> End {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    let (metrics, _) = process(job, &path, false, 0).unwrap();
    end(&path, metrics)
}

/// Fails every change after the n-th, goes on, and compares; answers how many changes the run
/// makes.
fn dies_at_changes(job: &Job, stride: usize) -> u64 {
    let expected = whole(job);
    for n in (0..).step_by(stride) {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        fill_disk_after(Some(n));
        let died = process(job, &path, false, 0);
        fill_disk_after(None);
        let (metrics, _) = match died {
            Ok(done) => {
                assert_eq!(end(&path, done.0), expected);
                return n;
            }
            Err(error) => {
                assert_eq!(error.exit_code(), 5, "change {n}: {error}");
                process(job, &path, true, 0).unwrap_or_else(|error| panic!("change {n}: {error}"))
            }
        };
        assert_eq!(end(&path, metrics), expected, "change {n}");
    }
    unreachable!("a run makes finitely many changes")
}

#[test]
fn a_run_that_dies_at_any_change_to_the_disk_ends_with_the_same_bits() {
    // 4 steps an epoch give 2 checkpoints of at least 9 changes: folder, five files, sync, rename,
    // sync.
    assert!(dies_at_changes(&softmax(), 5) >= 54);
    dies_at_changes(&ssm(), 17);
    dies_at_changes(&held_out(), 17);
    dies_at_changes(&finetuned(false), 3);
}

#[test]
fn a_run_that_is_stopped_after_any_step_ends_with_the_same_bits() {
    for job in [softmax(), ssm(), held_out(), finetuned(false), finetuned(true)] {
        // Checkpoints at stops alone: the best model may then be newer than any checkpoint.
        let rare = Config { checkpoint_seconds: 1e9, checkpoint_every_steps: 0, ..job.train.clone() };
        let job = Job { train: rare, ..job };
        let expected = whole(&job);
        for n in 1.. {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("run");
            match process(&job, &path, false, n) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.exit_code(), 130, "step {n}: {error}"),
            }
            // Stopped once more after two steps, if there are as many, then left alone.
            let metrics = match process(&job, &path, true, 2) {
                Ok((metrics, _)) => metrics,
                Err(error) => {
                    assert_eq!(error.exit_code(), 130, "{error}");
                    process(&job, &path, true, 0).unwrap().0
                }
            };
            assert_eq!(end(&path, metrics), expected, "step {n}");
        }
    }
}

/// The stages and epochs of a run's lines.
fn epochs_of(end: &End) -> Vec<(String, u64)> {
    end.lines.iter().map(|line| (line["stage"].as_str().unwrap().into(), line["epoch"].as_u64().unwrap())).collect()
}

#[test]
fn fine_tuning_goes_on_from_the_trained_model_and_validation_may_keep_that() {
    let (tuned, job) = (finetuned(false), finetuned(false));
    let plain = Job { train: Config { finetune_epochs: 0, ..job.train }, ..job };
    let (tuned, plain) = (whole(&tuned), whole(&plain));
    let expected = [("train", 1), ("train", 2), ("train", 3), ("finetune", 1), ("finetune", 2)];
    assert_eq!(epochs_of(&tuned), expected.map(|(stage, epoch)| (stage.to_string(), epoch)));
    assert_eq!(tuned.lines[..3], plain.lines);
    let ndcg = |end: &End| end.metrics[1]["ndcg@20"].as_f64().unwrap();
    let kept = tuned.lines[3..].iter().any(|line| line["best"] == true);
    assert!(ndcg(&tuned) >= ndcg(&plain));
    assert_eq!(kept, tuned.weights != plain.weights);
    assert_eq!(kept, ndcg(&tuned) > ndcg(&plain));
}

#[test]
fn without_a_validation_part_fine_tuning_runs_to_its_end() {
    let tuned = whole(&finetuned(true));
    let job = finetuned(true);
    let plain = whole(&Job { train: Config { finetune_epochs: 0, ..job.train }, ..job });
    let stages = epochs_of(&tuned);
    assert_eq!(stages[stages.len() - 2..], [("finetune".to_string(), 1), ("finetune".to_string(), 2)]);
    assert_eq!(tuned.lines[..plain.lines.len()], plain.lines);
    assert_eq!(tuned.lines.len(), plain.lines.len() + 2);
    assert!(tuned.lines[plain.lines.len()..].iter().all(|line| line.get("valid").is_none()));
    assert_ne!(tuned.weights, plain.weights);
}

#[test]
fn fine_tuning_that_cannot_be_is_refused_before_anything_is_trained() {
    let refused = |job: Job| job.check().unwrap_err().to_string();
    let graph = softmax();
    let graph = Job { train: Config { finetune_epochs: 1, ..graph.train }, ..graph };
    assert!(refused(graph).starts_with("train.finetune_epochs does not fit the model lightgcn"));
    let few = finetuned(false);
    let few = Job { train: Config { finetune_recent_fraction: 1e-9, ..few.train }, ..few };
    assert!(refused(few).starts_with("train.finetune_recent_fraction: found 0.000000001, expected a share"));
}

#[test]
fn a_run_that_is_done_is_done_again_when_resumed() {
    for job in [softmax(), held_out(), finetuned(false), finetuned(true)] {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        let (metrics, _) = process(&job, &path, false, 0).unwrap();
        let expected = end(&path, metrics);
        let (metrics, _) = process(&job, &path, true, 0).unwrap();
        assert_eq!(end(&path, metrics), expected);
    }
}

/// Stops a run after six steps, changes its checkpoint, goes on.
fn with_changed_checkpoint(job: &Job, change: impl FnOnce(&mut Contents)) -> Result<(End, Vec<String>)> {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    process(job, &path, false, 6).unwrap_err();
    let mut contents = checkpoint::load(&path.join("last")).unwrap();
    change(&mut contents);
    checkpoint::save(&path.join("last"), &contents).unwrap();
    let (metrics, messages) = process(job, &path, true, 0)?;
    Ok((end(&path, metrics), messages))
}

fn zero(contents: &mut Contents, name: &str) {
    match contents.state.tensors.get_mut(name) {
        Some(Tensor::F32 { values, .. }) => values.fill(0.0),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn a_state_that_lacks_a_part_does_not_end_with_the_same_bits() {
    let job = softmax();
    let expected = whole(&job);
    assert_eq!(with_changed_checkpoint(&job, |_| {}).unwrap().0, expected, "without a change it does");
    let names: Vec<String> = {
        let mut names = Vec::new();
        with_changed_checkpoint(&job, |contents| names.extend(contents.state.tensors.keys().cloned())).unwrap();
        names
    };
    assert!(names.len() >= 5, "{names:?}");
    for name in &names {
        let changed = with_changed_checkpoint(&job, |contents| zero(contents, name)).unwrap().0;
        assert_ne!(changed.weights, expected.weights, "{name}");
    }
    let changed = with_changed_checkpoint(&job, |contents| drop(contents.state.facts.insert("step".into(), json!(1))));
    assert_ne!(changed.unwrap().0.weights, expected.weights, "the step counter");
    for (fact, value) in [("step", json!(0)), ("epoch", json!(0)), ("loss", json!(0.0))] {
        let changed = with_changed_checkpoint(&job, |contents| {
            contents.facts.get_mut("progress").and_then(|p| p.as_object_mut()).unwrap().insert(fact.into(), value);
        });
        // A lost epoch can end in an error too: `metrics.jsonl` has more or fewer lines than
        // epochs.
        assert!(changed.map_or(true, |(end, _)| end != expected), "progress.{fact}");
    }
}

#[test]
fn another_instruction_set_is_warned_of_and_recorded() {
    let mut seen = None;
    let (_, messages) = with_changed_checkpoint(&softmax(), |contents| {
        seen = contents.facts.insert("arithmetic".into(), json!("s390x vector"));
    })
    .unwrap();
    assert_eq!(seen, Some(json!(Device::Cpu.arithmetic())));
    let expected =
        format!("computed with s390x vector so far, this machine computes with {}", Device::Cpu.arithmetic());
    assert!(messages.iter().any(|message| message.contains(&expected)), "{messages:?}");
}

#[test]
fn an_older_best_model_does_not_stand_in_for_the_best_one() {
    let (job, base) = (softmax(), tempfile::tempdir().unwrap());
    let path = base.path().join("run");
    process(&job, &path, false, 9).unwrap_err();
    let best = path.join("best");
    let mut contents = checkpoint::load(&best).unwrap();
    contents.facts.get_mut("progress").unwrap()["best"]["epoch"] = json!(0);
    checkpoint::save(&best, &contents).unwrap();
    let error = process(&job, &path, true, 0).unwrap_err();
    assert_eq!(error.exit_code(), 6);
    assert!(error.to_string().contains("what is left is that of epoch 0"), "{error}");
}

#[test]
fn other_data_and_another_configuration_are_refused() {
    for (fact, value) in [("fingerprint", json!("0")), ("progress", json!("lost"))] {
        let error = with_changed_checkpoint(&softmax(), |contents| drop(contents.facts.insert(fact.into(), value)));
        assert_eq!(error.err().unwrap().exit_code(), 6);
    }
    let error = with_changed_checkpoint(&softmax(), |contents| contents.config_toml.push_str("threads = 1\n"));
    assert!(error.err().unwrap().to_string().contains("configuration"));
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_with_its_place() {
    for mut job in [softmax(), ssm(), held_out()] {
        job.train.learning_rate = Some(1e30);
        let base = tempfile::tempdir().unwrap();
        let error = process(&job, &base.path().join("run"), false, 0).unwrap_err();
        assert!(matches!(error, RecError::NotFinite { .. }), "{error}");
        let line = error.to_string();
        assert!(line.contains("at epoch 1, step ") && line.contains("lower the learning rate"), "{line}");
    }
}

/// Runs a job, lets `change` touch the run folder or the job, and verifies.
fn verified(mut job: Job, steps: Option<u64>, change: impl FnOnce(&Path, &mut Job)) -> Result<Verdict> {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    process(&job, &path, false, 0).unwrap();
    change(&path, &mut job);
    verify(&job, &RunFolder::open(&path).unwrap(), steps, &mut Silent, &Stop::default())
}

fn difference(job: Job, change: impl FnOnce(&Path, &mut Job)) -> String {
    let error = verified(job, None, change).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    error.to_string()
}

#[test]
fn a_run_that_is_repeated_is_identical() {
    for job in [softmax(), ssm(), held_out(), finetuned(false), finetuned(true)] {
        let verdict = verified(job, None, |_, _| {}).unwrap();
        assert!(verdict.complete && verdict.n_epochs >= 3 && verdict.test.is_some(), "{verdict:?}");
    }
    let verdict = verified(softmax(), Some(5), |_, _| {}).unwrap();
    // 24 users in batches of 7 are 4 steps an epoch: the fifth step is in the second one.
    assert_eq!((verdict.n_epochs, verdict.complete), (2, false));
}

#[test]
fn a_run_that_was_interrupted_is_compared_as_far_as_it_came() {
    let (job, base) = (softmax(), tempfile::tempdir().unwrap());
    let path = base.path().join("run");
    process(&job, &path, false, 9).unwrap_err();
    let verdict = verify(&job, &RunFolder::open(&path).unwrap(), None, &mut Silent, &Stop::default()).unwrap();
    assert_eq!((verdict.n_epochs, verdict.complete), (2, false));
}

#[test]
fn a_changed_rating_is_found_and_its_part_is_named() {
    let line = difference(softmax(), |_, job| {
        let mut split = (*job.split).clone();
        let item = &mut split.test.items[0];
        *item = (*item + 1) % 50;
        job.split = Arc::new(split);
    });
    assert!(line.contains("the data changed") && line.contains("part test"), "{line}");
}

#[test]
fn another_seed_is_found_at_the_first_epoch() {
    let line = difference(softmax(), |_, job| job.seed = Seed(4));
    assert!(line.contains("train epoch 1: loss is"), "{line}");
    let line = difference(held_out(), |_, job| job.seed = Seed(4));
    assert!(line.contains("layers epoch 1: loss is"), "{line}");
}

#[test]
fn a_changed_line_a_changed_weight_and_a_lost_line_are_found() {
    let edit = |path: &Path, from: &str, to: &str| {
        let file = path.join("metrics.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        assert!(lines[1].contains(from));
        lines[1] = lines[1].replacen(from, to, 1);
        std::fs::write(file, lines.join("\n") + "\n").unwrap();
    };
    let line = difference(softmax(), |path, _| edit(path, "\"recall@10\":0.", "\"recall@10\":0.00"));
    assert!(line.contains("train epoch 2: recall@10 is"), "{line}");
    let line = difference(softmax(), |path, _| {
        let mut contents = checkpoint::load(&path.join("best")).unwrap();
        let Some(Tensor::F32 { values, .. }) = contents.state.tensors.values_mut().next() else { panic!() };
        values[5] += 1.0;
        checkpoint::save(&path.join("best"), &contents).unwrap();
    });
    assert!(line.contains("the final weights") && line.contains("at row 0, column 5"), "{line}");
    let line = difference(softmax(), |path, _| RunFolder::open(path).unwrap().cut_metrics(2).unwrap());
    assert!(line.contains("the run recorded 2 epochs"), "{line}");
}
