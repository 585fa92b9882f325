//! Tests that every sequential model passes: it learns a rule of second order, goes on after a stop
//! with the same bits, and answers a batch as its queries one by one, for any number of threads.

mod steps;

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, Purpose, Seed, UserId};
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{Autodiff, Flex};
use rand::RngExt;

use super::*;
use crate::models::state::{State, Tensor as Stored};
use crate::models::{Config, Learner, Nodes, Query, Scorer, TrainingSize, load_scorer};
use crate::objectives;
use crate::samplers::SequenceBatch;

/// The tape of the processor.
pub(super) type OnCpu = Autodiff<Flex>;
pub(super) const N_ITEMS: u32 = 30;

/// A user's history: `a b a+1 b+1 a+2 ..`, counted round. What comes next follows the item before
/// the last one.
pub(super) fn history(a: u32, b: u32, len: u32) -> Vec<ItemId> {
    (0..len).map(|at| ItemId(((if at % 2 == 0 { a } else { b }) + at / 2) % N_ITEMS)).collect()
}

/// Users with random starts that are not 0 apart modulo 5, so that such pairs are new in the test.
pub(super) fn users(n: u32) -> Arc<Vec<Vec<ItemId>>> {
    let mut random = Seed(3).stream(Purpose::Analysis, 0, 0);
    let mut start = || loop {
        let (a, b) = (random.random_range(0..N_ITEMS), random.random_range(0..N_ITEMS));
        if !(N_ITEMS + a - b).is_multiple_of(5) {
            return history(a, b, 11);
        }
    };
    Arc::new((0..n).map(|_| start()).collect())
}

pub(super) fn learner_of<M: Encoder>(model: &M, n_users: u32) -> SequenceLearner<M, OnCpu> {
    let setup = Setup {
        histories: users(n_users),
        n_items: N_ITEMS as usize,
        batch_size: Some(32),
        learning_rate: Some(3e-3),
        seed: Seed(2020),
        device: Device::Cpu,
    };
    SequenceLearner::new(model.clone(), setup).unwrap()
}

pub(super) fn train(learner: &mut dyn Learner, epochs: std::ops::Range<u64>) {
    let n = learner.steps_per_epoch();
    epochs.for_each(|epoch| {
        learner.steps(epoch, 0..n).unwrap();
    });
}

pub(super) fn digest(state: &State) -> Vec<u32> {
    let numbers = |tensor: &Stored| match tensor {
        Stored::F32 { values, .. } => values.iter().map(|value| value.to_bits()).collect(),
        Stored::U32 { values, .. } => values.clone(),
    };
    state.tensors.values().flat_map(numbers).collect::<Vec<u32>>()
}

/// How many users and items the model has.
fn nodes_of(scorer: &dyn Scorer) -> Nodes {
    Nodes { n_users: scorer.state().fact("n_users").unwrap(), n_items: scorer.n_items() }
}

