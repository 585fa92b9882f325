//! The three parts of every loss against each other, on one small batch with repeats.

use gcnrec_graphs::{Interactions, ItemId, Purpose, Seed, UserId};
use gcnrec_kernels::{Buffer, Device};
use rand::RngExt;

use super::*;
use crate::samplers::{Batch, PairOrder};

const DIM: usize = 7;
const NODES: Nodes = Nodes { n_users: 4, n_items: 6 };

fn pairs() -> Interactions {
    let pairs = [(0, 0), (0, 1), (0, 4), (1, 1), (2, 2), (2, 3), (3, 0)].map(|(u, i)| (UserId(u), ItemId(i)));
    Interactions::from_pairs(NODES.n_users, NODES.n_items, pairs).unwrap()
}

/// Every loss with a batch that suits it; item 5 has no pair, and users, positives and negatives
/// repeat.
fn losses() -> Vec<(&'static str, Task, Batch)> {
    let pairs_of = |negatives: Vec<u32>| Batch {
        users: vec![0, 2, 0, 3],
        positives: vec![1, 2, 4, 1],
        negatives,
        ..Batch::default()
    };
    let users =
        Batch { users: vec![0, 2], positives: vec![0, 1, 4, 2, 3], list_ptr: vec![0, 3, 5], ..Batch::default() };
    let built = |name, settings| {
        let (config, order) = (Config::parse(name, settings).unwrap(), PairOrder::PairUniform);
        build(&*config, &pairs(), DIM, Batching { size: None, order }, Seed(1))
    };
    let two = vec![5, 2, 0, 1, 5, 3, 2, 2];
    let named = |name| built(name, "");
    vec![
        ("bpr", named("bpr"), pairs_of(vec![5, 0, 2, 5])),
        ("bpr with two negatives", built("bpr", "n_negatives = 2"), pairs_of(two.clone())),
        ("ssm", named("ssm"), pairs_of(Vec::new())),
        ("softmax", named("softmax"), users.clone()),
        ("bsl over all", named("bsl"), users),
        ("bsl within the batch", built("bsl", "candidates = \"batch\""), pairs_of(Vec::new())),
        ("mse", built("mse", "n_negatives = 2"), pairs_of(two.clone())),
        ("logistic", built("logistic", "n_negatives = 2"), pairs_of(two)),
    ]
}

fn values(index: u64, n: usize) -> Vec<f32> {
    let mut random = Seed(5).stream(Purpose::Analysis, 0, index);
    (0..n).map(|_| random.random_range(-1.0..1.0f32)).collect()
}

fn forward(objective: &mut dyn Objective, rows: &[f32]) -> Vec<f32> {
    let mut loss = Buffer::default();
    objective.forward(&Device::Cpu, &Device::Cpu.upload(rows), &mut loss).unwrap();
    Device::Cpu.read(&loss)
}

/// Rows, a motion of them, and the tangent of every example.
fn tangent(objective: &mut dyn Objective) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let n = objective.rows().len() * DIM;
    let (rows, dot, mut loss_dot) = (values(1, n), values(2, n), Buffer::default());
    forward(objective, &rows);
    let (uploaded, moved) = (Device::Cpu.upload(&rows), Device::Cpu.upload(&dot));
    objective.tangent(&Device::Cpu, &uploaded, &moved, &mut loss_dot).unwrap();
    (rows, dot, Device::Cpu.read(&loss_dot))
}

/// Five-point differences of an f32 forward pass with step h = 1/32: losses around 5 are rounded by
/// 5e-7, divided by h that is 2e-5; the formula's own error, h^4 / 30 times the fifth derivative,
/// stays near 1e-4 for the sharpest loss (tau .15).
#[test]
fn the_tangent_is_how_the_losses_move() {
    for (name, mut task, batch) in losses() {
        let objective = &mut *task.objective;
        objective.prepare(&Device::Cpu, &batch).unwrap();
        let (rows, dot, found) = tangent(objective);
        let h = 1.0 / 32.0f32;
        let mut at = |step: f32| -> Vec<f64> {
            let moved: Vec<f32> = rows.iter().zip(&dot).map(|(x, d)| x + step * d).collect();
            forward(objective, &moved).into_iter().map(f64::from).collect()
        };
        let (p1, m1, p2, m2) = (at(h), at(-h), at(2.0 * h), at(-2.0 * h));
        assert_eq!(found.len(), p1.len(), "{name}");
        for b in 0..found.len() {
            let expected = (8.0 * (p1[b] - m1[b]) - (p2[b] - m2[b])) / (12.0 * f64::from(h));
            let error = (f64::from(found[b]) - expected).abs();
            assert!(error < 1e-3 * (1.0 + expected.abs()), "{name}, example {b}: {} {expected}", found[b]);
        }
    }
}

/// `sum_b w_b loss_dot_b = <gradient(w), rows_dot>`: no differences, so only the rounding of some
/// hundred products remains.
#[test]
fn the_tangent_is_the_transpose_of_the_gradient() {
    for (name, mut task, batch) in losses() {
        let objective = &mut *task.objective;
        objective.prepare(&Device::Cpu, &batch).unwrap();
        let (rows, dot, loss_dot) = tangent(objective);
        let weights: Vec<f32> = values(3, loss_dot.len());
        forward(objective, &rows);
        let (mut gradient, uploaded) = (Buffer::default(), Device::Cpu.upload(&rows));
        objective.backward(&Device::Cpu, &uploaded, &Device::Cpu.upload(&weights), &mut gradient).unwrap();
        let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let (forward, backward) = (inner(&weights, &loss_dot), inner(&Device::Cpu.read(&gradient), &dot));
        assert!((forward - backward).abs() < 1e-5 * (1.0 + forward.abs()), "{name}: {forward} {backward}");
    }
}

