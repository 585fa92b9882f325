//! Results of an evaluation: means over users, and the values of each user for significance tests.

use std::fmt;

use gcnrec_graphs::UserId;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::metrics::MetricAt;

/// Mean values by name (`ndcg@20`), in the order in which the metrics were asked for. Written as a
/// JSON object.
///
/// ```
/// let metrics: gcnrec::Metrics = [("recall@20".to_string(), 0.18), ("ndcg@20".to_string(), 0.15)].into_iter().collect();
/// assert_eq!(metrics.get("ndcg@20"), Some(0.15));
/// assert_eq!(metrics.iter().next(), Some(("recall@20", 0.18)));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// The value of a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (String, f64)>>(values: I) -> Self {
        Metrics(values.into_iter().collect())
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Metrics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from the names of metrics to numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut values = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    values.push(entry);
                }
                Ok(Metrics(values))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Every user's values: what a paired test between two models compares.
#[derive(Debug, Clone, PartialEq)]
pub struct PerUser {
    /// The evaluated users, rising.
    pub users: Vec<UserId>,
    /// The metrics: the columns of `values`.
    pub metrics: Vec<MetricAt>,
    /// `[users, metrics]`, row-major.
    pub values: Vec<f64>,
}

impl PerUser {
    /// One metric's value for each user, or nothing when that metric was not asked for.
    pub fn column(&self, metric: MetricAt) -> Option<Vec<f64>> {
        let at = self.metrics.iter().position(|&known| known == metric)?;
        Some(self.values.chunks_exact(self.metrics.len()).map(|row| row[at]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_keep_their_order_through_json() {
        let metrics: Metrics = [("recall@20".to_string(), 0.25), ("ndcg@5".to_string(), 0.5)].into_iter().collect();
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"recall@20":0.25,"ndcg@5":0.5}"#);
        assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
        assert_eq!(metrics.get("ndcg@5"), Some(0.5));
        assert_eq!(metrics.get("ndcg@10"), None);
    }

    #[test]
    fn a_column_is_one_metric_of_every_user() {
        let metrics: Vec<MetricAt> = ["hit@1", "ndcg@5"].map(|name| name.parse().unwrap()).into();
        let per_user = PerUser { users: vec![UserId(3), UserId(4)], metrics, values: vec![0.0, 0.25, 1.0, 0.75] };
        assert_eq!(per_user.column("ndcg@5".parse().unwrap()), Some(vec![0.25, 0.75]));
        assert_eq!(per_user.column("ndcg@10".parse().unwrap()), None);
    }
}
