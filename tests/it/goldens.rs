//! Our metrics against RecBole 1.2.1 and ranx on small seeded cases: ties, users without held-out
//! items, cut-offs beyond the list.
//!
//! `tests/data/goldens/make.py` made the numbers; it says how.

use gcnrec::ndarray::Array2;
use std::collections::BTreeMap;

use gcnrec::internals::eval::{ItemCounts, LabeledProtocol, evaluate_labeled};
use gcnrec::{Evaluator, HeldOut, LabeledRows, MetricAt, Metrics, Query, Scorer, State};
use gcnrec_graphs::{Interactions, ItemId, UserId};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    ranking: Vec<Ranking>,
    labeled: Vec<Labeled>,
}

#[derive(Deserialize)]
struct Ranking {
    n_users: usize,
    n_items: usize,
    scores: Vec<Vec<f32>>,
    relevant: Vec<(u32, u32)>,
    seen: Vec<(u32, u32)>,
    tail_ratio: f64,
    recbole: BTreeMap<String, f64>,
    ranx: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Labeled {
    scores: Vec<f32>,
    labels: Vec<f32>,
    recbole: BTreeMap<String, f64>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../data/goldens/metrics.json")).unwrap()
}

struct Matrix {
    n_items: usize,
    scores: Vec<Vec<f32>>,
}

impl Scorer for Matrix {
    fn model(&self) -> &'static str {
        "matrix"
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> gcnrec::Result<Array2<f32>> {
        let score = |(query, item): (usize, usize)| self.scores[queries[query].user.unwrap().index()][item];
        Ok(Array2::from_shape_fn((queries.len(), self.n_items), score))
    }

    fn state(&self) -> State {
        State::default()
    }
}

/// Scores are small multiples of 1/4, so both sides compute on the same numbers; sums of at most a
/// few hundred f64 terms differ by far less than 1e-9.
fn assert_agree(ours: &Metrics, theirs: &BTreeMap<String, f64>, tool: &str) {
    assert!(theirs.len() >= 5);
    for (name, expected) in theirs {
        let found = ours.get(name).unwrap();
        assert!((found - expected).abs() <= 1e-9, "{name}: {found}, {tool} has {expected}");
    }
}

#[test]
fn metrics_of_ranked_lists_agree_with_recbole_and_ranx() {
    for case in goldens().ranking {
        let pairs = |pairs: &[(u32, u32)]| {
            Interactions::from_pairs(case.n_users, case.n_items, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i))))
                .unwrap()
        };
        let (relevant, seen) = (pairs(&case.relevant), pairs(&case.seen));
        assert!(
            (0..case.n_users as u32).any(|user| relevant.items_of(UserId(user)).is_empty()),
            "somebody has nothing"
        );
        let held_out = HeldOut::new(&relevant, &seen, &vec![Vec::new(); case.n_users]).unwrap();
        let names = case.recbole.keys().chain(case.ranx.keys());
        let metrics: Vec<MetricAt> = names.map(|name| name.parse().unwrap()).collect();
        let counts = ItemCounts::new(seen.item_counts(), case.tail_ratio);
        let evaluator = Evaluator::new(held_out, &metrics).unwrap().with_counts(counts);
        let found = evaluator.evaluate(&Matrix { n_items: case.n_items, scores: case.scores.clone() }).unwrap();
        assert_agree(&found, &case.recbole, "RecBole");
        assert_agree(&found, &case.ranx, "ranx");
    }
}

#[test]
fn metrics_of_labelled_rows_agree_with_recbole() {
    for case in goldens().labeled {
        // One user, one item a row.
        let n = case.scores.len();
        let items: Vec<u32> = (0..n as u32).collect();
        let rows = LabeledRows::new(&vec![0; n], &items, &case.labels, vec![Vec::new()], n).unwrap();
        let names: Vec<&String> = case.recbole.keys().collect();
        let protocol = LabeledProtocol::parse(&names).unwrap();
        let scorer = Matrix { n_items: n, scores: vec![case.scores] };
        assert_agree(&evaluate_labeled(&scorer, &rows, &protocol).unwrap(), &case.recbole, "RecBole");
    }
}
