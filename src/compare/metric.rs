//! The metric of a comparison: of ranked lists, with a value for each user, or of labelled rows.

use std::fmt;

use crate::error::Result;
use crate::eval::MetricAt;
use crate::eval::metrics::{ValueMetric, value_named};

/// The metric that is tested.
#[derive(Clone, Copy)]
pub enum Tested {
    /// A metric of ranked lists, or of the order of each user's labelled rows.
    Ranks(MetricAt),
    /// A metric over all labelled rows alike.
    Rows(&'static dyn ValueMetric),
}

impl Tested {
    /// Reads `ndcg@20` or `auc`. `key` is the setting that holds the text, for the message.
    ///
    /// # Errors
    /// As [`MetricAt::parse`].
    pub fn parse(key: &str, text: &str) -> Result<Self> {
        match value_named(text) {
            Some(metric) => Ok(Tested::Rows(metric)),
            None => MetricAt::parse(key, text).map(Tested::Ranks),
        }
    }

    /// The metric as a mean over users, which a test can pair; nothing where one user has no value.
    pub fn over_users(self) -> Option<MetricAt> {
        match self {
            Tested::Ranks(at) if at.metric.is_mean_over_users() => Some(at),
            _ => None,
        }
    }

    /// True when a larger value is better.
    pub fn higher_is_better(self) -> bool {
        match self {
            Tested::Ranks(at) => at.metric.higher_is_better(),
            Tested::Rows(metric) => metric.higher_is_better(),
        }
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tested::Ranks(at) => at.fmt(f),
            Tested::Rows(metric) => f.write_str(metric.name()),
        }
    }
}

impl fmt::Debug for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tested({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_paired_where_one_user_has_a_value() {
        let tested = |text| Tested::parse("--metric", text).unwrap();
        assert_eq!(tested("ndcg@5").over_users().unwrap().to_string(), "ndcg@5");
        for text in ["auc", "nll", "gauc", "giniindex@10"] {
            assert!(tested(text).over_users().is_none(), "{text}");
        }
        assert!(tested("auc").higher_is_better() && !tested("nll").higher_is_better());
        assert!(Tested::parse("--metric", "ndcg").unwrap_err().to_string().starts_with("--metric: found \"ndcg\""));
    }
}
