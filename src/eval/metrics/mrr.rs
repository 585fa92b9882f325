//! Reciprocal rank: how far down the first right item stands.

use super::RankingMetric;

/// One over the rank of the first hit, 0 without a hit. Its mean over users is MRR.
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReciprocalRank;

impl RankingMetric for ReciprocalRank {
    fn name(&self) -> &'static str {
        "mrr"
    }

    fn user_value(&self, hits: &[bool], _n_relevant: usize, _k: usize) -> f64 {
        hits.iter().position(|&hit| hit).map_or(0.0, |at| 1.0 / (at + 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_hit_counts() {
        assert_eq!(ReciprocalRank.user_value(&[false, false, false, true, true], 2, 5), 0.25);
    }
}
