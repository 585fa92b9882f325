//! Metrics of labelled rows: each row has a score and a label, and no list is ranked.

use crate::error::{Place, RecError, Result};

/// How well the scores of labelled rows fit their labels.
pub trait ValueMetric: Send + Sync {
    /// The name in configs and reports, in lower case; a variant's reason stands in brackets.
    fn name(&self) -> &'static str;

    /// True when a larger value is better.
    fn higher_is_better(&self) -> bool;

    /// True when the metric compares scores with ratings as they are, not with classes.
    fn takes_ratings(&self) -> bool {
        false
    }

    /// True when nothing but the order of the scores counts, so that any score can be judged by it:
    /// counts and distances too.
    fn of_order_alone(&self) -> bool {
        false
    }

    /// Why the metric has no value on rows with these labels; nothing where it has one.
    fn undefined(&self, labels: &[f32]) -> Option<String> {
        let _ = labels;
        None
    }

    /// The value over all rows. Sums run in f64, in the order of the rows.
    ///
    /// # Shapes
    /// - `scores`, `labels`: `[n_rows]`, at least one row; labels are 1 for positive and 0 or -1
    ///   for negative rows, or ratings where the metric compares numbers (`mae`, `rmse`)
    ///
    /// # Errors
    /// [`RecError::Input`] when the labels are not of the kind that the metric needs, or the metric
    /// is not defined for them.
    fn value(&self, scores: &[f32], labels: &[f32]) -> Result<f64>;
}

/// The number of positive and of negative rows.
///
/// # Errors
/// [`RecError::Input`] for a label that is neither 1 nor 0 nor -1.
pub(in crate::eval) fn classes(labels: &[f32]) -> Result<(usize, usize)> {
    if let Some(label) = labels.iter().find(|label| ![1.0, 0.0, -1.0].contains(*label)) {
        return Err(RecError::input(
            Place::file("labels".as_ref()),
            format!("the label {label}"),
            "1 for positive, 0 or -1 for negative rows",
        )
        .with_todo("turn ratings into labels by a threshold; mae and rmse take ratings as they are"));
    }
    let n_positive = labels.iter().filter(|&&label| label > 0.0).count();
    Ok((n_positive, labels.len() - n_positive))
}

/// What rows are where they are all of one class: `121 rows, all positive`.
pub(in crate::eval) fn one_class(labels: &[f32]) -> Option<String> {
    let n_positive = labels.iter().filter(|&&label| label > 0.0).count();
    match (n_positive, labels.len()) {
        (0, n) => Some(format!("{n} rows, all negative")),
        (n_positive, n) if n_positive == n => Some(format!("{n} rows, all positive")),
        _ => None,
    }
}

/// The mean of a function of score and label.
pub(super) fn mean(scores: &[f32], labels: &[f32], loss: impl Fn(f64, f64) -> f64) -> f64 {
    let rows = scores.iter().zip(labels);
    rows.map(|(&score, &label)| loss(f64::from(score), f64::from(label))).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::super::{VALUE_METRICS, named, value_named};

    #[test]
    fn every_value_metric_is_found_by_its_name_and_no_name_is_used_twice() {
        for (at, metric) in VALUE_METRICS.iter().enumerate() {
            assert_eq!(value_named(metric.name()).unwrap().name(), metric.name());
            assert!(VALUE_METRICS[..at].iter().all(|other| other.name() != metric.name()));
            assert!(named(metric.name()).is_err(), "no ranking metric has that name");
        }
        assert!(value_named("ndcg").is_none());
    }

    #[test]
    fn a_perfect_order_is_best_under_every_metric() {
        let (right, wrong) = ([5.0, -5.0], [-5.0, 5.0]);
        for metric in VALUE_METRICS {
            let (a, b) = (metric.value(&right, &[1.0, -1.0]).unwrap(), metric.value(&wrong, &[1.0, -1.0]).unwrap());
            assert_eq!(a > b, metric.higher_is_better(), "{}: {a} {b}", metric.name());
        }
    }
}
