//! Grouped AUC: how often a held-out item stands above another one, user by user.

use super::RanksMetric;

/// Each user's AUC over all ranked items, ties counting one half, averaged over users with at least
/// one held-out and one other ranked item. A user weighs as much as the user's ranked items, which
/// were the impressions.
///
/// # Source
/// Zhu et al., *Optimized Cost per Click in Taobao Display Advertising*, KDD 2017 (weights are
/// impressions). `gauc(recbole)` weighs a user by the number of held-out items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauc {
    name: &'static str,
    by_relevant: bool,
}

impl Gauc {
    /// `gauc`.
    pub(super) const TEXTBOOK: Gauc = Gauc { name: "gauc", by_relevant: false };
    /// `gauc(recbole)`.
    pub(super) const RECBOLE: Gauc = Gauc { name: "gauc(recbole)", by_relevant: true };
}

impl RanksMetric for Gauc {
    fn name(&self) -> &'static str {
        self.name
    }

    fn user_value(&self, relevant: &mut [f32], others: &[f32]) -> Option<(f64, f64)> {
        if relevant.is_empty() || others.is_empty() {
            return None;
        }
        relevant.sort_unstable_by(f32::total_cmp);
        // Twice the pairs won, so that half a pair is a whole number.
        let won: u64 = others
            .iter()
            .map(|other| {
                let above = relevant.len() - relevant.partition_point(|score| score <= other);
                let not_below = relevant.len() - relevant.partition_point(|score| score < other);
                (above + not_below) as u64
            })
            .sum();
        let auc = won as f64 / (2.0 * relevant.len() as f64 * others.len() as f64);
        let weight = if self.by_relevant { relevant.len() } else { relevant.len() + others.len() };
        Some((auc, weight as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_with_half_a_pair_for_a_tie() {
        // Held out 3 and 1 against 2, 1, 0: 3 wins three, 1 wins one and ties one: 4.5 of 6.
        assert_eq!(Gauc::TEXTBOOK.user_value(&mut [3.0, 1.0], &[2.0, 1.0, 0.0]), Some((0.75, 5.0)));
        assert_eq!(Gauc::RECBOLE.user_value(&mut [3.0, 1.0], &[2.0, 1.0, 0.0]), Some((0.75, 2.0)));
    }

    #[test]
    fn constant_scores_are_worth_one_half_and_a_user_without_both_kinds_nothing() {
        assert_eq!(Gauc::TEXTBOOK.user_value(&mut [0.0, -0.0], &[0.0; 7]).unwrap().0, 0.5);
        assert_eq!(Gauc::TEXTBOOK.user_value(&mut [], &[1.0]), None);
        assert_eq!(Gauc::TEXTBOOK.user_value(&mut [1.0], &[]), None);
    }
}
