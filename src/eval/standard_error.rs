//! Standard errors of test metrics over the users of one training: how far a metric would move with
//! other users of the same kind. Other seeds are another matter.

use std::collections::BTreeMap;

use super::labeled::{LabeledProtocol, LabeledRows, rank};
use crate::error::Result;
use crate::models::Scorer;

/// Groups of users that are left out in turn.
const N_GROUPS: usize = 50;

/// The standard error of a mean: the deviation (n - 1) over the root of n. Nothing for one value.
pub(super) fn of_mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt())
}

/// The standard error of every metric of labelled rows. A ranking metric is a mean over users. A
/// value metric is one number of all rows, and the rows of a user move together, so groups of users
/// are left out in turn: with `t_g` the metric without group `g` of `G`,
/// `se^2 = (G - 1) / G sum_g (t_g - mean t)^2`.
///
/// Left out are metrics that some group's absence leaves undefined, and those of one user.
///
/// # Errors
/// Those of [`LabeledRows::scores`] and of [`evaluate_labeled`](super::evaluate_labeled).
///
/// # Source
/// Kott, *The delete-a-group jackknife*, Journal of Official Statistics 17(4), 2001, with `G` = 50,
/// or each user alone where there are fewer.
pub(crate) fn of_labeled(
    scorer: &dyn Scorer,
    rows: &LabeledRows,
    protocol: &LabeledProtocol,
) -> Result<BTreeMap<String, f64>> {
    let scores = rows.scores(scorer)?;
    let mut errors = BTreeMap::new();
    match protocol {
        LabeledProtocol::Ranking(metrics) => {
            let judged = rank(rows, &scores, metrics)?;
            for (at, metric) in metrics.iter().enumerate() {
                let values: Vec<f64> = judged.iter().map(|(_, values)| values[at]).collect();
                errors.extend(of_mean(&values).map(|error| (metric.to_string(), error)));
            }
        }
        LabeledProtocol::Values(metrics) => {
            let without = without_each_group(rows, &scores);
            for metric in metrics.iter().filter(|metric| metric.undefined(rows.labels()).is_none()) {
                if without.iter().any(|(_, labels)| metric.undefined(labels).is_some()) {
                    continue;
                }
                let values: Result<Vec<f64>> =
                    without.iter().map(|(scores, labels)| metric.value(scores, labels)).collect();
                errors.extend(of_groups(&values?).map(|error| (metric.name().to_string(), error)));
            }
        }
    }
    Ok(errors)
}

/// Scores and labels of the rows that are left where one group of users is taken out, for each
/// group. The users' places in their order, counted in turns, make the groups.
fn without_each_group(rows: &LabeledRows, scores: &[f32]) -> Vec<(Vec<f32>, Vec<f32>)> {
    let by_user = rows.by_user();
    let n_groups = N_GROUPS.min(by_user.len());
    let mut group_of = vec![0; rows.len()];
    for (place, of_user) in by_user.iter().enumerate() {
        of_user.iter().for_each(|&row| group_of[row as usize] = place % n_groups);
    }
    let kept = |values: &[f32], left_out: usize| {
        values.iter().zip(&group_of).filter(|&(_, &group)| group != left_out).map(|(&value, _)| value).collect()
    };
    (0..n_groups).map(|group| (kept(scores, group), kept(rows.labels(), group))).collect()
}

/// The standard error from the values without each group; nothing for one group.
fn of_groups(without: &[f64]) -> Option<f64> {
    let n = without.len() as f64;
    // A mean's error divides the squares by n (n - 1), this one by n / (n - 1).
    of_mean(without).map(|error| error * (n - 1.0))
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::error::RecError;
    use crate::models::Query;
    use crate::models::state::State;
    use ndarray::Array2;

    /// Item `i` has the score `i`, for everybody.
    struct Rising(usize);

    impl Scorer for Rising {
        fn model(&self) -> &'static str {
            "rising"
        }
        fn n_items(&self) -> usize {
            self.0
        }
        fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
            Ok(Array2::from_shape_fn((queries.len(), self.0), |(_, item)| item as f32))
        }
        fn state(&self) -> State {
            State::default()
        }
    }

    fn errors(users: &[u32], items: &[u32], labels: &[f32], names: &[&str]) -> BTreeMap<String, f64> {
        let n_users = *users.iter().max().unwrap() as usize + 1;
        let rows = LabeledRows::new(users, items, labels, vec![Vec::new(); n_users], 4).unwrap();
        of_labeled(&Rising(4), &rows, &LabeledProtocol::parse(names).unwrap()).unwrap()
    }

    #[test]
    fn a_mean_of_two_values_has_half_their_distance_as_its_error() {
        // Mean 2, squares 1 + 1, over (2 - 1) * 2: 1.
        assert_relative_eq!(of_mean(&[1.0, 3.0]).unwrap(), 1.0);
        assert_eq!(of_mean(&[1.0]), None);
    }

    #[test]
    fn a_mean_over_rows_of_one_user_each_has_the_error_of_a_mean() {
        // Without one of n values the mean moves by (mean - value) / (n - 1): the jackknife is the
        // standard error of the mean, which for the absolute errors 1, 2 and 3 is
        // sqrt((1 + 0 + 1) / 2 / 3) = .57735.
        let found = errors(&[0, 1, 2], &[0, 1, 2], &[1.0, 3.0, 5.0], &["mae"]);
        assert_relative_eq!(found["mae"], (1.0f64 / 3.0).sqrt(), epsilon = 1e-12);
    }

    #[test]
    fn rows_of_a_user_are_left_out_together() {
        // Absolute errors 1 and 1 of user 0, 3 of user 1: without user 0 the mean is 3, without
        // user 1 it is 1. (2 - 1) / 2 * (1 + 1) = 1.
        let found = errors(&[0, 0, 1], &[0, 1, 2], &[1.0, 2.0, 5.0], &["mae"]);
        assert_relative_eq!(found["mae"], 1.0, epsilon = 1e-12);
    }

    #[test]
    fn an_area_has_no_error_where_one_group_holds_a_class() {
        // Without user 0 there is no positive row.
        let found = errors(&[0, 1, 2], &[3, 1, 2], &[1.0, -1.0, -1.0], &["auc", "nll"]);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["nll"]);
    }

    #[test]
    fn a_metric_of_lists_is_a_mean_over_users() {
        // User 0 has the positive first (1), user 1 second of two: hit@1 is 1 and 0, error 1/2.
        let found = errors(&[0, 0, 1, 1], &[3, 0, 0, 3], &[1.0, -1.0, 1.0, -1.0], &["hit@1"]);
        assert_relative_eq!(found["hit@1"], 0.5, epsilon = 1e-12);
    }

    #[test]
    fn labels_of_another_kind_are_refused() {
        let rows = LabeledRows::new(&[0, 1], &[0, 1], &[4.0, 5.0], vec![Vec::new(); 2], 4).unwrap();
        let protocol = LabeledProtocol::parse(&["nll"]).unwrap();
        assert!(matches!(of_labeled(&Rising(4), &rows, &protocol), Err(RecError::Input { .. })));
    }
}
