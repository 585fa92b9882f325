//! Sequential models on devices: the losses, gradients and parameters of the CPU, the same bits
//! every time, and no step that waits for the host.

use std::sync::Arc;

use gcnrec::internals::models::sequential::Setup;
use gcnrec::internals::models::sequential::gru4rec;
use gcnrec::internals::models::sequential::gru4rec::Optimizer;
use gcnrec::internals::models::{Config, Learner, TrainingSize};
use gcnrec::internals::train::Job;
use gcnrec::{State, Tensor};
use gcnrec_graphs::{ItemId, Seed};
use gcnrec_kernels::Device;

use super::{on_each, world};
use crate::jobs::{digest, fingerprint, job, loss, run};

const N_ITEMS: u32 = 23;

/// Histories of 2 to 13 items, in which some items come again.
fn histories() -> Vec<Vec<ItemId>> {
    let history =
        |user: u32| (0..2 + user * 5 % 12).map(|at| ItemId((user * 3 + at * (1 + user % 4)) % N_ITEMS)).collect();
    (0..24).map(history).collect()
}

/// A small model with some settings of its own.
fn small(name: &str, settings: &str) -> Config {
    let sizes = match name {
        "gru4rec" | "narm" => "dim = 9\nhidden = 11",
        _ => "dim = 12\ninner = 20",
    };
    Config::parse(name, &format!("{sizes}\nmax_len = 7\n{settings}")).unwrap()
}

fn small_sasrec(settings: &str) -> Config {
    small("sasrec", &format!("n_negatives = 9\n{settings}"))
}

fn small_gru4rec(settings: &str) -> Config {
    small("gru4rec", &format!("n_negatives = 9\n{settings}"))
}

/// Every model, every loss, and what goes through other ops.
fn cases() -> Vec<(String, Config)> {
    let of_loss = |loss| (format!("sasrec, {loss}"), small_sasrec(&format!("loss = \"{loss}\"")));
    let losses = ["cross_entropy", "sampled_softmax", "bpr_max", "gbce", "bce", "bpr"];
    let mut cases: Vec<_> = losses.into_iter().map(of_loss).collect();
    let gru = |name: &str, settings: &str| (format!("gru4rec, {name}"), small_gru4rec(settings));
    let lanes = "batches = \"sessions_in_parallel\"\nloss = \"bpr_max\"\noptimizer = \"adagrad\"\nlayers = 2\n\
                 hidden_dropout = 0.2";
    cases.extend([
        ("sasrec, its authors' blocks".into(), small_sasrec("pre_norm = true")),
        ("bert4rec".into(), small("bert4rec", "")),
        ("bert4rec, drawn items".into(), small("bert4rec", "loss = \"sampled_softmax\"")),
        ("fmlp".into(), small("fmlp", "")),
        gru("whole sequences", "layers = 2\nitem_dropout = 0.2"),
        gru("prefixes", "batches = \"prefixes\""),
        gru("with a teacher", "teacher_weight = 0.5"),
        gru("side by side", lanes),
        ("narm".into(), small("narm", "")),
        ("narm, normalised".into(), small("narm", "normalised = true")),
    ]);
    cases
}

fn learner(device: &Device, model: &Config) -> Box<dyn Learner> {
    let setup = Setup {
        histories: Arc::new(histories()),
        n_items: N_ITEMS as usize,
        batch_size: Some(8),
        learning_rate: Some(1e-2),
        seed: Seed(3),
        device: device.clone(),
    };
    model.sequential().unwrap().learner(setup).unwrap()
}

/// The mean loss of some epochs' first two steps, and the state after them.
fn trained(device: &Device, model: &Config, epochs: u64) -> (f64, State) {
    let mut learner = learner(device, model);
    let (mut sum, mut n) = (0.0, 0);
    for epoch in 0..epochs {
        let report = learner.steps(epoch, 0..2).unwrap();
        sum += report.loss + learner.late_loss().unwrap();
        n += report.n_examples;
    }
    (sum / n as f64, learner.state())
}

/// Adam divides by the size of a gradient: where there is none but for rounding, rounding decides
/// the step. Such numbers are left out.
const NO_GRADIENT: f64 = 3e-4;

fn values<'a>(state: &'a State, name: &str) -> &'a [f32] {
    match &state.tensors[name] {
        Tensor::F32 { values, .. } => values,
        Tensor::U32 { .. } => panic!("{name} should be floats"),
    }
}

