//! Tail percentage: how much of a list is from the long tail.

use super::{ItemCounts, ListMetric};

/// The share of a list's items that belong to the tail; its mean over users is the metric. An empty
/// list is worth 0.
///
/// `eval.tail_ratio` up to 1 is the share of items, least popular first (ties by id, at least one
/// item), that makes the tail; above 1 the tail is every item with at most so many training users.
///
/// # Source
/// Abdollahpouri et al., 2019. Here the tail is taken from the whole catalogue: an item without any
/// training user is as far in the tail as can be. `tailpercentage(recbole)` takes it from the items
/// that are present in training, and an item that is not is never tail.
#[derive(Debug, Clone, Copy)]
pub(super) struct TailPercentage {
    name: &'static str,
    trained_only: bool,
}

impl TailPercentage {
    /// `tailpercentage`.
    pub(super) const TEXTBOOK: TailPercentage = TailPercentage { name: "tailpercentage", trained_only: false };
    /// `tailpercentage(recbole)`.
    pub(super) const RECBOLE: TailPercentage = TailPercentage { name: "tailpercentage(recbole)", trained_only: true };
}

impl ListMetric for TailPercentage {
    fn name(&self) -> &'static str {
        self.name
    }

    fn user_value(&self, list: &[u32], counts: &ItemCounts) -> f64 {
        let n = list.iter().filter(|&&item| counts.is_tail(item, self.trained_only)).count();
        if list.is_empty() { 0.0 } else { n as f64 / list.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_least_popular_share_of_the_catalogue_or_of_the_trained_items() {
        // Five items, .4 of them are two: 1 (count 0) and 3 (count 2, before 4 by id). Of the four
        // trained items .4 are one (1.6 down): item 3.
        let counts = ItemCounts::new(vec![9, 0, 5, 2, 2], 0.4);
        assert_eq!(TailPercentage::TEXTBOOK.user_value(&[1, 3, 4, 0], &counts), 0.5);
        assert_eq!(TailPercentage::RECBOLE.user_value(&[1, 3, 4, 0], &counts), 0.25);
        assert_eq!(TailPercentage::TEXTBOOK.user_value(&[], &counts), 0.0);
    }

    #[test]
    fn a_ratio_above_one_is_a_limit_on_the_count_and_at_least_one_item_is_tail() {
        let counts = ItemCounts::new(vec![9, 0, 5, 2, 2], 2.0);
        assert_eq!(TailPercentage::TEXTBOOK.user_value(&[0, 1, 2, 3, 4], &counts), 0.6);
        assert_eq!(TailPercentage::RECBOLE.user_value(&[0, 1, 2, 3, 4], &counts), 0.4);
        let one = ItemCounts::new(vec![9, 1, 5], 0.1);
        assert_eq!(TailPercentage::TEXTBOOK.user_value(&[1, 0], &one), 0.5);
    }
}
