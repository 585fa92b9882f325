//! Tests of the evaluator against a slow plain one, and of its promises about users, threads and
//! NaN.

use gcnrec_graphs::{Interactions, ItemId, UserId};
use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::eval::protocol::Config;
use crate::models::state::State;

/// Scores by user id from a matrix `[n_users, n_items]`.
struct Fixed {
    n_items: usize,
    scores: Vec<f32>,
}

impl Scorer for Fixed {
    fn model(&self) -> &'static str {
        "fixed"
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let score =
            |(query, item): (usize, usize)| self.scores[queries[query].user.unwrap().index() * self.n_items + item];
        Ok(Array2::from_shape_fn((queries.len(), self.n_items), score))
    }

    fn state(&self) -> State {
        State::default()
    }
}

fn interactions(n_users: usize, n_items: usize, pairs: &[(u32, u32)]) -> Interactions {
    Interactions::from_pairs(n_users, n_items, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i)))).unwrap()
}

fn evaluator(relevant: &Interactions, seen: &Interactions, names: &[&str]) -> Evaluator {
    let held_out = HeldOut::new(relevant, seen, &vec![Vec::new(); relevant.n_users()]).unwrap();
    let metrics: Vec<MetricAt> = names.iter().map(|name| name.parse().unwrap()).collect();
    Evaluator::new(held_out, &metrics).unwrap()
}

/// The plain definition: sort everything, then apply the definitions of `docs/metrics.md` word by
/// word. Values in the order recall, precision, ndcg, hit, mrr, map.
fn plain_user(scores: &[f32], relevant: &[u32], seen: &[u32], k: usize) -> [f64; 6] {
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(|item| !seen.contains(item)).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
    let hit = |rank: usize| rank <= order.len() && relevant.contains(&order[rank - 1]);
    let hits_to = |rank: usize| (1..=rank).filter(|&r| hit(r)).count() as f64;
    let ideal: f64 = (1..=k.min(relevant.len())).map(|r| 1.0 / (r as f64 + 1.0).log2()).sum();
    let dcg: f64 = (1..=k).filter(|&r| hit(r)).map(|r| 1.0 / (r as f64 + 1.0).log2()).sum();
    let precisions: f64 = (1..=k).filter(|&r| hit(r)).map(|r| hits_to(r) / r as f64).sum();
    [
        hits_to(k) / relevant.len() as f64,
        hits_to(k) / k as f64,
        dcg / ideal,
        hits_to(k).min(1.0),
        (1..=k).find(|&r| hit(r)).map_or(0.0, |r| 1.0 / r as f64),
        precisions / k.min(relevant.len()) as f64,
    ]
}

/// Scores with many ties, held-out pairs and seen pairs (they may overlap).
type World = (usize, usize, Vec<f32>, Vec<(u32, u32)>, Vec<(u32, u32)>);

fn worlds() -> impl Strategy<Value = World> {
    (1usize..12, 1usize..30).prop_flat_map(|(n_users, n_items)| {
        let pair = (0..n_users as u32, 0..n_items as u32);
        (
            Just(n_users),
            Just(n_items),
            proptest::collection::vec((-2i8..3).prop_map(f32::from), n_users * n_items),
            proptest::collection::vec(pair.clone(), 1..40),
            proptest::collection::vec(pair, 0..60),
        )
    })
}

proptest! {
    #[test]
    fn every_metric_of_hits_equals_the_plain_definition_with_ties_to_the_lower_id(
        (n_users, n_items, scores, relevant, seen) in worlds(), k in 1usize..35,
    ) {
        let (relevant, seen) = (interactions(n_users, n_items, &relevant), interactions(n_users, n_items, &seen));
        let held_out = HeldOut::new(&relevant, &seen, &vec![Vec::new(); n_users]).unwrap();
        let config = Config { k: vec![k, 1], ..Config::default() };
        let evaluator = Evaluator::new(held_out, &config.metrics_at().unwrap()).unwrap();
        let found = evaluator.evaluate_per_user(&Fixed { n_items, scores: scores.clone() }).unwrap();
        for cut in [1, k] {
            for (at, name) in ["recall", "precision", "ndcg", "hit", "mrr", "map"].iter().enumerate() {
                let column = found.column(format!("{name}@{cut}").parse().unwrap()).unwrap();
                for (user, value) in found.users.iter().zip(column) {
                    let row = &scores[user.index() * n_items..(user.index() + 1) * n_items];
                    let expected = plain_user(row, relevant.items_of(*user), seen.items_of(*user), cut)[at];
                    // Same f64 terms, summed in the same order up to association: a few units in
                    // the last place.
                    prop_assert!((value - expected).abs() <= 1e-12, "{name}@{cut} of {user:?}: {value} {expected}");
                }
            }
        }
    }
}

