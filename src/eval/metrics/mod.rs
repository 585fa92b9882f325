//! Metrics of ranked lists and of labelled rows. A new metric is one file here, its `mod` line and
//! its row in [`METRICS`] or [`VALUE_METRICS`]: help, messages and configurations read these lists.
//!
//! # Source
//! Definitions follow RecBole's evaluator, which agrees with the LightGCN reference code where both
//! have the metric; `docs/metrics.md` tells every difference to other tools.

mod at;
mod auc;
mod average_popularity;
mod coverage;
mod entropy;
mod gauc;
mod gini;
mod hit;
mod item_counts;
mod logloss;
mod mae;
mod map;
mod mrr;
mod ndcg;
mod precision;
mod recall;
mod rmse;
mod tail_percentage;
mod value;

pub use at::MetricAt;
pub use item_counts::ItemCounts;
pub(crate) use value::ValueMetric;
use value::mean;
pub(super) use value::{classes, one_class};

use crate::error::{RecError, Result};

/// The value of a ranked list for one user. The metric of a part is the mean over its users.
pub trait RankingMetric: Send + Sync {
    /// The name in configs and reports, in lower case.
    fn name(&self) -> &'static str;

    /// The value for one user, within 0..=1; higher is better.
    ///
    /// # Shapes
    /// - `hits`: at most `k` long, best item first; true where the item is held out. Shorter where
    ///   fewer than `k` items could be ranked.
    /// - `n_relevant`: how many items are held out for this user, at least 1
    fn user_value(&self, hits: &[bool], n_relevant: usize, k: usize) -> f64;

    /// The value where relevance has grades. Metrics that know right and wrong alone count every
    /// gain above 0 as a hit.
    ///
    /// # Shapes
    /// - `gains`: at most `k` long, what the item at each rank is worth; 0 where it is not relevant
    /// - `best`: the gains of all relevant items, the highest first, at least one
    fn user_value_of_gains(&self, gains: &[f64], best: &[f64], k: usize) -> f64 {
        let hits: Vec<bool> = gains.iter().map(|&gain| gain > 0.0).collect();
        self.user_value(&hits, best.len(), k)
    }
}

/// What a list of items is, whoever it is for: how popular its items are. The metric of a part is
/// the mean over its users.
pub trait ListMetric: Send + Sync {
    /// The name in configs and reports, in lower case; a variant's reason stands in brackets.
    fn name(&self) -> &'static str;

    /// True when a larger value is better.
    fn higher_is_better(&self) -> bool {
        true
    }

    /// The value of one user's list, best item first, at most as long as the cut-off.
    fn user_value(&self, list: &[u32], counts: &ItemCounts) -> f64;
}

/// How all lists together spread over the catalogue: not a mean over users.
pub trait ExposureMetric: Send + Sync {
    /// The name in configs and reports, in lower case; a variant's reason stands in brackets.
    fn name(&self) -> &'static str;

    /// True when a larger value is better.
    fn higher_is_better(&self) -> bool {
        true
    }

    /// The value for all lists.
    ///
    /// # Shapes
    /// - `shown`: `[n_items]`, in how many lists each item stands
    fn value(&self, shown: &[u32]) -> f64;
}

/// Where the held-out items stand among all that were ranked: there is no cut-off. The metric of a
/// part is a weighted mean over its users.
pub trait RanksMetric: Send + Sync {
    /// The name in configs and reports, in lower case; a variant's reason stands in brackets.
    fn name(&self) -> &'static str;

    /// One user's value and weight; nothing for a user who does not count. The scores may be put
    /// into another order.
    fn user_value(&self, relevant: &mut [f32], others: &[f32]) -> Option<(f64, f64)>;
}

