//! Average popularity: how well known the shown items are.

use super::{ItemCounts, ListMetric};

/// The mean number of training users of the items in a list; its mean over users is the metric.
/// Smaller is more novel. An empty list is worth 0.
///
/// # Source
/// Yin et al., VLDB 2012; RecBole agrees where every list is full. A list that is shorter than the
/// cut-off is divided by its own length.
#[derive(Debug, Clone, Copy)]
pub(super) struct AveragePopularity;

impl ListMetric for AveragePopularity {
    fn name(&self) -> &'static str {
        "averagepopularity"
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn user_value(&self, list: &[u32], counts: &ItemCounts) -> f64 {
        let sum: f64 = list.iter().map(|&item| f64::from(counts.of(item))).sum();
        if list.is_empty() { 0.0 } else { sum / list.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_the_list_are_averaged() {
        let counts = ItemCounts::new(vec![10, 0, 3, 5], 0.1);
        assert_eq!(AveragePopularity.user_value(&[0, 1, 3], &counts), 5.0);
        assert_eq!(AveragePopularity.user_value(&[], &counts), 0.0);
    }
}