#[test]
fn the_mean_runs_over_users_with_held_out_items_only() {
    // User 0: item 2 is first of the unseen (item 0 is masked): hit@1 = 1. User 1 has nothing held
    // out. User 2: item 0 comes first, 1 is held out: 0.
    let scores = vec![3.0, 1.0, 2.0, 9.0, 9.0, 9.0, 2.0, 1.0, 0.0];
    let evaluator = evaluator(
        &interactions(3, 3, &[(0, 2), (2, 1)]),
        &interactions(3, 3, &[(0, 0), (1, 1)]),
        &["hit@1", "recall@2", "hit@1"],
    );
    let metrics = evaluator.evaluate(&Fixed { n_items: 3, scores }).unwrap();
    assert_eq!(evaluator.n_eval_users(), 2);
    assert_eq!(metrics.iter().collect::<Vec<_>>(), [("hit@1", 0.5), ("recall@2", 1.0)]);
}

#[test]
fn a_list_longer_than_the_catalogue_is_fine() {
    let evaluator = evaluator(&interactions(1, 2, &[(0, 1)]), &interactions(1, 2, &[]), &["mrr@50", "precision@50"]);
    let metrics = evaluator.evaluate(&Fixed { n_items: 2, scores: vec![1.0, 0.0] }).unwrap();
    assert_eq!(metrics.get("mrr@50"), Some(0.5));
    assert_eq!(metrics.get("precision@50"), Some(0.02));
}

#[test]
fn the_same_bits_come_out_for_any_number_of_threads_and_as_the_mean_of_the_users() {
    // More than two blocks of users; scores from a fixed congruence so that ranks look random.
    let (n_users, n_items) = (2 * BLOCK + 89, 41);
    let scores = (0..n_users * n_items).map(|at| ((at * 7919) % 1009) as f32).collect();
    let scorer = Fixed { n_items, scores };
    let relevant: Vec<(u32, u32)> = (0..n_users as u32).flat_map(|u| [(u, u % 41), (u, (u * u + 3) % 41)]).collect();
    let evaluator = evaluator(
        &interactions(n_users, n_items, &relevant),
        &interactions(n_users, n_items, &[]),
        &["ndcg@10", "map@20", "recall@3"],
    );
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluator.evaluate(&scorer).unwrap())
    };
    let one = with(1);
    assert!(one.get("ndcg@10").unwrap() > 0.0);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
    let per_user = evaluator.evaluate_per_user(&scorer).unwrap();
    assert_eq!(per_user.users.len(), n_users);
    for &at in evaluator.metrics() {
        let mean = per_user.column(at).unwrap().iter().sum::<f64>() / n_users as f64;
        assert_eq!(one.get(&at.to_string()), Some(mean));
    }
}

#[test]
fn a_score_that_is_nan_or_overflowed_is_an_error() {
    let evaluator = evaluator(&interactions(1, 3, &[(0, 1)]), &interactions(1, 3, &[]), &["ndcg@2"]);
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(evaluator.evaluate(&Fixed { n_items: 3, scores: vec![1.0, bad, 0.0] }).is_err());
    }
    assert!(evaluator.evaluate(&Fixed { n_items: 3, scores: vec![1.0, 0.0, f32::NEG_INFINITY] }).is_ok());
}

#[test]
fn a_scorer_over_another_catalogue_is_refused() {
    let evaluator = evaluator(&interactions(1, 3, &[(0, 1)]), &interactions(1, 3, &[]), &["ndcg@2"]);
    let error = evaluator.evaluate(&Fixed { n_items: 2, scores: vec![0.0; 2] }).unwrap_err();
    assert_eq!(error.to_string(), "evaluate: scorer (items) has 2 elements, expected 3");
}

#[test]
fn an_evaluation_without_users_or_metrics_is_refused() {
    let none = HeldOut::new(&interactions(2, 2, &[]), &interactions(2, 2, &[]), &[vec![], vec![]]).unwrap();
    let error = Evaluator::new(none.clone(), &["ndcg@2".parse().unwrap()]).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert_eq!(Evaluator::new(none, &[]).unwrap_err().exit_code(), 4);
}

