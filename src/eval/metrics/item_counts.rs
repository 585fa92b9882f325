//! Item popularity: training counts of the items, and the long tail that metrics read.

/// Training counts of all items, with the tail that `tailpercentage` reads.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemCounts {
    counts: Vec<u32>,
    /// `[n_items]`: tail of the catalogue
    tail: Vec<bool>,
    /// `[n_items]`: tail of the items that are present in training
    trained_tail: Vec<bool>,
}

impl ItemCounts {
    /// Counts of all items; `tail_ratio` above 0: up to 1 a share of the items, above 1 a largest
    /// count.
    pub fn new(counts: Vec<u32>, tail_ratio: f64) -> Self {
        let tail = tail(&counts, tail_ratio, false);
        let trained_tail = self::tail(&counts, tail_ratio, true);
        ItemCounts { counts, tail, trained_tail }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.counts.len()
    }

    /// The number of training users of an item.
    pub fn of(&self, item: u32) -> u32 {
        self.counts[item as usize]
    }

    /// Whether an item belongs to the tail of the catalogue, or of the items that are present in
    /// training.
    pub fn is_tail(&self, item: u32, trained_only: bool) -> bool {
        if trained_only { self.trained_tail[item as usize] } else { self.tail[item as usize] }
    }
}

fn tail(counts: &[u32], ratio: f64, trained_only: bool) -> Vec<bool> {
    let mut items: Vec<usize> = (0..counts.len()).filter(|&item| !trained_only || counts[item] > 0).collect();
    if ratio > 1.0 {
        items.retain(|&item| f64::from(counts[item]) <= ratio);
    } else {
        items.sort_by_key(|&item| counts[item]);
        let n = ((ratio * items.len() as f64) as usize).max(1).min(items.len());
        items.truncate(n);
    }
    let mut is_tail = vec![false; counts.len()];
    items.into_iter().for_each(|item| is_tail[item] = true);
    is_tail
}
