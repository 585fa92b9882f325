//! Which rows of the embedding table a batch touches, and where each of its entries finds its row.

/// Collects node ids into a strictly increasing list without repeats, and answers the position (slot) of each.
#[derive(Debug, Default)]
pub struct Slots {
    /// Slot of each node of the current list; meaningless for other nodes.
    slot_of: Vec<u32>,
    marked: Vec<bool>,
    rows: Vec<u32>,
}

impl Slots {
    /// For tables of `n_nodes` rows.
    pub fn new(n_nodes: usize) -> Self {
        Slots { slot_of: vec![0; n_nodes], marked: vec![false; n_nodes], rows: Vec::new() }
    }

    /// Starts a new list with the given nodes, repeats allowed, any order.
    pub fn assign(&mut self, nodes: impl Iterator<Item = u32>) {
        for &row in &self.rows {
            self.marked[row as usize] = false;
        }
        self.rows.clear();
        for node in nodes {
            if !std::mem::replace(&mut self.marked[node as usize], true) {
                self.rows.push(node);
            }
        }
        self.rows.sort_unstable();
        for (slot, &row) in self.rows.iter().enumerate() {
            self.slot_of[row as usize] = slot as u32;
        }
    }

    /// The distinct nodes, increasing.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The slot of a node of the current list.
    pub fn slot(&self, node: u32) -> u32 {
        self.slot_of[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_without_repeats_and_slots_point_back() {
        let mut slots = Slots::new(10);
        slots.assign([7, 2, 7, 9].into_iter());
        assert_eq!(slots.rows(), [2, 7, 9]);
        assert_eq!([slots.slot(2), slots.slot(7), slots.slot(9)], [0, 1, 2]);
        slots.assign([1, 9].into_iter());
        assert_eq!(slots.rows(), [1, 9]);
        assert_eq!(slots.slot(9), 1);
    }
}
