//! Tests of labelled rows against numbers by hand, and of what is refused.

use super::*;
use crate::models::state::State;
use approx::assert_relative_eq;
use ndarray::Array2;

/// Scores by user id from a matrix `[n_users, 4]`.
struct Fixed(Vec<[f32; 4]>);

impl Scorer for Fixed {
    fn model(&self) -> &'static str {
        "fixed"
    }

    fn n_items(&self) -> usize {
        4
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let score = |(query, item): (usize, usize)| self.0[queries[query].user.unwrap().index()][item];
        Ok(Array2::from_shape_fn((queries.len(), 4), score))
    }

    fn state(&self) -> State {
        State::default()
    }
}

/// User 0: items 3 (+), 0 (-), 2 (+) with scores .5, 2, 1. User 2: items 1 (-), 0 (-). User 1: item
/// 1 (+), item 2 (-), both 1.
fn rows() -> LabeledRows {
    let users = [0, 2, 1, 0, 1, 0, 2];
    let items = [3, 1, 2, 0, 1, 2, 0];
    let labels = [1.0, -1.0, -1.0, -1.0, 1.0, 1.0, -1.0];
    LabeledRows::new(&users, &items, &labels, vec![Vec::new(); 3], 4).unwrap()
}

fn scorer() -> Fixed {
    Fixed(vec![[2.0, 9.0, 1.0, 0.5], [0.0, 1.0, 1.0, 9.0], [0.25, -1.0, 9.0, 9.0]])
}

fn evaluate(names: &[&str]) -> Metrics {
    evaluate_labeled(&scorer(), &rows(), &LabeledProtocol::parse(names).unwrap()).unwrap()
}

#[test]
fn every_row_gets_the_score_of_its_user_and_item() {
    assert_eq!(rows().scores(&scorer()).unwrap(), [0.5, -1.0, 1.0, 2.0, 1.0, 1.0, 0.25]);
}

#[test]
fn value_metrics_run_over_all_rows_alike() {
    let metrics = evaluate(&["auc", "mae", "nll", "nll(autodebias)"]);
    // Positives .5, 1, 1; negatives -1, 1, 2, .25. .5 beats -1 and .25; each 1 beats -1 and .25 and
    // ties with 1: (2 + 2.5 + 2.5) / 12.
    assert_relative_eq!(metrics.get("auc").unwrap(), 7.0 / 12.0, epsilon = 1e-15);
    // |.5-1| + |-1+1| + |1+1| + |2+1| + |1-1| + |1-1| + |.25+1| = 6.75.
    assert_relative_eq!(metrics.get("mae").unwrap(), 6.75 / 7.0, epsilon = 1e-15);
    assert_eq!(metrics.get("nll").unwrap(), -metrics.get("nll(autodebias)").unwrap());
}

#[test]
fn ranking_metrics_order_each_users_rows_and_leave_out_users_without_positives() {
    let metrics = evaluate(&["ndcg@5", "recall@1"]);
    // User 0: the order is 0 (-), 2 (+), 3 (+): (1/log2 3 + 1/2) / (1 + 1/log2 3). User 1: tied,
    // item 1 (+) has the lower id: 1. User 2 does not count.
    let third = 1.0 / 3f64.log2();
    assert_relative_eq!(metrics.get("ndcg@5").unwrap(), ((third + 0.5) / (1.0 + third) + 1.0) / 2.0, epsilon = 1e-15);
    assert_eq!(metrics.get("recall@1"), Some(0.5));
}

#[test]
fn a_threshold_makes_labels_of_ratings() {
    let ratings = LabeledRows::new(&[0, 0, 0], &[0, 1, 2], &[3.0, 4.0, 5.0], vec![Vec::new()], 4).unwrap();
    assert!(evaluate_labeled(&scorer(), &ratings, &LabeledProtocol::parse(&["auc"]).unwrap()).is_err());
    assert_eq!(ratings.with_threshold(4.0).labels(), [0.0, 1.0, 1.0]);
}

