//! Early stopping's metric: the one on the validation part that picks the epoch.

use crate::error::{RecError, Result};
use crate::eval::MetricAt;
use crate::eval::metrics::{ValueMetric, value_named};

/// The metric that picks the epoch.
#[derive(Clone)]
pub(crate) struct Selection {
    /// Its name, as in the metrics.
    pub name: String,
    higher_is_better: bool,
}

impl Selection {
    /// Reads `train.metric`.
    ///
    /// # Errors
    /// As [`check_metric`].
    pub(crate) fn parse(metric: &str) -> Result<Self> {
        check_metric(metric)?;
        let higher_is_better = value_named(metric).is_none_or(ValueMetric::higher_is_better);
        let name = match value_named(metric) {
            Some(value) => value.name().to_string(),
            None => metric.parse::<MetricAt>()?.to_string(),
        };
        Ok(Selection { name, higher_is_better })
    }

    /// True when `value` is better than the best so far.
    pub(crate) fn improves(&self, value: f64, best: f64) -> bool {
        if self.higher_is_better { value > best } else { value < best }
    }
}

/// Refuses a text that names neither a ranking metric with its cut-off nor a metric of labelled
/// rows.
///
/// # Errors
/// [`RecError::Unknown`] or [`RecError::Config`].
pub(crate) fn check_metric(metric: &str) -> Result<()> {
    if value_named(metric).is_some() {
        return Ok(());
    }
    MetricAt::parse_selecting("train.metric", metric).map(|_| ())
}

/// Refuses a metric of labels where held-out rows have none.
///
/// # Errors
/// [`RecError::Config`] for `train.metric`.
pub(crate) fn check_lists(metric: &str) -> Result<()> {
    if value_named(metric).is_none() {
        return Ok(());
    }
    Err(RecError::range(
        "train.metric",
        format!("\"{metric}\", a metric of labelled rows"),
        "a metric of ranked lists, as in \"ndcg@20\": the held-out parts have no labels",
    )
    .with_todo("add --uniform FILE to be judged on labelled rows"))
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