fn scores(scorer: &dyn Scorer, queries: &[Query<'_>]) -> Vec<u32> {
    scorer.scores(queries).unwrap().into_iter().map(f32::to_bits).collect()
}

/// Of pairs of starts that no training history has, in histories of every length from `shortest`
/// on: the first item is right.
fn check_rule<M: Encoder>(model: &M, shortest: u32, epochs: u64) {
    let (right, asked) = right_of_rule(&mut learner_of(model, 128), shortest, epochs);
    assert!(right * 100 >= asked * 95, "{}, {:?}: {right} of {asked}", M::ROW.name, model.task().objective);
}

/// How often a learner is right about the rule once it is trained, and how often it was asked.
pub(super) fn right_of_rule(learner: &mut dyn Learner, shortest: u32, epochs: u64) -> (usize, usize) {
    train(learner, 0..epochs);
    let scorer = learner.freeze().unwrap();
    let (mut right, mut asked) = (0, 0);
    for a in 0..N_ITEMS {
        for apart in [5, 10, 25] {
            let known = history(a, (a + apart) % N_ITEMS, shortest + (a + apart) % 6);
            let next = history(a, (a + apart) % N_ITEMS, known.len() as u32 + 1)[known.len()];
            let top = scorer.top_k(&[Query { user: None, history: &known }], &[&[]], 1).unwrap();
            right += usize::from(top.items[0] == next.0);
            asked += 1;
        }
    }
    (right, asked)
}

fn check_conduct<M: Encoder>(model: &M) {
    conduct_is_right(&|| Box::new(learner_of(model, 70)), M::ROW.name, model.task().max_len);
}

pub(super) fn conduct_is_right(learner: &(dyn Fn() -> Box<dyn Learner> + Sync), name: &str, max_len: usize) {
    let whole = |learner: &mut dyn Learner| {
        train(learner, 0..2);
        (digest(&learner.state()), digest(&learner.freeze().unwrap().state()))
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| whole(&mut *learner()))
    };
    let expected = on(1);
    assert!(on(2) == expected && on(4) == expected, "{name}: threads");

    let (mut first, mut second) = (learner(), learner());
    train(&mut *first, 0..1);
    first.steps(1, 0..1).unwrap();
    second.restore(&first.state()).unwrap();
    let n = second.steps_per_epoch();
    second.steps(1, 1..n).unwrap();
    assert!(digest(&second.state()) == expected.0, "{name}: a stop changed the weights");

    let scorer = second.freeze().unwrap();
    let loaded = load_scorer(&Device::Cpu, name, &scorer.state(), nodes_of(&*scorer)).unwrap();
    let histories: Vec<Vec<ItemId>> = (1..90).map(|n| history(n, 3 * n + 1, n)).collect();
    let queries: Vec<Query<'_>> =
        histories.iter().map(|history| Query { user: Some(UserId(u32::MAX)), history }).collect();
    let together = scores(&*scorer, &queries);
    assert_eq!(together, scores(&*loaded, &queries));
    for (row, query) in together.chunks(N_ITEMS as usize).zip(&queries) {
        assert!(row == scores(&*scorer, &[*query]), "{name}: {} items", query.history.len());
    }
    // Only the last items are read.
    let (long, short) = (history(1, 7, 80), history(1, 7, 80)[80 - max_len - 2..].to_vec());
    assert_eq!(
        scores(&*scorer, &[Query { user: None, history: &long }]),
        scores(&*scorer, &[Query { user: None, history: &short }])
    );
    let error = scorer.scores(&[Query { user: Some(UserId(0)), history: &[] }]).unwrap_err().to_string();
    assert!(error.contains("a user of the training data was asked for without their history"), "{error}");
    assert!(scorer.scores(&[Query { user: None, history: &[] }]).is_err());
    assert!(scorer.scores(&[Query { user: None, history: &[ItemId(N_ITEMS)] }]).is_err());
}

fn small_sasrec() -> sasrec::Config {
    sasrec::Config {
        dim: 32,
        inner: 64,
        heads: 1,
        dropout: 0.1,
        attention_dropout: 0.1,
        max_len: 10,
        ..sasrec::Config::default()
    }
}

#[test]
fn sasrec_learns_a_rule_of_second_order() {
    check_rule(&small_sasrec(), 2, 60);
}

#[test]
fn sasrec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_sasrec());
    check_conduct(&sasrec::Config { pre_norm: true, ..small_sasrec() });
}

#[test]
fn sasrec_as_its_authors_wrote_it_learns_a_rule_of_second_order() {
    check_rule(&sasrec::Config { pre_norm: true, activation: Activation::Relu, ..small_sasrec() }, 2, 60);
}

#[test]
fn sasrec_learns_the_rule_from_negatives_that_a_batch_shares() {
    check_rule(&sasrec::Config { loss: Loss::SampledSoftmax, n_negatives: 20, ..small_sasrec() }, 2, 80);
}

/// Against items outside of the history alone, what comes next is not told from what comes later:
/// only the loss can be asked.
#[test]
fn logistic_and_pairwise_losses_fall() {
    for loss in [Loss::Gbce, Loss::Bce, Loss::Bpr] {
        let mut learner = learner_of(&sasrec::Config { loss, ..small_sasrec() }, 128);
        let n = learner.steps_per_epoch();
        let mean = |report: crate::models::StepReport| report.loss / report.n_examples as f64;
        let first = mean(learner.steps(0, 0..n).unwrap());
        train(&mut learner, 1..30);
        let last = mean(learner.steps(30, 0..n).unwrap());
        assert!(last < 0.5 * first, "{loss:?}: {first} {last}");
    }
}

