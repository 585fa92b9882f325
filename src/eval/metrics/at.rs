//! A metric with its cut-off, as in `ndcg@20`.

use std::fmt;
use std::str::FromStr;

use super::{Metric, named};
use crate::error::{RecError, Result};
use crate::eval::Config;

/// A metric at a cut-off: what a report's key names.
///
/// ```
/// let metric: gcnrec::MetricAt = "ndcg@20".parse()?;
/// assert_eq!((metric.metric.name(), metric.k), ("ndcg", 20));
/// assert!("ndgc@20".parse::<gcnrec::MetricAt>().is_err());
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Clone, Copy)]
pub struct MetricAt {
    /// The metric.
    pub metric: Metric,
    /// Length of the list that is judged, 1..=10000; 0 for a metric of the whole ranking, which has
    /// no cut-off.
    pub k: usize,
}

impl MetricAt {
    /// Reads `name@k`. `key` is the setting that holds the text, for the message.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for an unknown metric, [`RecError::Config`] when the cut-off is absent
    /// or out of its range.
    pub fn parse(key: &str, text: &str) -> Result<Self> {
        let range =
            || RecError::range(key, format!("\"{text}\""), "a metric and a cut-off from 1 to 10000, as in \"ndcg@20\"");
        let (name, k) = text.split_once('@').unwrap_or((text, ""));
        // Without a cut-off only the metrics that have none are known; other names get the message
        // about the cut-off.
        let metric = if text.contains('@') { named(name)? } else { named(name).map_err(|_| range())? };
        if !metric.has_cut_off() {
            let without = || RecError::range(key, format!("\"{text}\""), format!("\"{name}\": it has no cut-off"));
            return if text == name { Ok(MetricAt { metric, k: 0 }) } else { Err(without()) };
        }
        match k.parse() {
            Ok(k) if (1..=Config::MAX_K).contains(&k) => Ok(MetricAt { metric, k }),
            _ => Err(range()),
        }
    }

    /// As [`MetricAt::parse`], for a metric that something is picked by: larger must be better.
    ///
    /// # Errors
    /// As [`MetricAt::parse`]; [`RecError::Config`] for a metric of which less is better.
    pub fn parse_selecting(key: &str, text: &str) -> Result<Self> {
        let at = MetricAt::parse(key, text)?;
        if at.metric.higher_is_better() {
            return Ok(at);
        }
        Err(RecError::range(key, format!("\"{text}\""), "a metric of which more is better, as in \"ndcg@20\""))
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
        match self.k {
            0 => f.write_str(self.metric.name()),
            k => write!(f, "{}@{k}", self.metric.name()),
        }
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
        for text in ["recall@1", "ndcg@20", "map@1000", "gauc", "giniindex(recbole)@5"] {
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
    fn a_metric_of_the_whole_ranking_takes_no_cut_off() {
        let error = MetricAt::parse("train.metric", "gauc@10").unwrap_err();
        assert_eq!(error.to_string(), "train.metric: found \"gauc@10\", expected \"gauc\": it has no cut-off");
        let error = MetricAt::parse_selecting("train.metric", "giniindex@10").unwrap_err();
        assert!(error.to_string().contains("expected a metric of which more is better"), "{error}");
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        assert_eq!(
            "recal@20".parse::<MetricAt>().unwrap_err().to_string(),
            "unknown metric \"recal\"; did you mean \"recall\"?"
        );
    }
}
