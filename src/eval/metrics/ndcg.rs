//! Normalised discounted cumulative gain: hits count more near the top.

use super::RankingMetric;

/// Discounted hits over those of the best possible list: `sum_j hits_j / log2(j + 1)` over
/// `sum_{j <= min(n_relevant, k)} 1 / log2(j + 1)`, ranks from 1.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, section 4.1; RecBole 1.2.1, `evaluator/metrics.py`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ndcg;

impl RankingMetric for Ndcg {
    fn name(&self) -> &'static str {
        "ndcg"
    }

    fn user_value(&self, hits: &[bool], n_relevant: usize, k: usize) -> f64 {
        let gain = hits.iter().enumerate().filter(|&(_, &hit)| hit).map(|(at, _)| discount(at)).sum::<f64>();
        if gain == 0.0 { 0.0 } else { gain / (0..n_relevant.min(k)).map(discount).sum::<f64>() }
    }

    /// A grade is a gain, as in trec_eval's `ndcg_cut`; the best possible list has the highest
    /// grades first.
    fn user_value_of_gains(&self, gains: &[f64], best: &[f64], k: usize) -> f64 {
        let discounted = |gains: &[f64]| gains.iter().enumerate().map(|(at, gain)| gain * discount(at)).sum::<f64>();
        discounted(gains) / discounted(&best[..best.len().min(k)])
    }
}

/// The weight of the position `at`, from 0: rank is `at + 1`, so the weight is `1 / log2(at + 2)`.
fn discount(at: usize) -> f64 {
    1.0 / ((at + 2) as f64).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_hit_at_rank_two_of_three_is_worth_its_discount() {
        // DCG = 1/log2(3) = 0.6309298; IDCG with one held-out item = 1/log2(2) = 1.
        assert_relative_eq!(Ndcg.user_value(&[false, true, false], 1, 3), 0.630_929_753_571_457_4, epsilon = 1e-15);
    }

    #[test]
    fn hits_at_ranks_one_and_three_of_three_held_out_items() {
        // DCG = 1 + 1/log2(4) = 1.5; IDCG = 1 + 0.6309298 + 0.5 = 2.1309298; 1.5 / 2.1309298 =
        // 0.7039181.
        assert_relative_eq!(
            Ndcg.user_value(&[true, false, true], 3, 3),
            1.5 / 2.130_929_753_571_457_4,
            epsilon = 1e-15
        );
    }

    #[test]
    fn a_perfect_list_is_worth_one_when_more_items_are_held_out_than_fit() {
        assert_eq!(Ndcg.user_value(&[true; 5], 12, 5), 1.0);
    }

    #[test]
    fn a_perfect_list_is_worth_one_when_k_is_larger_than_the_list() {
        // Two held-out items, both ranked first, k = 10: the ideal list has two hits as well.
        assert_eq!(Ndcg.user_value(&[true, true, false], 2, 10), 1.0);
    }

    #[test]
    fn grades_are_gains_and_those_of_one_give_what_hits_give() {
        // Grades 1 and 3 in the wrong order: 1 + 3/log2(3) = 2.8927893 of 3 + 1/log2(3) =
        // 3.6309298. trec_eval says .7967.
        assert_relative_eq!(Ndcg.user_value_of_gains(&[1.0, 3.0], &[3.0, 1.0], 5), 0.796_708, epsilon = 1e-6);
        // At rank 1 the best gain is 3.
        assert_relative_eq!(Ndcg.user_value_of_gains(&[1.0], &[3.0, 1.0], 1), 1.0 / 3.0, epsilon = 1e-15);
        let of_ones = Ndcg.user_value_of_gains(&[1.0, 0.0, 1.0], &[1.0; 3], 3);
        assert_eq!(of_ones, Ndcg.user_value(&[true, false, true], 3, 3));
    }
}