fn small_bert4rec() -> bert4rec::Config {
    let rates = bert4rec::Config { dropout: 0.1, attention_dropout: 0.1, ..bert4rec::Config::default() };
    bert4rec::Config { dim: 32, inner: 64, heads: 1, max_len: 7, ..rates }
}

#[test]
fn bert4rec_learns_a_rule_of_second_order() {
    check_rule(&small_bert4rec(), 4, 200);
}

#[test]
fn bert4rec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_bert4rec());
}

fn small_fmlp() -> fmlp::Config {
    fmlp::Config { dim: 32, inner: 64, dropout: 0.1, max_len: 10, ..fmlp::Config::default() }
}

#[test]
fn fmlp_learns_a_rule_of_second_order() {
    check_rule(&small_fmlp(), 2, 30);
}

#[test]
fn fmlp_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_fmlp());
}

/// Burn keeps the tapes of all threads in one place: one thread must not clear what another still
/// needs.
#[test]
fn trainings_beside_one_another_give_the_bits_of_each_alone() {
    fn epoch<M: Encoder>(model: &M) -> Vec<u32> {
        let mut learner = learner_of(model, 128);
        train(&mut learner, 0..1);
        digest(&learner.state())
    }
    let trainings: [fn() -> Vec<u32>; 8] = [
        || epoch(&small_gru4rec()),
        || epoch(&small_narm(true)),
        || epoch(&small_fmlp()),
        || epoch(&small_sasrec()),
        || epoch(&sasrec::Config { loss: Loss::SampledSoftmax, n_negatives: 20, ..small_sasrec() }),
        || epoch(&sasrec::Config { loss: Loss::Bpr, ..small_sasrec() }),
        || epoch(&small_bert4rec()),
        || epoch(&bert4rec::Config { loss: Loss::Gbce, n_negatives: 20, ..small_bert4rec() }),
    ];
    let alone = trainings.map(|training| training());
    std::thread::scope(|scope| {
        for (number, (training, alone)) in trainings.iter().zip(&alone).enumerate() {
            scope.spawn(move || (0..3).for_each(|_| assert!(training() == *alone, "training {number}")));
        }
    });
}

#[test]
fn the_bytes_of_a_training_on_a_gpu_are_counted_array_by_array() {
    let loss = objectives::Config::named("softmax").unwrap();
    let size = TrainingSize { n_users: 1, n_items: 10, n_pairs: 0, batch_size: Some(5), n_meta: 0, loss: &loss };
    let room = |model: Config| model.memory(&size).unwrap().room.map(|room| [room.largest, room.total]);
    let model = sasrec::Config { dim: 4, inner: 8, layers: 1, heads: 2, max_len: 3, ..sasrec::Config::default() };
    // 10 items and 3 positions of 4 numbers, and their normalisation: 40 + 12 + 8. Attention 4 (12
    // + 4) + 12 + 4, feed-forward layers 2 * 4 * 8 + 8 + 4, two normalisations of 8: 232 numbers
    // with their moments and gradients. 15 positions have at most queries, keys and values in one
    // array: 12 numbers. In all 6 * 4, and in the block 10 * 4 + 3 * 8 and 2 * 2 * 3 weights: 100
    // numbers, and their gradients.
    let expected = [4 * 15 * 12, 4 * (4 * 232 + 2 * 15 * 100)];
    assert_eq!(room(model.into()), Some(expected));
    // A layer of 1 unit has 3 (1 + 1) weights beside 10 items of 1 number and a dense layer of 2. A
    // step of sessions side by side has a position of each.
    let lanes = gru4rec::Config { dim: 1, hidden: 1, batches: gru4rec::Batches::SessionsInParallel, ..small_gru4rec() };
    assert_eq!(room(lanes.into()), Some([4 * 5 * 4, 4 * (4 * 18 + 2 * 5 * 22)]));
    assert_eq!(room(Config::named("fpmc").unwrap()), None);
}

#[test]
fn a_training_part_without_any_order_is_refused() {
    let setup = Setup {
        histories: Arc::new(vec![vec![ItemId(0)], vec![], vec![ItemId(1)]]),
        n_items: 2,
        batch_size: None,
        learning_rate: None,
        seed: Seed(1),
        device: Device::Cpu,
    };
    let refused = sasrec::Config::default().learner(setup).err().unwrap();
    assert_eq!(refused.exit_code(), 3);
    assert!(refused.to_string().contains("no history of two items"), "{refused}");
}

