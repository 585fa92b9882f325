//! Gini index: how unequally the items are shown.

use super::ExposureMetric;

/// Inequality of the numbers of times that items are shown: `sum_r (2 r - n - 1) c_r / (n sum c)`,
/// counts rising, ranks from 1, items never shown included. 0 when all are shown equally often,
/// near 1 when one is shown alone; smaller is better.
///
/// # Source
/// Gini 1912; Adomavicius and Kwon, TKDE 2012. `giniindex(recbole)` has `n = n_items + 1`: RecBole
/// counts its padding id as an item that is never shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct GiniIndex {
    name: &'static str,
    n_padding: usize,
}

impl GiniIndex {
    /// `giniindex`.
    pub(super) const TEXTBOOK: GiniIndex = GiniIndex { name: "giniindex", n_padding: 0 };
    /// `giniindex(recbole)`.
    pub(super) const RECBOLE: GiniIndex = GiniIndex { name: "giniindex(recbole)", n_padding: 1 };
}

impl ExposureMetric for GiniIndex {
    fn name(&self) -> &'static str {
        self.name
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn value(&self, shown: &[u32]) -> f64 {
        let n = (shown.len() + self.n_padding) as f64;
        let mut counts: Vec<f64> = shown.iter().map(|&count| f64::from(count)).collect();
        counts.sort_by(f64::total_cmp);
        // Padding has count 0 and the lowest ranks: it adds nothing but its place.
        let ranked = counts.iter().enumerate();
        let sum: f64 = ranked.map(|(at, count)| (2.0 * (at + 1 + self.n_padding) as f64 - n - 1.0) * count).sum();
        let total: f64 = counts.iter().sum();
        if total == 0.0 { 0.0 } else { sum / (n * total) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_are_worth_nothing_and_a_single_item_almost_one() {
        assert_eq!(GiniIndex::TEXTBOOK.value(&[3, 3, 3, 3]), 0.0);
        // (2 * 4 - 4 - 1) * 8 / (4 * 8) = 3/4 = 1 - 1/n.
        assert_eq!(GiniIndex::TEXTBOOK.value(&[0, 8, 0, 0]), 0.75);
        assert_eq!(GiniIndex::TEXTBOOK.value(&[0, 0]), 0.0, "nobody was shown anything");
    }

    #[test]
    fn two_unequal_counts_and_the_padding_of_the_variant() {
        // Counts 1, 3: ((2-3) 1 + (4-3) 3) / (2 * 4) = 1/4. With a padding item 0, 1, 3: ((4-4) 1 +
        // (6-4) 3) / (3 * 4) = 1/2.
        assert_eq!(GiniIndex::TEXTBOOK.value(&[3, 1]), 0.25);
        assert_eq!(GiniIndex::RECBOLE.value(&[3, 1]), 0.5);
    }
}
