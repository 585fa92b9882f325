//! Item coverage: how much of the catalogue anybody is shown.

use super::ExposureMetric;

/// Distinct items in all lists over all items: `|union of lists| / n_items`.
///
/// # Source
/// Ge et al., RecSys 2010 (catalogue coverage). `itemcoverage(recbole)` divides by `n_items + 1`:
/// RecBole counts its padding id as an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemCoverage {
    name: &'static str,
    n_padding: usize,
}

impl ItemCoverage {
    /// `itemcoverage`.
    pub(super) const TEXTBOOK: ItemCoverage = ItemCoverage { name: "itemcoverage", n_padding: 0 };
    /// `itemcoverage(recbole)`.
    pub(super) const RECBOLE: ItemCoverage = ItemCoverage { name: "itemcoverage(recbole)", n_padding: 1 };
}

impl ExposureMetric for ItemCoverage {
    fn name(&self) -> &'static str {
        self.name
    }

    fn value(&self, shown: &[u32]) -> f64 {
        shown.iter().filter(|&&n| n > 0).count() as f64 / (shown.len() + self.n_padding) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_items_shown_are_three_quarters_and_a_padding_item_counts_in_the_variant() {
        assert_eq!(ItemCoverage::TEXTBOOK.value(&[5, 0, 1, 1]), 0.75);
        assert_eq!(ItemCoverage::RECBOLE.value(&[5, 0, 1, 1]), 0.6);
    }
}