#[test]
fn a_pair_without_weight_teaches_nothing() {
    let model = sasrec::Config { dropout: 0.0, attention_dropout: 0.0, ..small_sasrec() };
    let of_one = SequenceBatch {
        starts: vec![0, 3],
        items: vec![1, 2, 3],
        users: vec![0],
        rows: vec![0, 1, 2],
        targets: vec![2, 3, 4],
    };
    let of_both = SequenceBatch {
        starts: vec![0, 3, 5],
        items: vec![1, 2, 3, 2, 8],
        users: vec![0, 1],
        rows: vec![0, 1, 2, 4],
        targets: vec![2, 3, 4, 9],
    };
    let gradients = |batch: &SequenceBatch, weights: Option<[f32; 4]>| {
        let mut learner = learner_of(&model, 8);
        if let Some(weights) = weights {
            let pairs = [(0, 2), (0, 3), (0, 4), (1, 9)].map(|(user, item)| (UserId(user), ItemId(item)));
            let pairs = Arc::new(Interactions::from_pairs(8, N_ITEMS as usize, pairs).unwrap());
            learner.weigh_pairs(crate::models::PairWeights { pairs, weights: weights.to_vec() }).unwrap();
        }
        let (loss, n) = learner.learn(batch, 0, 0).unwrap();
        let state = learner.state();
        let moments = state.tensors.iter().filter(|(name, _)| name.starts_with("adam.m."));
        let sums = moments.flat_map(|(_, tensor)| match tensor {
            Stored::F32 { values, .. } => values.iter().map(|value| value * n as f32).collect::<Vec<f32>>(),
            Stored::U32 { .. } => unreachable!("moments are floats"),
        });
        (loss, sums.collect::<Vec<f32>>())
    };
    let assert_same = |(loss, sums): (f64, Vec<f32>), (other, others): (f64, Vec<f32>)| {
        // Sums of a few hundred products below 1 in f32.
        assert!((loss - other).abs() < 1e-5, "{loss} {other}");
        assert!(sums.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-6 + 1e-4 * b.abs()));
        assert!(sums.iter().any(|sum| sum.abs() > 1e-3));
    };
    let alone = gradients(&of_one, None);
    assert_same(gradients(&of_both, Some([1.0, 1.0, 1.0, 0.0])), alone.clone());
    let twice = (2.0 * alone.0, alone.1.iter().map(|sum| 2.0 * sum).collect());
    assert_same(gradients(&of_one, Some([2.0, 2.0, 2.0, 0.0])), twice);
}

#[test]
fn a_model_starts_from_the_item_vectors_of_another() {
    let (items, vectors) = (vec![ItemId(7), ItemId(2)], (0..64).map(|at| at as f32 - 31.5).collect());
    let start = crate::models::StartItems { dim: 32, items, vectors };
    fn rows(learner: &SequenceLearner<impl Encoder, OnCpu>) -> Vec<f32> {
        learner.state().f32(ITEMS, &[N_ITEMS as usize, 32]).unwrap().to_vec()
    }
    let mut learner = learner_of(&small_bert4rec(), 8);
    let before = rows(&learner);
    learner.start_with_items(&start).unwrap();
    let after = rows(&learner);
    // The mean square of (n - 31.5) over n below 64 is (64^2 - 1) / 12 = 341.25; the model starts
    // at .02.
    let factor = 0.02 / 341.25f32.sqrt();
    for (at, (before, after)) in before.chunks(32).zip(after.chunks(32)).enumerate() {
        match at {
            7 => assert!((0..32).all(|c| (after[c] - factor * (c as f32 - 31.5)).abs() < 1e-7)),
            2 => assert!((0..32).all(|c| (after[c] - factor * (c as f32 + 0.5)).abs() < 1e-7)),
            _ => assert_eq!(before, after),
        }
    }
    let narrow = sasrec::Config { dim: 16, ..small_sasrec() };
    assert_eq!(learner_of(&narrow, 8).start_with_items(&start).unwrap_err().exit_code(), 4);
}

