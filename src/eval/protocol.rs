//! What a user can choose about evaluation, and what a report says about how it was done.

use serde::{Deserialize, Serialize};

use super::metrics::{METRICS, MetricAt, named};
use crate::error::{RecError, Result};

/// `[eval]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Lengths of the lists that are judged, each 1..=10000, at least one. Default 10 and 20.
    pub k: Vec<usize>,
    /// Metrics to report, at least one. Default: `recall`, `precision`, `ndcg`, `hit`, `mrr`, `map`.
    pub metrics: Vec<String>,
    /// Items that the user has already met are left out of the list. Default true.
    pub exclude_seen: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            k: vec![10, 20],
            metrics: METRICS.iter().map(|metric| metric.name().to_string()).collect(),
            exclude_seen: true,
        }
    }
}

impl Config {
    /// The longest list that can be asked for.
    pub const MAX_K: usize = 10_000;

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range, [`RecError::Unknown`] for a metric that does not exist.
    pub fn validate(&self) -> Result<()> {
        self.metrics_at().map(|_| ())
    }

    /// Every metric at every cut-off, metric by metric, cut-offs rising; what is named twice is reported once.
    ///
    /// # Errors
    /// As [`Config::validate`].
    pub fn metrics_at(&self) -> Result<Vec<MetricAt>> {
        let expected = "one or more whole numbers from 1 to 10000";
        if let Some(k) = self.k.iter().find(|k| !(1..=Self::MAX_K).contains(*k)) {
            return Err(RecError::range("eval.k", k, expected));
        }
        if self.k.is_empty() {
            return Err(RecError::range("eval.k", "an empty list", expected));
        }
        if self.metrics.is_empty() {
            return Err(RecError::range("eval.metrics", "an empty list", "one or more names of metrics"));
        }
        let mut ks = self.k.clone();
        ks.sort_unstable();
        let mut all: Vec<MetricAt> = Vec::new();
        for name in &self.metrics {
            let metric = named(name)?;
            for at in ks.iter().map(|&k| MetricAt { metric, k }) {
                if !all.contains(&at) {
                    all.push(at);
                }
            }
        }
        Ok(all)
    }
}

/// Which items are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidates {
    /// Every item of every part.
    All,
}

/// Which part of the data picked the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectedOn {
    /// The validation part.
    Valid,
    /// Nothing: a fixed number of epochs, or a model in closed form.
    None,
    /// A part of the uniformly exposed data.
    Uniform,
}

/// How the numbers of a report came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Which items were ranked.
    pub candidates: Candidates,
    /// Whether items that the user had already met were left out.
    pub exclude_seen: bool,
    /// Which part picked the epoch.
    pub selected_on: SelectedOn,
    /// Whether the model was trained again on training and validation pairs before test was scored.
    pub refit: bool,
    /// Users with at least one held-out item: those the means are over.
    pub n_eval_users: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_reports_every_metric_at_ten_and_twenty() {
        let names: Vec<String> = Config::default().metrics_at().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 12);
        assert_eq!(names[..4], ["recall@10", "recall@20", "precision@10", "precision@20"]);
    }

    #[test]
    fn what_is_named_twice_is_reported_once_and_cut_offs_rise() {
        let config = Config {
            k: vec![20, 5, 20],
            metrics: vec!["ndcg".into(), "hit".into(), "ndcg".into()],
            ..Config::default()
        };
        let names: Vec<String> = config.metrics_at().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ndcg@5", "ndcg@20", "hit@5", "hit@20"]);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let message = |config: Config| config.validate().unwrap_err().to_string();
        assert_eq!(
            message(Config { k: vec![10, 0], ..Config::default() }),
            "eval.k: found 0, expected one or more whole numbers from 1 to 10000"
        );
        assert_eq!(
            message(Config { k: vec![], ..Config::default() }),
            "eval.k: found an empty list, expected one or more whole numbers from 1 to 10000"
        );
        assert_eq!(
            message(Config { metrics: vec![], ..Config::default() }),
            "eval.metrics: found an empty list, expected one or more names of metrics"
        );
        assert_eq!(
            message(Config { metrics: vec!["recal".into()], ..Config::default() }),
            "unknown metric \"recal\"; did you mean \"recall\"?"
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Config>("cutoff = [5]").is_err());
        assert_eq!(toml::from_str::<Config>("k = [5]").unwrap(), Config { k: vec![5], ..Config::default() });
    }

    #[test]
    fn a_protocol_is_written_with_the_words_of_the_report() {
        let protocol = Protocol {
            candidates: Candidates::All,
            exclude_seen: true,
            selected_on: SelectedOn::None,
            refit: false,
            n_eval_users: 456,
        };
        assert_eq!(
            serde_json::to_string(&protocol).unwrap(),
            r#"{"candidates":"all","exclude_seen":true,"selected_on":"none","refit":false,"n_eval_users":456}"#
        );
    }
}
