//! FPMC learns what it should, with the gradients that its formula has.

use std::sync::Arc;

use gcnrec_graphs::{ItemId, Purpose, Seed, UserId};
use gcnrec_kernels::Device;
use rand::RngExt;

use super::learner::Batch;
use super::table::Table;
use super::*;
use crate::models::sequential::Setup;
use crate::models::{Learner, Query, Scorer};

fn setup(histories: Vec<Vec<u32>>, n_items: usize, batch_size: usize) -> Setup {
    let histories = histories.into_iter().map(|h| h.into_iter().map(ItemId).collect()).collect();
    let learning_rate = Some(0.01);
    Setup {
        histories: Arc::new(histories),
        n_items,
        batch_size: Some(batch_size),
        learning_rate,
        seed: Seed(7),
        device: Device::Cpu,
    }
}

fn learner(loss: Loss) -> FpmcLearner {
    let histories = vec![vec![0, 1, 2, 0], vec![3, 4], vec![], vec![2, 2, 1]];
    FpmcLearner::new(Config { dim: 3, loss }, setup(histories, 5, 4)).unwrap()
}

/// The mean loss of a batch in f64, from the formulas.
fn plain(tables: &[Vec<f64>; 3], batch: &Batch, loss: Loss, n_items: u32) -> f64 {
    let score = |user: u32, last: u32, item: u32| -> f64 {
        let (user, last, item) = (user as usize * 3, last as usize * 3, item as usize * 6);
        let of_user = (0..3).map(|c| tables[0][user + c] * tables[2][item + c]);
        let of_last = (0..3).map(|c| tables[1][last + c] * tables[2][item + 3 + c]);
        of_user.chain(of_last).sum()
    };
    let example = |e: usize| {
        let score = |item| score(batch.users[e], batch.last[e], item);
        let weight = f64::from(batch.weights[e]);
        weight
            * match loss {
                Loss::Bpr => (1.0 + (score(batch.negatives[e]) - score(batch.next[e])).exp()).ln(),
                Loss::Softmax => (0..n_items).map(|j| score(j).exp()).sum::<f64>().ln() - score(batch.next[e]),
            }
    };
    (0..batch.users.len()).map(example).sum::<f64>() / batch.users.len() as f64
}

#[test]
fn gradients_match_differences_of_the_formula() {
    for loss in [Loss::Bpr, Loss::Softmax] {
        let mut learner = learner(loss);
        let mut batch = learner.draw(0, 0);
        assert!(batch.weights.iter().all(|&weight| weight == 1.0));
        (0..).zip(&mut batch.weights).for_each(|(e, weight)| *weight = 0.5 + 0.5 * e as f32);
        let wide = |table: &Table| -> Vec<f64> {
            Device::Cpu.read(table.trained.value()).iter().map(|&value| f64::from(value)).collect()
        };
        let tables = learner.tables.each_ref().map(wide);
        let sum = learner.differentiate(&batch).unwrap();
        // Sums of six products below 2 in f32.
        let n = batch.users.len() as f64;
        assert!((sum / n - plain(&tables, &batch, loss, 5)).abs() < 1e-5);
        for (which, table) in learner.tables.iter().enumerate() {
            for (at, &found) in table.gradient.iter().enumerate() {
                let moved = |step: f64| {
                    let mut moved = tables.clone();
                    moved[which][at] += step;
                    plain(&moved, &batch, loss, 5)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(found) - expected).abs() < 1e-5, "{loss:?} {which} {at}: {found} {expected}");
            }
        }
    }
}

/// Item `i` is followed by `7 i + 3` (counted round 41), whoever the user is.
#[test]
fn a_rule_of_first_order_is_learned() {
    let next = |item: u32| (7 * item + 3) % 41;
    let mut random = Seed(1).stream(Purpose::Analysis, 0, 0);
    let walk = |start: u32| std::iter::successors(Some(start), |&item| Some(next(item))).take(8).collect();
    let histories: Vec<Vec<u32>> = (0..120).map(|_| walk(random.random_range(0..41))).collect();
    for loss in [Loss::Bpr, Loss::Softmax] {
        let config = Config { dim: 16, loss };
        let mut learner = FpmcLearner::new(config, setup(histories.clone(), 41, 64)).unwrap();
        let n_steps = learner.steps_per_epoch();
        for epoch in 0..60 {
            learner.steps(epoch, 0..n_steps).unwrap();
        }
        let scorer = learner.freeze().unwrap();
        let right = |&item: &u32| {
            let history = [ItemId(item)];
            scorer.top_k(&[Query { user: None, history: &history }], &[&[item]], 1).unwrap().items[0] == next(item)
        };
        let right = (0..41).filter(right).count();
        assert!(right >= 39, "{loss:?}: {right} of 41 is less than 95 %");
    }
}

#[test]
fn a_stop_changes_nothing_and_a_reloaded_model_is_the_same() {
    let (mut straight, mut first, mut second) = (learner(Loss::Bpr), learner(Loss::Bpr), learner(Loss::Bpr));
    assert_eq!(straight.steps_per_epoch(), 2, "3 + 1 + 2 examples in batches of 4");
    for epoch in 0..3 {
        straight.steps(epoch, 0..2).unwrap();
    }
    first.steps(0, 0..2).unwrap();
    first.steps(1, 0..1).unwrap();
    second.restore(&first.state()).unwrap();
    second.steps(1, 1..2).unwrap();
    second.steps(2, 0..2).unwrap();
    assert_eq!(second.state(), straight.state());
    let scorer = second.freeze().unwrap();
    let nodes = Nodes { n_users: 4, n_items: scorer.n_items() };
    assert_eq!(Fpmc::load(&scorer.state(), nodes).unwrap().state(), scorer.state());
    let mut damaged = scorer.state();
    damaged.put_u32("last", &[4], vec![0, 1, 9, NOBODY]);
    assert_eq!(Fpmc::load(&damaged, nodes).err().map(|error| error.exit_code()), Some(6));
}

#[test]
fn the_user_and_the_last_item_each_say_their_part() {
    let mut learner = learner(Loss::Bpr);
    learner.steps(0, 0..2).unwrap();
    let scorer = learner.freeze().unwrap();
    let scores = |user: Option<u32>, history: &[u32]| {
        let history: Vec<ItemId> = history.iter().map(|&item| ItemId(item)).collect();
        scorer.scores(&[Query { user: user.map(UserId), history: &history }])
    };
    // User 0 ended with item 0.
    assert_eq!(scores(Some(0), &[]).unwrap(), scores(Some(0), &[3, 0]).unwrap());
    assert_ne!(scores(Some(0), &[3]).unwrap(), scores(None, &[3]).unwrap());
    // User 2 met nothing: only the history speaks, and without one all items are alike.
    assert_eq!(scores(Some(2), &[3]).unwrap(), scores(None, &[3]).unwrap());
    assert!(scores(Some(2), &[]).unwrap().iter().all(|&score| score == 0.0));
    assert!(scores(None, &[]).is_err() && scores(Some(9), &[]).is_err() && scores(None, &[5]).is_err());
}