#[test]
fn a_training_on_a_device_has_the_losses_and_parameters_of_the_cpu_and_the_same_bits_every_time() {
    on_each(|device| {
        for (name, model) in cases() {
            let settings = model.settings::<gru4rec::Config>();
            let adagrad = settings.is_some_and(|config| config.optimizer == Optimizer::Adagrad);
            let ((cpu_loss, on_cpu), (loss, state)) = (trained(&Device::Cpu, &model, 3), trained(device, &model, 3));
            assert!((loss - cpu_loss).abs() <= 1e-3 * cpu_loss.abs(), "{name}: {loss} {cpu_loss}");
            let parameters =
                on_cpu.tensors.keys().filter(|name| on_cpu.tensors.contains_key(&format!("adam.v.{name}")));
            let (mut n, mut moved) = (0, 0);
            for parameter in parameters {
                let [found, expected] = [&state, &on_cpu].map(|state| values(state, parameter));
                let squares = values(&on_cpu, &format!("adam.v.{parameter}"));
                for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                    n += 1;
                    // Adam's mean of squares after so few steps is at most 6 times a thousandth of
                    // the largest.
                    let gradient = (f64::from(squares[at]) / if adagrad { 1.0 } else { 6e-3 }).sqrt();
                    if gradient > NO_GRADIENT {
                        moved += 1;
                        assert!((found - expected).abs() <= 1e-3, "{name}: {parameter}[{at}]: {found} {expected}");
                    }
                }
            }
            println!("{name}: {moved} of {n} parameters compared; loss {loss} and {cpu_loss}");
            assert!(moved * 4 > n, "{name}: {moved} of {n} parameters moved");
            assert_eq!(digest(&trained(device, &model, 3).1), digest(&state), "{name}: a second run gave other bits");
        }
    });
}

#[test]
fn a_learner_on_a_device_goes_on_from_its_state_and_its_frozen_model_answers() {
    on_each(|device| {
        for (name, model) in cases() {
            let mut straight = learner(device, &model);
            straight.steps(0, 0..3).unwrap();
            let mut first = learner(device, &model);
            first.steps(0, 0..2).unwrap();
            let mut second = learner(device, &model);
            second.restore(&first.state()).unwrap();
            second.steps(0, 2..3).unwrap();
            assert_eq!(digest(&second.state()), digest(&straight.state()), "{name}");
            let frozen = second.freeze().unwrap();
            let mut third = learner(device, &model);
            third.start_from(&frozen.state()).unwrap();
            assert_eq!(digest(&third.freeze().unwrap().state()), digest(&frozen.state()), "{name}");
        }
    });
}

#[test]
fn a_step_never_waits_for_the_host() {
    on_each(|device| {
        for (name, model) in cases() {
            let mut learner = learner(device, &model);
            learner.steps(0, 0..1).unwrap();
            learner.late_loss().unwrap();
            let before = device.counts().unwrap().host_reads;
            let report = learner.steps(0, 1..3).unwrap();
            assert_eq!(device.counts().unwrap().host_reads, before, "{name}");
            assert_eq!(report.loss, 0.0, "{name}: a loss is not known before somebody waits for it");
            let late = learner.late_loss().unwrap();
            assert!(late > 0.0 && late.is_finite(), "{name}: {late}");
            assert_eq!(device.counts().unwrap().host_reads, before + 1, "{name}");
        }
    });
}

#[test]
fn a_whole_training_on_a_device_gives_the_metrics_of_the_cpu_and_the_same_bits_every_time() {
    on_each(|device| {
        for model in [small_sasrec(""), small_gru4rec("")] {
            let mut job = job(world(), model, loss("softmax"));
            job.train.max_epochs = 2;
            let on_device = Job { device: device.clone(), ..job.clone() };
            on_device.check().unwrap();
            let (expected, found) = (run(&job), run(&on_device));
            for (metric, value) in expected.test.as_ref().unwrap().iter() {
                let there = found.test.as_ref().unwrap().get(metric).unwrap();
                let (name, place) = (job.model.name(), device.name());
                assert!((there - value).abs() <= 2e-3, "{name}: {metric} is {there} on {place}, {value} on the cpu");
            }
            assert!(fingerprint(&run(&on_device)) == fingerprint(&found), "a second run gave other bits");
        }
    });
}

#[test]
fn what_does_not_run_on_a_device_is_refused_by_name() {
    on_each(|device| {
        let (name, kind) = (device.name(), device.name().split(':').next().unwrap().to_string());
        let job = Job { device: device.clone(), ..job(world(), Config::named("fpmc").unwrap(), loss("bpr")) };
        let error = job.check().unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert_eq!(error.to_string(), format!("device {name}: the model fpmc is not on {kind} yet: use --device cpu"));
        let loss = loss("softmax");
        let (n_items, batch_size) = (2_000_000_000, None);
        let size = TrainingSize { n_users: 1, n_items, n_pairs: 1, batch_size, n_meta: 0, loss: &loss };
        for model in ["sasrec", "bert4rec", "fmlp", "gru4rec", "narm"] {
            let error = Config::named(model).unwrap().memory(&size).unwrap().check(device).unwrap_err();
            assert_eq!(error.exit_code(), 5);
            let text = error.to_string();
            // 2,000,000,000 rows of 64 numbers of 4 bytes.
            let needed = format!("expected 512.00 GB in one array for the model {model} and 2000000000 items");
            assert!(text.contains(&needed) && text.ends_with("or use --device cpu"), "{text}");
        }
    });
}
