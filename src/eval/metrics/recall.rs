//! Recall: how much of what was held out was found.

use super::{RankingMetric, count};

/// Hits over held-out items: `sum(hits) / n_relevant`.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, section 4.1; RecBole 1.2.1, `evaluator/metrics.py`. The
/// denominator is every held-out item, also where more of them exist than fit into the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recall;

impl RankingMetric for Recall {
    fn name(&self) -> &'static str {
        "recall"
    }

    fn user_value(&self, hits: &[bool], n_relevant: usize, _k: usize) -> f64 {
        count(hits) as f64 / n_relevant as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_five_held_out_items_found_is_two_fifths_whatever_their_ranks() {
        assert_eq!(Recall.user_value(&[true, false, true], 5, 3), 0.4);
        assert_eq!(Recall.user_value(&[false, true, true], 5, 3), 0.4);
    }

    #[test]
    fn a_perfect_list_that_is_too_short_for_all_held_out_items_stays_below_one() {
        assert_eq!(Recall.user_value(&[true, true], 8, 2), 0.25);
    }

    #[test]
    fn a_cut_off_beyond_the_list_changes_nothing() {
        assert_eq!(Recall.user_value(&[true], 2, 10), 0.5);
    }
}
