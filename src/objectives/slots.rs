//! Rows of the embedding table that a batch touches, and the row (slot) of each of its entries.

/// Collects node ids into a strictly increasing list without repeats, and answers the position
/// (slot) of each.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Slot of each node of the current list; meaningless for other nodes.
    slot_of: Vec<u32>,
    /// A bit for each node, all 0 between two calls.
    marked: Vec<u64>,
    rows: Vec<u32>,
}

impl Slots {
    /// For tables of `n_nodes` rows.
    pub(crate) fn new(n_nodes: usize) -> Self {
        Slots { slot_of: vec![0; n_nodes], marked: vec![0; n_nodes.div_ceil(64)], rows: Vec::new() }
    }

    /// Starts a new list with the given nodes, repeats allowed, any order. Reading the marks in
    /// order is cheaper than sorting the nodes, unless they are few beside all.
    pub(crate) fn assign(&mut self, nodes: impl Iterator<Item = u32>) {
        let Slots { slot_of, marked, rows } = self;
        rows.clear();
        for node in nodes {
            marked[node as usize / 64] |= 1 << (node % 64);
        }
        for (word, bits) in (0..).zip(marked) {
            let mut left = std::mem::take(bits);
            while left != 0 {
                let node = word * 64 + left.trailing_zeros();
                slot_of[node as usize] = rows.len() as u32;
                rows.push(node);
                left &= left - 1;
            }
        }
    }

    /// The distinct nodes, increasing.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The slot of a node of the current list.
    pub(crate) fn slot(&self, node: u32) -> u32 {
        self.slot_of[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_without_repeats_and_slots_point_back() {
        let mut slots = Slots::new(130);
        slots.assign([7, 2, 7, 129, 64, 63].into_iter());
        assert_eq!(slots.rows(), [2, 7, 63, 64, 129]);
        assert_eq!([2, 7, 63, 64, 129].map(|node| slots.slot(node)), [0, 1, 2, 3, 4]);
        slots.assign([1, 9].into_iter());
        assert_eq!(slots.rows(), [1, 9]);
        assert_eq!(slots.slot(9), 1);
    }
}