#[test]
fn settings_out_of_range_are_refused_by_their_key() {
    let message = |config: sasrec::Config| config.check().unwrap_err().to_string();
    let default = sasrec::Config::default;
    assert!(default().check().is_ok());
    assert_eq!(
        message(sasrec::Config { heads: 3, ..default() }),
        "model.sasrec.heads: found 3, expected a divisor of dim, 64"
    );
    assert!(message(sasrec::Config { dropout: 1.0, ..default() }).starts_with("model.sasrec.dropout: found 1"));
    assert!(message(sasrec::Config { max_len: 0, ..default() }).starts_with("model.sasrec.max_len: found 0"));
    let bert4rec = bert4rec::Config { mask_ratio: 0.0, ..bert4rec::Config::default() }.check();
    assert!(bert4rec.unwrap_err().to_string().starts_with("model.bert4rec.mask_ratio: found 0"));
    assert!(message(sasrec::Config { init_std: 0.0, ..default() }).starts_with("model.sasrec.init_std: found 0"));
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let mut learner = learner_of(&small_sasrec(), 8);
    let state = learner.freeze().unwrap().state();
    for damage in ["popularity", ITEMS, "layers.1.output.bias"] {
        let mut damaged = state.clone();
        damaged.tensors.remove(damage);
        assert_eq!(
            load_scorer(&Device::Cpu, "sasrec", &damaged, Nodes { n_users: 8, n_items: N_ITEMS as usize })
                .err()
                .map(|error| error.exit_code()),
            Some(6),
            "{damage}"
        );
    }
    let mut damaged = state.clone();
    damaged.facts.insert("settings".into(), "{\"dim\": 0}".into());
    assert_eq!(
        load_scorer(&Device::Cpu, "sasrec", &damaged, Nodes { n_users: 8, n_items: N_ITEMS as usize })
            .err()
            .map(|error| error.exit_code()),
        Some(6)
    );
}

pub(super) fn small_gru4rec() -> gru4rec::Config {
    gru4rec::Config { dim: 32, hidden: 48, dropout: 0.1, max_len: 10, ..gru4rec::Config::default() }
}

fn small_narm(normalised: bool) -> narm::Config {
    let rates = narm::Config { dropout: 0.1, context_dropout: 0.1, ..narm::Config::default() };
    narm::Config { dim: 32, hidden: 48, max_len: 10, normalised, ..rates }
}

#[test]
fn gru4rec_learns_a_rule_of_second_order() {
    check_rule(&small_gru4rec(), 2, 60);
}

#[test]
fn gru4rec_learns_the_rule_from_negatives_that_a_batch_shares() {
    let drawn = gru4rec::Config { n_negatives: 20, sample_alpha: 0.5, ..small_gru4rec() };
    check_rule(&gru4rec::Config { loss: Loss::SampledSoftmax, ..drawn.clone() }, 2, 80);
    check_rule(&gru4rec::Config { loss: Loss::BprMax, bpreg: 0.1, ..drawn }, 2, 120);
}

#[test]
fn gru4rec_learns_the_rule_beside_a_teacher_that_reads_the_future() {
    check_rule(&gru4rec::Config { teacher_weight: 0.3, teacher_temperature: 2.0, ..small_gru4rec() }, 2, 80);
}

#[test]
fn gru4rec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&gru4rec::Config { layers: 2, item_dropout: 0.1, ..small_gru4rec() });
    check_conduct(&gru4rec::Config { teacher_weight: 0.3, batches: gru4rec::Batches::RandomCuts, ..small_gru4rec() });
    check_conduct(&gru4rec::Config { loss: Loss::BprMax, sample_alpha: 0.7, ..small_gru4rec() });
}

#[test]
fn narm_learns_a_rule_of_second_order() {
    check_rule(&small_narm(false), 2, 250);
}

#[test]
fn narm_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_narm(true));
}

#[test]
fn recurrent_settings_out_of_range_are_refused_by_their_key() {
    let message = |config: gru4rec::Config| config.check().unwrap_err().to_string();
    let default = gru4rec::Config::default;
    assert!(default().check().is_ok() && narm::Config::default().check().is_ok());
    assert!(message(gru4rec::Config { hidden: 0, ..default() }).starts_with("model.gru4rec.hidden: found 0"));
    assert!(message(gru4rec::Config { item_dropout: 1.0, ..default() }).starts_with("model.gru4rec.item_dropout"));
    let narm = narm::Config { layers: 9, ..narm::Config::default() };
    assert!(narm.check().unwrap_err().to_string().starts_with("model.narm.layers: found 9"));
}
