//! What a ranked list is worth to one user, and how well scores fit labels. A new metric is one file here, its `mod` line and its row in [`METRICS`] or
//! [`VALUE_METRICS`].
//!
//! # Source
//! Definitions follow RecBole's evaluator (SPEC.md E.3), which agree with those of the LightGCN reference code where both have the metric.

mod at;
mod auc;
mod hit;
mod logloss;
mod mae;
mod map;
mod mrr;
mod ndcg;
mod precision;
mod recall;
mod rmse;
mod value;

pub use at::MetricAt;
pub use auc::Auc;
pub use hit::Hit;
pub use logloss::LogLoss;
pub use mae::MeanAbsoluteError;
pub use map::MeanAveragePrecision;
pub use mrr::ReciprocalRank;
pub use ndcg::Ndcg;
pub use precision::Precision;
pub use recall::Recall;
pub use rmse::RootMeanSquaredError;
pub(super) use value::classes;
use value::mean;
pub use value::{VALUE_METRICS, ValueMetric, value_named};

use crate::error::{RecError, Result};

/// The value of a ranked list for one user. The metric of a part is the mean over its users.
pub trait RankingMetric: Send + Sync {
    /// The name in configs and reports, in lower case.
    fn name(&self) -> &'static str;

    /// The value for one user, within 0..=1; higher is better.
    ///
    /// # Shapes
    /// - `hits`: at most `k` long, best item first; true where the item is held out. Shorter where fewer than `k` items could be ranked.
    /// - `n_relevant`: how many items are held out for this user, at least 1
    fn user_value(&self, hits: &[bool], n_relevant: usize, k: usize) -> f64;
}

/// Every metric, in the order of reports.
pub static METRICS: [&dyn RankingMetric; 6] =
    [&Recall, &Precision, &Ndcg, &Hit, &ReciprocalRank, &MeanAveragePrecision];

/// The metric of that name.
///
/// # Errors
/// [`RecError::Unknown`] with all names.
pub fn named(name: &str) -> Result<&'static dyn RankingMetric> {
    METRICS.iter().copied().find(|metric| metric.name() == name).ok_or_else(|| RecError::Unknown {
        what: "metric",
        origin: String::new(),
        name: name.into(),
        known: METRICS.iter().map(|metric| metric.name().to_string()).collect(),
    })
}

/// The number of hits.
fn count(hits: &[bool]) -> usize {
    hits.iter().filter(|&&hit| hit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_metric_is_refused_with_the_right_name() {
        assert_eq!(named("ndcg").unwrap().name(), "ndcg");
        let error = named("ndgc").err().unwrap();
        assert_eq!(error.to_string(), "unknown metric \"ndgc\"; did you mean \"ndcg\"?");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_list_without_hits_is_worth_nothing_under_every_metric() {
        for metric in METRICS {
            assert_eq!(metric.user_value(&[false; 3], 2, 3), 0.0, "{}", metric.name());
            assert_eq!(metric.user_value(&[], 2, 3), 0.0, "{}: an empty list", metric.name());
        }
    }

    #[test]
    fn a_full_list_of_hits_is_worth_one_under_every_metric_when_k_items_are_held_out() {
        for metric in METRICS {
            assert_eq!(metric.user_value(&[true; 4], 4, 4), 1.0, "{}", metric.name());
        }
    }
}