#[test]
fn value_and_ranking_metrics_are_never_mixed() {
    let error = LabeledProtocol::parse(&["auc", "ndcg@5"]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "eval.metrics: found auc and ndcg@5 together, expected value metrics only, or ranking metrics only; auc is a mean over labelled rows and \
         ndcg@5 one over users, so no protocol holds for both; ask for them one after the other"
    );
    assert_eq!(error.exit_code(), 4);
    assert_eq!(LabeledProtocol::parse::<&str>(&[]).err().map(|error| error.exit_code()), Some(4));
    assert_eq!(LabeledProtocol::parse(&["gauc"]).err().map(|error| error.exit_code()), Some(4));
    assert_eq!(LabeledProtocol::parse(&["acu"]).err().map(|error| error.exit_code()), Some(4));
}

#[test]
fn rows_that_do_not_fit_together_are_refused() {
    let histories = || vec![Vec::new(); 2];
    assert!(LabeledRows::new(&[0, 1], &[0], &[1.0, 0.0], histories(), 4).is_err());
    assert!(LabeledRows::new(&[2], &[0], &[1.0], histories(), 4).is_err());
    assert!(LabeledRows::new(&[0], &[4], &[1.0], histories(), 4).is_err());
    assert!(LabeledRows::new(&[0], &[0], &[f32::NAN], histories(), 4).is_err());
    assert_eq!(LabeledRows::new(&[], &[], &[], histories(), 4).unwrap_err().exit_code(), 3);
}

#[test]
fn scores_that_are_no_numbers_and_scorers_of_another_catalogue_are_refused() {
    let protocol = LabeledProtocol::parse(&["rmse"]).unwrap();
    let broken = Fixed(vec![[f32::NAN; 4]; 3]);
    assert_eq!(evaluate_labeled(&broken, &rows(), &protocol).unwrap_err().exit_code(), 1);
    let other = LabeledRows::new(&[0], &[4], &[1.0], vec![Vec::new()], 5).unwrap();
    assert!(evaluate_labeled(&scorer(), &other, &protocol).is_err());
    let negative = LabeledRows::new(&[0], &[1], &[0.0], vec![Vec::new()], 4).unwrap();
    assert!(evaluate_labeled(&scorer(), &negative, &LabeledProtocol::parse(&["ndcg@5"]).unwrap()).is_err());
}

#[test]
fn rows_of_one_class_leave_auc_undefined_and_the_rest_as_it_is() {
    let of_labels = |label: f32| LabeledRows::new(&[0, 1], &[3, 1], &[label, label], vec![Vec::new(); 2], 4).unwrap();
    let protocol = |names: &[&str]| LabeledProtocol::parse(names).unwrap();
    let (liked, disliked) = (of_labels(1.0), of_labels(-1.0));
    let values = protocol(&["auc", "mae"]);
    assert_eq!(values.undefined(liked.labels()), [("auc".to_string(), "2 rows, all positive".to_string())]);
    assert!(values.undefined(rows().labels()).is_empty());
    // Scores .5 and 1 against 1: half of .5.
    let metrics = evaluate_labeled(&scorer(), &liked, &values).unwrap();
    assert_eq!(metrics.iter().collect::<Vec<_>>(), [("mae", 0.25)]);
    let error = evaluate_labeled(&scorer(), &liked, &protocol(&["auc"])).unwrap_err().to_string();
    assert!(error.starts_with("labels: found 2 rows, all positive, expected"), "{error}");

    let ranking = protocol(&["ndcg@5"]);
    assert!(ranking.undefined(liked.labels()).is_empty());
    assert_eq!(ranking.undefined(disliked.labels()), [("ndcg@5".to_string(), "2 rows, all negative".to_string())]);
    assert_eq!(evaluate_labeled(&scorer(), &liked, &ranking).unwrap().get("ndcg@5"), Some(1.0));
}
