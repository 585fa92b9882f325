//! Models of first order learn a rule of first order, from the data to the report of a run.

use gcnrec::Split;
use gcnrec::internals::models;

use crate::jobs::{job, loss, run, split};

const N_ITEMS: u32 = 41;

/// After item `i` comes item `i + 17`, counted round. Everybody walks seven steps from somewhere,
/// and the eighth is to be told.
fn walks() -> Split {
    let step = |start: u32, n: u32| (start + 17 * n) % N_ITEMS;
    let train: Vec<_> = (0..123).flat_map(|user| (0..7).map(move |n| (user, step(5 * user, n)))).collect();
    let test: Vec<_> = (0..123).map(|user| (user, step(5 * user, 7))).collect();
    split(123, N_ITEMS as usize, [&train, &[], &test])
}

fn hits(model: models::Config) -> f64 {
    let mut job = job(walks(), model, loss("bpr"));
    (job.train.max_epochs, job.train.batch_size) = (80, Some(64));
    (job.eval.k, job.eval.metrics) = (vec![1], vec!["hit".into()]);
    run(&job).test.unwrap().get("hit@1").unwrap()
}

#[test]
fn markov_and_fpmc_learn_a_rule_of_first_order_and_popularity_does_not() {
    let named = |name| models::Config::named(name).unwrap();
    for name in ["markov", "fpmc"] {
        let found = hits(named(name));
        assert!(found >= 0.95, "{name}: {found}");
    }
    // Every item is met 21 times: one list for everybody says nothing about who is where.
    let found = hits(named("popularity"));
    assert!(found < 0.2, "popularity: {found}");
}
