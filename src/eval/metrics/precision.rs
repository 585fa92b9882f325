//! Precision: how much of the list was right.

use super::{RankingMetric, count};

/// Hits over the cut-off: `sum(hits) / k`.
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`. The denominator stays `k` where fewer items could be
/// ranked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision;

impl RankingMetric for Precision {
    fn name(&self) -> &'static str {
        "precision"
    }

    fn user_value(&self, hits: &[bool], _n_relevant: usize, k: usize) -> f64 {
        count(hits) as f64 / k as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hits_in_a_list_of_five_is_two_fifths() {
        assert_eq!(Precision.user_value(&[true, false, false, true, false], 9, 5), 0.4);
    }

    #[test]
    fn a_list_shorter_than_k_is_still_divided_by_k() {
        assert_eq!(Precision.user_value(&[true, true], 2, 8), 0.25);
    }
}
