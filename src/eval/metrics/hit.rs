//! Hit rate: whether the list holds any held-out item.

use super::RankingMetric;

/// 1 when the list holds at least one held-out item, otherwise 0.
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit;

impl RankingMetric for Hit {
    fn name(&self) -> &'static str {
        "hit"
    }

    fn user_value(&self, hits: &[bool], _n_relevant: usize, _k: usize) -> f64 {
        if hits.contains(&true) { 1.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hit_is_as_good_as_many() {
        assert_eq!(Hit.user_value(&[false, false, true], 4, 3), 1.0);
        assert_eq!(Hit.user_value(&[true, true, true], 4, 3), 1.0);
    }
}
