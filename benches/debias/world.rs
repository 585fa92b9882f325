//! The demo world knows what its users like. Whoever learned from a biased log should rank that as
//! well as one who learned from an unbiased log.

use std::sync::Arc;
use std::time::Instant;

use gcnrec::{Query, Scorer, Seed, Split, World};
use gcnrec_graphs::{ItemId, UserId};

use super::table::{Asked, cell, mean, stem, train};

/// Places of a list that are judged.
const K: usize = 20;

/// A run file whose name begins with this learns from as many rows of a log that nobody steered.
const UNBIASED: &str = "unbiased";

pub fn table(asked: &Asked) {
    println!(
        "demo world, {} seeds, ranked by true preference among items that neither log has: mean (deviation) [paired gain over plain, better on, t] {}",
        asked.n_seeds,
        asked.set.join(" ")
    );
    let mut base: Option<[Vec<f64>; 2]> = None;
    for file in asked.files("world", "plain") {
        let (mut found, mut valid, mut epochs) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        let started = Instant::now();
        for seed in 0..asked.n_seeds {
            let run = asked.resolve(&file, seed);
            let demo = &run.config().data.demo;
            let biased = World::generate(demo, 0.0, Seed(seed)).unwrap();
            let unbiased = demo.clone().with(|own| own.exposure_bias = 0.0);
            let unbiased = World::generate(&unbiased, 0.0, Seed(seed)).unwrap();
            let learned_from = if stem(&file).starts_with(UNBIASED) { &unbiased } else { &biased };
            let split = Arc::new(to_train_on(&biased, learned_from));
            let outcome = train(run.with_split(split).unwrap());
            let judged = judge(&*outcome.scorer, &biased, &unbiased);
            found.iter_mut().zip(judged).for_each(|(found, value)| found.push(value));
            valid.push(outcome.valid.unwrap().get("auc").unwrap());
            epochs.push(outcome.best_epoch as f64);
        }
        let seconds = started.elapsed().as_secs_f64() / asked.n_seeds as f64;
        let of_base = |at: usize| base.as_ref().map(|base| base[at].as_slice());
        println!(
            "{:<16}{}{}  valid auc {:.4}, epoch {:.0}, {seconds:.1} s a run",
            stem(&file),
            cell("ndcg@20", &found[0], of_base(0), false),
            cell("liked of 20", &found[1], of_base(1), false),
            mean(&valid),
            mean(&epochs)
        );
        base.get_or_insert(found);
    }
}

/// The first part of a log in time. Half of the uniform rows teach, half pick the epoch: the same
/// rows for everybody.
fn to_train_on(world: &World, learned_from: &World) -> Split {
    let uniform = &world.split.uniform;
    let half = |odd: u32| uniform.select(&(0..uniform.len() as u32).filter(|row| row % 2 == odd).collect::<Vec<_>>());
    let train = learned_from.split.train.clone();
    let test = Default::default();
    Split { train, test, uniform: half(0), valid: half(1), labelled: true, ..world.split.clone() }
}

/// NDCG@20 whose gains are true preferences, and how many of the 20 a user likes on average. Items
/// of either training log are left out.
fn judge(scorer: &dyn Scorer, biased: &World, unbiased: &World) -> [f64; 2] {
    let logs = [&biased.split.train, &unbiased.split.train];
    let mut known: Vec<Vec<ItemId>> = vec![Vec::new(); biased.split.n_users()];
    logs.iter().flat_map(|log| log.pairs()).for_each(|(user, item)| known[user.index()].push(item));
    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let (mut ndcg, mut liked) = (Vec::new(), Vec::new());
    for (user, known) in known.iter().enumerate() {
        let user = UserId(user as u32);
        let scores = scorer.scores(&[Query { user: Some(user), history: &[] }]).unwrap();
        let items = (0..scores.len() as u32).map(ItemId).filter(|item| !known.contains(item));
        let mut rows: Vec<(f32, f64)> =
            items.map(|item| (scores[[0, item.index()]], biased.true_preference(user, item))).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let gains: Vec<f64> = rows.iter().take(K).map(|row| row.1).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        let sum = |gains: &[f64]| gains.iter().enumerate().map(|(place, gain)| gain * discount(place)).sum::<f64>();
        let best: Vec<f64> = rows.iter().take(K).map(|row| row.1).collect();
        ndcg.push(sum(&gains) / sum(&best));
        liked.push(gains.iter().sum());
    }
    [mean(&ndcg), mean(&liked)]
}