/// A metric of ranked lists, by what it reads.
#[derive(Clone, Copy)]
pub enum Metric {
    /// The hits of each user's list; the mean over users.
    Hits(&'static dyn RankingMetric),
    /// The items of each user's list; the mean over users.
    List(&'static dyn ListMetric),
    /// All lists together.
    Exposure(&'static dyn ExposureMetric),
    /// The scores of all ranked items, without a cut-off.
    Ranks(&'static dyn RanksMetric),
}

impl Metric {
    /// The name in configs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Hits(metric) => metric.name(),
            Metric::List(metric) => metric.name(),
            Metric::Exposure(metric) => metric.name(),
            Metric::Ranks(metric) => metric.name(),
        }
    }

    /// Whether a cut-off belongs to the metric, as in `ndcg@20`.
    pub fn has_cut_off(self) -> bool {
        !matches!(self, Metric::Ranks(_))
    }

    /// Whether a larger value is better: for whoever picks by it.
    pub fn higher_is_better(self) -> bool {
        match self {
            Metric::List(metric) => metric.higher_is_better(),
            Metric::Exposure(metric) => metric.higher_is_better(),
            Metric::Hits(_) | Metric::Ranks(_) => true,
        }
    }

    /// Whether the metric is the plain mean of one value for each user: what a paired test over
    /// users can compare.
    pub fn is_mean_over_users(self) -> bool {
        matches!(self, Metric::Hits(_) | Metric::List(_))
    }
}

/// Every metric of ranked lists, in the order of reports. The first `N_DEFAULT` are reported
/// where nothing else is asked for.
pub static METRICS: [Metric; 17] = [
    Metric::Hits(&recall::Recall),
    Metric::Hits(&precision::Precision),
    Metric::Hits(&ndcg::Ndcg),
    Metric::Hits(&hit::Hit),
    Metric::Hits(&mrr::ReciprocalRank),
    Metric::Hits(&map::MeanAveragePrecision),
    Metric::Ranks(&gauc::Gauc::TEXTBOOK),
    Metric::Ranks(&gauc::Gauc::RECBOLE),
    Metric::Exposure(&coverage::ItemCoverage::TEXTBOOK),
    Metric::Exposure(&coverage::ItemCoverage::RECBOLE),
    Metric::List(&average_popularity::AveragePopularity),
    Metric::Exposure(&gini::GiniIndex::TEXTBOOK),
    Metric::Exposure(&gini::GiniIndex::RECBOLE),
    Metric::Exposure(&entropy::ShannonEntropy::TEXTBOOK),
    Metric::Exposure(&entropy::ShannonEntropy::RECBOLE),
    Metric::List(&tail_percentage::TailPercentage::TEXTBOOK),
    Metric::List(&tail_percentage::TailPercentage::RECBOLE),
];

/// Every metric of labelled rows, in the order of reports.
pub static VALUE_METRICS: [&dyn ValueMetric; 7] = [
    &auc::Auc,
    &logloss::LogLoss::LOGLOSS,
    &logloss::LogLoss::RECBOLE,
    &logloss::LogLoss::NLL,
    &logloss::LogLoss::AUTODEBIAS,
    &mae::MeanAbsoluteError,
    &rmse::RootMeanSquaredError,
];

/// How many metrics are reported where nothing else is asked for.
pub(crate) const N_DEFAULT: usize = 6;

/// The ranking metric of that name.
///
/// # Errors
/// [`RecError::Unknown`] with all names; [`RecError::Config`] for the name of a metric of labelled
/// rows.
pub(crate) fn named(name: &str) -> Result<Metric> {
    if value_named(name).is_some() {
        return Err(RecError::range("eval.metrics", name, "metrics of ranked lists").with_todo(format!(
            "{name} is a mean over labelled rows and not over users, so it never stands beside them; gcnrec evaluate RUN --candidates labeled \
             --metrics {name} judges labelled rows"
        )));
    }
    let known = || METRICS.iter().map(|metric| metric.name());
    let found = METRICS.iter().copied().find(|metric| metric.name() == name);
    found.ok_or_else(|| RecError::unknown("metric", name, known()))
}

/// The metric of labelled rows of that name, if there is one.
pub(crate) fn value_named(name: &str) -> Option<&'static dyn ValueMetric> {
    VALUE_METRICS.iter().copied().find(|metric| metric.name() == name)
}

/// The number of hits.
fn count(hits: &[bool]) -> usize {
    hits.iter().filter(|&&hit| hit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits() -> Vec<&'static dyn RankingMetric> {
        METRICS
            .iter()
            .filter_map(|metric| if let Metric::Hits(metric) = metric { Some(*metric) } else { None })
            .collect()
    }

    #[test]
    fn a_misspelt_metric_is_refused_with_the_right_name() {
        assert_eq!(named("ndcg").unwrap().name(), "ndcg");
        let error = named("ndgc").err().unwrap();
        assert_eq!(error.to_string(), "unknown metric \"ndgc\"; did you mean \"ndcg\"?");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_list_without_hits_is_worth_nothing_under_every_metric() {
        for metric in hits() {
            assert_eq!(metric.user_value(&[false; 3], 2, 3), 0.0, "{}", metric.name());
            assert_eq!(metric.user_value(&[], 2, 3), 0.0, "{}: an empty list", metric.name());
        }
    }

    #[test]
    fn a_full_list_of_hits_is_worth_one_under_every_metric_when_k_items_are_held_out() {
        for metric in hits() {
            assert_eq!(metric.user_value(&[true; 4], 4, 4), 1.0, "{}", metric.name());
        }
    }

    #[test]
    fn the_page_of_metrics_defines_each_of_them() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = std::fs::read_to_string(page).unwrap();
        let names = METRICS.iter().map(|metric| metric.name()).chain(VALUE_METRICS.iter().map(|metric| metric.name()));
        for name in names {
            let defined = [format!("`{name}`"), format!("`{name}@k`")].iter().any(|name| page.contains(name));
            assert!(defined, "{name} is not in docs/metrics.md");
        }
    }

    #[test]
    fn names_are_found_and_none_is_used_twice() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert_eq!(named(metric.name()).unwrap().name(), metric.name());
            assert!(METRICS[..at].iter().all(|other| other.name() != metric.name()), "{}", metric.name());
        }
    }
}