/// A row counts once per occurrence, so a batch that names a pair twice counts its rows twice.
#[test]
fn rows_are_counted_once_per_occurrence() {
    for (name, mut task, batch) in losses() {
        let objective = &mut *task.objective;
        objective.prepare(&Device::Cpu, &batch).unwrap();
        let per_example = if name.starts_with("bpr") { 3 } else { 2 };
        let counts = Device::Cpu.read(objective.occurrences());
        assert_eq!(counts.len(), objective.rows().len(), "{name}");
        assert_eq!(counts.iter().sum::<f32>() as usize, per_example * objective.n_examples(), "{name}");
        assert!(objective.rows().is_sorted_by(|a, b| a < b), "{name}");
    }
}

#[test]
fn every_loss_has_its_name_and_a_default_within_its_ranges() {
    for name in Config::names() {
        let config = Config::named(name).unwrap();
        assert_eq!(config.name(), name);
        config.validate().unwrap();
    }
    assert_eq!(Config::default().name(), "softmax");
    let error = Config::named("bprr").unwrap_err().to_string();
    assert_eq!(error, "unknown loss \"bprr\"; did you mean \"bpr\"?");
}

#[test]
fn values_outside_their_ranges_are_refused_by_name() {
    let refused = |name, settings| Config::parse(name, settings).unwrap().validate().unwrap_err().to_string();
    assert_eq!(
        refused("bpr", "n_negatives = 0"),
        "objective.bpr.n_negatives: found 0, expected a whole number from 1 to 1000"
    );
    assert_eq!(refused("mse", "l2 = -1"), "objective.mse.l2: found -1, expected a number from 0 to 1000000");
    assert!(Config::parse("ssm", "tau = 0.01").unwrap().validate().is_ok(), "an end of the range is in it");
}

#[test]
fn losses_of_labels_and_losses_of_rankings_are_told_apart() {
    let named = |name| Config::named(name).unwrap();
    let of_labels: Vec<&str> = Config::names().into_iter().filter(|name| named(name).is_of_labels()).collect();
    assert_eq!(of_labels, ["mse", "logistic"]);
    let of_users: Vec<&str> = Config::names().into_iter().filter(|name| named(name).batches_users()).collect();
    assert_eq!(of_users, ["softmax", "bsl"]);
    assert!(!Config::parse("bsl", "candidates = \"batch\"").unwrap().batches_users());
}

#[test]
fn each_loss_draws_the_batches_it_needs_and_decays_what_it_was_published_with() {
    let drawn = |name, settings, order| {
        let config = Config::parse(name, settings).unwrap();
        let mut task = build(&*config, &pairs(), DIM, Batching { size: Some(3), order }, Seed(1));
        let mut batch = Batch::default();
        task.sampler.batch(&pairs(), 0, 0, &mut batch);
        (batch, task.n_candidates, task.regulariser)
    };
    let (batch, n_candidates, decay) = drawn("bpr", "n_negatives = 2\nn_candidates = 4", PairOrder::PairUniform);
    assert_eq!((batch.users.len(), batch.negatives.len(), n_candidates), (3, 24, 4));
    assert_eq!(decay, Regulariser { l2: 1e-4, all_layers: false });
    let (batch, _, decay) = drawn("ssm", "", PairOrder::PairUniform);
    assert_eq!((batch.users.len(), batch.negatives.len(), batch.list_ptr.len()), (3, 0, 0));
    assert_eq!(decay, Regulariser { l2: 1e-5, all_layers: true });
    for all_items in ["softmax", "bsl"] {
        let (batch, _, decay) = drawn(all_items, "", PairOrder::PairUniform);
        assert_eq!((batch.users.len(), batch.list_ptr.len()), (3, 4), "three users with all their positives");
        assert_eq!(decay, Regulariser { l2: 1e-5, all_layers: false });
    }
    let blocks = PairOrder::Blocks { users: 4, items: 6 };
    let (batch, _, _) = drawn("logistic", "n_negatives = 5", blocks);
    assert_eq!((batch.users.len(), batch.negatives.len()), (7, 0), "a block knows all of its pairs");
}

#[test]
fn the_temperature_of_many_items_is_lower_unless_it_was_chosen() {
    let tau = |settings, n_items, is_set| {
        let config = Config::parse("softmax", settings).unwrap();
        config.settled(n_items, &|_| is_set).map(|settled| settled.settings::<Softmax>().unwrap().tau)
    };
    assert_eq!((tau("", 10_000, false), tau("", 10_001, false), tau("", 10_001, true)), (None, Some(0.1), None));
    assert!(Config::named("bpr").unwrap().settled(10_001, &|_| false).is_none());
    assert!(default_of_many(200_000).is_none());
    assert_eq!(default_of_many(200_001).unwrap().name(), "ssm");
}
