//! Average precision: precision at each hit, averaged.

use super::RankingMetric;

/// Precision at the rank of every hit, summed, over the most hits possible:
/// `sum_j precision@j hits_j / min(k, n_relevant)`. Its mean over users is MAP.
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`. The denominator is capped by `k`: a perfect list is worth
/// 1 even when not every held-out item fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeanAveragePrecision;

impl RankingMetric for MeanAveragePrecision {
    fn name(&self) -> &'static str {
        "map"
    }

    fn user_value(&self, hits: &[bool], n_relevant: usize, k: usize) -> f64 {
        let (mut found, mut sum) = (0, 0.0);
        for (at, _) in hits.iter().enumerate().filter(|&(_, &hit)| hit) {
            found += 1;
            sum += f64::from(found) / (at + 1) as f64;
        }
        sum / n_relevant.min(k) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn precision_is_averaged_over_the_held_out_items_when_they_are_fewer_than_k() {
        // Hits at ranks 1 and 3: (1/1 + 2/3) / min(5, 2) = 0.8333333.
        let value = MeanAveragePrecision.user_value(&[true, false, true, false, false], 2, 5);
        assert_relative_eq!(value, 5.0 / 6.0, epsilon = 1e-15);
    }

    #[test]
    fn the_denominator_is_k_when_more_items_are_held_out() {
        // Hits at ranks 2 and 3 of a list of 3, 7 held out: (1/2 + 2/3) / 3 = 7/18.
        let value = MeanAveragePrecision.user_value(&[false, true, true], 7, 3);
        assert_relative_eq!(value, 7.0 / 18.0, epsilon = 1e-15);
    }

    #[test]
    fn a_missed_held_out_item_lowers_a_list_that_is_otherwise_perfect() {
        // One hit at rank 1, two held out, k = 2: 1 / 2.
        assert_eq!(MeanAveragePrecision.user_value(&[true, false], 2, 2), 0.5);
    }
}
