//! A metric with its cut-off, as in `ndcg@20`.

use std::fmt;
use std::str::FromStr;

use super::{RankingMetric, named};
use crate::error::{RecError, Result};
use crate::eval::Config;

/// A metric at a cut-off: what a report's key names.
#[derive(Clone, Copy)]
pub struct MetricAt {
    /// The metric.
    pub metric: &'static dyn RankingMetric,
    /// Length of the list that is judged, 1..=10000.
    pub k: usize,
}

impl MetricAt {
    /// Reads `name@k`. `key` is the setting that holds the text, for the message.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for an unknown metric, [`RecError::Config`] when the cut-off is absent or out of its range.
    pub fn parse(key: &str, text: &str) -> Result<Self> {
        let range =
            || RecError::range(key, format!("\"{text}\""), "a metric and a cut-off from 1 to 10000, as in \"ndcg@20\"");
        let (name, k) = text.split_once('@').ok_or_else(range)?;
        let metric = named(name)?;
        match k.parse() {
            Ok(k) if (1..=Config::MAX_K).contains(&k) => Ok(MetricAt { metric, k }),
            _ => Err(range()),
        }
    }
}

impl FromStr for MetricAt {
    type Err = RecError;

    fn from_str(text: &str) -> Result<Self> {
        MetricAt::parse("metric", text)
    }
}

impl fmt::Display for MetricAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.metric.name(), self.k)
    }
}

impl fmt::Debug for MetricAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricAt({self})")
    }
}

impl PartialEq for MetricAt {
    fn eq(&self, other: &Self) -> bool {
        self.k == other.k && self.metric.name() == other.metric.name()
    }
}

impl Eq for MetricAt {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_reads_back_what_it_writes() {
        for text in ["recall@1", "ndcg@20", "map@1000"] {
            assert_eq!(text.parse::<MetricAt>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_cut_off_that_is_zero_absent_or_no_number_is_refused() {
        for text in ["ndcg@0", "ndcg@", "ndcg", "ndcg@-1", "ndcg@ten", "ndcg@20@5"] {
            let error = MetricAt::parse("train.metric", text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "train.metric: found \"{text}\", expected a metric and a cut-off from 1 to 10000, as in \"ndcg@20\""
                )
            );
        }
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        assert_eq!(
            "recal@20".parse::<MetricAt>().unwrap_err().to_string(),
            "unknown metric \"recal\"; did you mean \"recall\"?"
        );
    }
}
