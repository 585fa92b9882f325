//! How a held-out part is judged: every item ranked for every user, or labelled rows one by one.

use gcnrec_graphs::UserId;

use crate::error::{RecError, Result};
use crate::eval::metrics::{ValueMetric, value_named};
use crate::eval::{Evaluator, LabeledProtocol, LabeledRows, MetricAt, Metrics, evaluate_labeled, labeled_by_user};
use crate::models::Scorer;

/// Value metrics that every judgement of labelled rows reports.
pub(super) const OF_LABELS: [&str; 2] = ["nll", "auc"];

/// Judges scorers on one held-out part.
pub enum Judge {
    /// All items are ranked for every user, and the held-out ones should come first.
    Lists(Evaluator),
    /// Rows of uniform exposure with labels: value metrics over all rows, ranking metrics over each user's rows.
    Rows {
        /// The rows.
        rows: LabeledRows,
        /// What every row's score is worth.
        values: Vec<&'static dyn ValueMetric>,
        /// What every user's order of rows is worth.
        lists: Vec<MetricAt>,
        /// Users with a positive row.
        n_users: usize,
    },
}

impl Judge {
    /// Number of users that the ranking metrics are means over.
    pub fn n_eval_users(&self) -> usize {
        match self {
            Judge::Lists(evaluator) => evaluator.n_eval_users(),
            Judge::Rows { n_users, .. } => *n_users,
        }
    }

    /// The evaluator of ranked lists; none where labelled rows are judged.
    pub fn lists(&self) -> Option<&Evaluator> {
        match self {
            Judge::Lists(evaluator) => Some(evaluator),
            Judge::Rows { .. } => None,
        }
    }

    /// One ranking metric of every user that it is defined for.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate_per_user`] and of [`labeled_by_user`]; [`RecError::Missing`] for a metric that is not computed.
    pub fn by_user(&self, scorer: &dyn Scorer, metric: MetricAt) -> Result<Vec<(UserId, f64)>> {
        match self {
            Judge::Lists(evaluator) => {
                let per_user = evaluator.evaluate_per_user(scorer)?;
                let values = per_user.column(metric).ok_or_else(|| RecError::Missing {
                    what: "metric",
                    name: metric.to_string(),
                    todo: "add it to eval.metrics and its cut-off to eval.k".into(),
                })?;
                Ok(per_user.users.into_iter().zip(values).collect())
            }
            Judge::Rows { rows, .. } => labeled_by_user(scorer, rows, metric),
        }
    }

    /// The metrics of a scorer.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate`] and of [`evaluate_labeled`].
    pub fn evaluate(&self, scorer: &dyn Scorer) -> Result<Metrics> {
        match self {
            Judge::Lists(evaluator) => evaluator.evaluate(scorer),
            Judge::Rows { rows, values, lists, .. } => {
                let mut found: Vec<(String, f64)> = Vec::new();
                for protocol in [LabeledProtocol::Values(values.clone()), LabeledProtocol::Ranking(lists.clone())] {
                    let part = evaluate_labeled(scorer, rows, &protocol)?;
                    found.extend(part.iter().map(|(name, value)| (name.to_string(), value)));
                }
                Ok(found.into_iter().collect())
            }
        }
    }
}

/// The metric that picks the epoch.
#[derive(Clone)]
pub(super) struct Selection {
    /// Its name, as in the metrics.
    pub(super) name: String,
    higher_is_better: bool,
}

impl Selection {
    /// Reads `train.metric`.
    ///
    /// # Errors
    /// As [`check_metric`].
    pub(super) fn parse(metric: &str) -> Result<Self> {
        check_metric(metric)?;
        let higher_is_better = value_named(metric).is_none_or(ValueMetric::higher_is_better);
        let name = match value_named(metric) {
            Some(value) => value.name().to_string(),
            None => metric.parse::<MetricAt>()?.to_string(),
        };
        Ok(Selection { name, higher_is_better })
    }

    /// True when `value` is better than the best so far.
    pub(super) fn improves(&self, value: f64, best: f64) -> bool {
        if self.higher_is_better { value > best } else { value < best }
    }
}

/// Refuses a text that names neither a ranking metric with its cut-off nor a metric of labelled rows.
///
/// # Errors
/// [`RecError::Unknown`] or [`RecError::Config`].
pub fn check_metric(metric: &str) -> Result<()> {
    if value_named(metric).is_some() {
        return Ok(());
    }
    MetricAt::parse_selecting("train.metric", metric).map(|_| ())
}

/// Refuses a metric of labels where held-out rows have none.
pub(super) fn check_lists(metric: &str) -> Result<()> {
    if value_named(metric).is_none() {
        return Ok(());
    }
    Err(RecError::Config {
        key: "train.metric".into(),
        origin: String::new(),
        found: format!("\"{metric}\", a metric of labelled rows"),
        expected: "a metric of ranked lists, as in \"ndcg@20\": the held-out parts have no labels".into(),
        todo: "add --uniform FILE to be judged on labelled rows".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_picks_the_smaller_value_and_a_metric_of_lists_the_larger() {
        assert!(Selection::parse("nll").unwrap().improves(0.5, 0.6));
        assert!(!Selection::parse("auc").unwrap().improves(0.5, 0.6));
        assert!(Selection::parse("ndcg@5").unwrap().improves(0.7, 0.6));
        assert!(Selection::parse("nlll").is_err());
        assert!(check_lists("auc").is_err() && check_lists("ndcg@5").is_ok());
    }
}