#[test]
fn lists_of_all_users_together_give_coverage_gini_and_entropy_and_popularity_reads_the_counts() {
    // Lists of two: user 0 has 0, 1 (2 is masked); user 1 has 3, 0. Shown at 2: item 0 twice, 1 and
    // 3 once, 2 and 4 never.
    let scores = vec![3.0, 2.0, 9.0, 1.0, 0.0, 2.0, 1.0, 0.0, 3.0, -1.0];
    let names =
        ["itemcoverage@2", "giniindex@2", "shannonentropy@2", "averagepopularity@2", "tailpercentage@1", "recall@2"];
    let evaluator = evaluator(&interactions(2, 5, &[(0, 1), (1, 4)]), &interactions(2, 5, &[(0, 2)]), &names);
    let scorer = Fixed { n_items: 5, scores };
    assert!(evaluator.evaluate(&scorer).is_err(), "no counts");
    let evaluator = evaluator.with_counts(ItemCounts::new(vec![4, 2, 9, 0, 1], 0.2));
    let metrics = evaluator.evaluate(&scorer).unwrap();
    // Gini of 0, 0, 1, 1, 2: ((6-6) 1 + (8-6) 1 + (10-6) 2) / (5 * 4) = 1/2. Entropy: 2 * 1/4 ln 4
    // + 1/2 ln 2 = 1.5 ln 2. Popularity: (4+2)/2 and (0+4)/2. The tail is item 3, first of user 1's
    // list alone.
    let expected = [0.6, 0.5, 1.5 * 2f64.ln(), 2.5, 0.5, 0.5];
    for ((name, value), expected) in metrics.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{name}: {value} {expected}");
    }
    // Only plain means over users have a value for each of them.
    let per_user = evaluator.evaluate_per_user(&scorer).unwrap();
    assert_eq!(per_user.metrics.iter().map(ToString::to_string).collect::<Vec<_>>(), &names[3..]);
    assert_eq!(per_user.values, [3.0, 0.0, 1.0, 2.0, 1.0, 0.0]);
}

#[test]
fn grouped_auc_ranks_everything_that_is_not_masked() {
    // User 0: held out 1 (score 2) against 0 (3) and 3 (2), item 2 masked: lost, tied: 1/4; weight
    // 3. User 1: held out 0, 3 (5, 1) against 1 (1) and 2 (0): 1, 1, 1/2, 1 of 4 = 7/8; weight 4.
    let scores = vec![3.0, 2.0, 9.0, 2.0, 5.0, 1.0, 0.0, 1.0];
    let scorer = Fixed { n_items: 4, scores };
    let evaluator = evaluator(
        &interactions(2, 4, &[(0, 1), (1, 0), (1, 3)]),
        &interactions(2, 4, &[(0, 2)]),
        &["gauc", "gauc(recbole)"],
    );
    let metrics = evaluator.evaluate(&scorer).unwrap();
    assert!((metrics.get("gauc").unwrap() - (3.0 * 0.25 + 4.0 * 0.875) / 7.0).abs() < 1e-15);
    assert!((metrics.get("gauc(recbole)").unwrap() - (0.25 + 2.0 * 0.875) / 3.0).abs() < 1e-15);
    assert!(evaluator.evaluate_per_user(&scorer).unwrap().values.is_empty());
}

#[test]
fn constant_scores_have_a_grouped_auc_of_one_half() {
    let evaluator = evaluator(&interactions(2, 5, &[(0, 4), (1, 0), (1, 1)]), &interactions(2, 5, &[]), &["gauc"]);
    assert_eq!(evaluator.evaluate(&Fixed { n_items: 5, scores: vec![7.0; 10] }).unwrap().get("gauc"), Some(0.5));
    let all_held_out = self::evaluator(&interactions(1, 1, &[(0, 0)]), &interactions(1, 1, &[]), &["gauc"]);
    assert_eq!(all_held_out.evaluate(&Fixed { n_items: 1, scores: vec![1.0] }).unwrap_err().exit_code(), 3);
}

#[test]
fn among_sampled_candidates_only_they_are_ranked() {
    // Item 0 is best but not a candidate; of 3 (held out), 1 and 4 the order is 4, 3, 1.
    let held_out = HeldOut::new(&interactions(1, 6, &[(0, 3)]), &interactions(1, 6, &[]), &[vec![]]).unwrap();
    let held_out = held_out.with_candidates(vec![vec![4, 1, 4]]).unwrap();
    let evaluator = Evaluator::new(held_out, &["mrr@10", "gauc"].map(|name| name.parse().unwrap())).unwrap();
    let metrics = evaluator.evaluate(&Fixed { n_items: 6, scores: vec![9.0, 1.0, 8.0, 2.0, 3.0, 7.0] }).unwrap();
    assert_eq!(metrics.iter().collect::<Vec<_>>(), [("mrr@10", 0.5), ("gauc", 0.5)]);
}
