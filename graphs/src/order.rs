//! Node orders: which rows are computed one after another, or lie next to each other, so that what
//! one reads is still at hand for the next.
//!
//! Where rows are only computed in another order nothing depends on it but the speed; where nodes
//! are renumbered scores do not depend on it, up to the order of sums. Users stay before items.

use serde::{Deserialize, Serialize};

use crate::communities::by_community;
use crate::rcm::reverse_cuthill_mckee;
use crate::{GraphError, NormalizedAdjacency};

/// How nodes are numbered inside the engine. Default: as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOrder {
    /// As they came.
    #[default]
    Natural,
    /// The nodes with the most neighbours first, ties as they came.
    Degree,
    /// Reverse Cuthill-McKee: neighbours near each other. Pays only where the graph has
    /// communities.
    ReverseCuthillMckee,
    /// The communities of label propagation one after another. Where a graph has some, most
    /// neighbours of a row were neighbours of the row before it.
    Communities,
}

impl NodeOrder {
    /// The permutation that puts the nodes of this adjacency in order. Each side is ordered by
    /// itself.
    pub fn of(self, adjacency: &NormalizedAdjacency) -> NodePermutation {
        let row_ptr = adjacency.row_ptr();
        let mut old_of: Vec<u32> = match self {
            Self::Natural | Self::Degree => (0..adjacency.n_nodes() as u32).collect(),
            Self::ReverseCuthillMckee => reverse_cuthill_mckee(row_ptr, adjacency.col_idx()),
            Self::Communities => by_community(row_ptr, adjacency.col_idx(), adjacency.n_users()),
        };
        if self == Self::Degree {
            old_of.sort_by_key(|&node| std::cmp::Reverse(row_ptr[node as usize + 1] - row_ptr[node as usize]));
        }
        // A stable partition: both sides keep the order just found.
        let n_users = adjacency.n_users();
        old_of.sort_by_key(|&node| node as usize >= n_users);
        NodePermutation::new(old_of, n_users).expect("an order should hold every node once, users first")
    }
}

/// A renumbering of the nodes that keeps users before items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePermutation {
    /// The old number of each new node.
    old_of: Vec<u32>,
    /// The new number of each old node.
    new_of: Vec<u32>,
    n_users: usize,
}

impl NodePermutation {
    /// From the old number of each new node.
    ///
    /// # Errors
    /// [`GraphError::NotAPermutation`] for the first position whose node is out of range, already
    /// placed, or on the other side.
    pub fn new(old_of: Vec<u32>, n_users: usize) -> Result<Self, GraphError> {
        const FREE: u32 = u32::MAX;
        let mut new_of = vec![FREE; old_of.len()];
        for (position, &node) in old_of.iter().enumerate() {
            match new_of.get_mut(node as usize) {
                Some(new) if *new == FREE && (position < n_users) == ((node as usize) < n_users) => {
                    *new = position as u32;
                }
                _ => return Err(GraphError::NotAPermutation { position, node }),
            }
        }
        Ok(Self { old_of, new_of, n_users })
    }

    /// How many nodes are renumbered.
    pub fn n_nodes(&self) -> usize {
        self.old_of.len()
    }

    /// The old number of each new node: `[n_nodes]`.
    pub fn old_of(&self) -> &[u32] {
        &self.old_of
    }

    /// The new number of each old node: `[n_nodes]`.
    pub fn new_of(&self) -> &[u32] {
        &self.new_of
    }

    /// The renumbering that undoes this one.
    pub fn inverse(&self) -> Self {
        Self { old_of: self.new_of.clone(), new_of: self.old_of.clone(), n_users: self.n_users }
    }

    /// Puts the rows of a table over all nodes in the new order.
    ///
    /// # Shapes
    /// - `rows`: `[n_nodes, dim]`, row-major, in the old order
    /// - returns `[n_nodes, dim]`, in the new order
    ///
    /// # Errors
    /// [`GraphError::Length`] when the table does not have one row per node.
    pub fn reorder_rows<T: Copy>(&self, rows: &[T], dim: usize) -> Result<Vec<T>, GraphError> {
        let expected = self.n_nodes() * dim;
        if rows.len() != expected {
            return Err(GraphError::Length { what: "rows to reorder", found: rows.len(), expected });
        }
        let mut reordered = Vec::with_capacity(expected);
        for &old in &self.old_of {
            reordered.extend_from_slice(&rows[old as usize * dim..(old as usize + 1) * dim]);
        }
        Ok(reordered)
    }
}

impl NormalizedAdjacency {
    /// The same matrix over renumbered nodes: `B[new a, new b] = A[a, b]`. Columns rise within a
    /// row, as before.
    ///
    /// # Errors
    /// [`GraphError::SizeMismatch`] when the permutation is over other users or items.
    pub fn permute(&self, order: &NodePermutation) -> Result<Self, GraphError> {
        if (order.n_users, order.n_nodes()) != (self.n_users, self.n_nodes()) {
            return Err(GraphError::SizeMismatch {
                what: "permutation of an adjacency",
                left_users: self.n_users,
                left_items: self.n_items,
                right_users: order.n_users,
                right_items: order.n_nodes() - order.n_users,
            });
        }
        let mut row_ptr = Vec::with_capacity(self.row_ptr.len());
        let mut col_idx = Vec::with_capacity(self.col_idx.len());
        let mut values = Vec::with_capacity(self.values.len());
        let mut entries: Vec<(u32, f32)> = Vec::new();
        row_ptr.push(0);
        for &old in &order.old_of {
            let (cols, row_values) = self.row(old as usize);
            entries.clear();
            entries.extend(cols.iter().zip(row_values).map(|(&col, &value)| (order.new_of[col as usize], value)));
            entries.sort_unstable_by_key(|&(col, _)| col);
            col_idx.extend(entries.iter().map(|&(col, _)| col));
            values.extend(entries.iter().map(|&(_, value)| value));
            row_ptr.push(col_idx.len() as u32);
        }
        Ok(Self { row_ptr, col_idx, values, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};
    use crate::{BipartiteGraph, Interactions, Normalization};

    const ORDERS: [NodeOrder; 4] =
        [NodeOrder::Natural, NodeOrder::Degree, NodeOrder::ReverseCuthillMckee, NodeOrder::Communities];

    fn normalized(train: &Interactions, by: Normalization) -> NormalizedAdjacency {
        NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(train), by).unwrap()
    }

    #[test]
    fn degree_order_puts_the_hubs_of_each_side_first() {
        // User degrees 1, 3, 1; item degrees 1, 3, 1. Ties stay as they came.
        let train = world(3, 3, &[(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)]);
        let order = NodeOrder::Degree.of(&normalized(&train, Normalization::Symmetric));
        assert_eq!(order.old_of(), [1, 0, 2, 4, 3, 5]);
    }

    #[test]
    fn cuthill_mckee_lines_a_shuffled_path_up() {
        // The path u2 - i1 - u0 - i2 - u3 - i0 - u1: in order, users are 2, 0, 3, 1 and items 1, 2,
        // 0, or the reverse.
        let train = world(4, 3, &[(2, 1), (0, 1), (0, 2), (3, 2), (3, 0), (1, 0)]);
        let order = NodeOrder::ReverseCuthillMckee.of(&normalized(&train, Normalization::Row));
        let forward = [2, 0, 3, 1, 5, 6, 4];
        let backward = [1, 3, 0, 2, 4, 6, 5];
        assert!(order.old_of() == forward || order.old_of() == backward, "{:?}", order.old_of());
    }

    #[test]
    fn communities_stand_together() {
        // Users 0, 2 and 4 know the items 1 and 3 (nodes 6 and 8), users 1 and 3 the items 0 and 2
        // (nodes 5 and 7); everybody knows item 4 (node 9). Round 1: of the labels 6, 8 and 9 user
        // 0 hears the first two louder (1/sqrt 3 each against 1/sqrt 5) and takes the lower, 6;
        // users 1 and 3 take 5 (1/sqrt 2 against 1/sqrt 5). Item 4 hears label 6 three times and 5
        // twice (1/sqrt 3 each): 6. Nothing moves after that. Label 5 stands before 6.
        let pairs = [(0, 1), (0, 3), (2, 1), (2, 3), (4, 1), (4, 3), (1, 0), (1, 2), (3, 0), (3, 2)];
        let everybody = (0..5).map(|user| (user, 4));
        let train = world(5, 5, &pairs.into_iter().chain(everybody).collect::<Vec<_>>());
        let order = NodeOrder::Communities.of(&normalized(&train, Normalization::Symmetric));
        assert_eq!(order.old_of(), [1, 3, 0, 2, 4, 5, 7, 6, 8, 9]);
    }

    #[test]
    fn what_is_not_a_permutation_is_refused() {
        let at = |old_of: &[u32]| NodePermutation::new(old_of.to_vec(), 2);
        assert_eq!(at(&[0, 0, 2]), Err(GraphError::NotAPermutation { position: 1, node: 0 }));
        assert_eq!(at(&[0, 2, 1]), Err(GraphError::NotAPermutation { position: 1, node: 2 }));
        assert_eq!(at(&[1, 0, 3]), Err(GraphError::NotAPermutation { position: 2, node: 3 }));
        assert!(at(&[1, 0, 2]).is_ok());
    }

    #[test]
    fn rows_move_with_their_nodes() {
        let order = NodePermutation::new(vec![1, 0, 2], 2).unwrap();
        assert_eq!(order.reorder_rows(&[1, 2, 3, 4, 5, 6], 2).unwrap(), [3, 4, 1, 2, 5, 6]);
        assert!(matches!(order.reorder_rows(&[1, 2], 2), Err(GraphError::Length { expected: 6, .. })));
    }

    proptest! {
        #[test]
        fn an_order_moves_every_entry_and_its_inverse_moves_it_back(train in any_world()) {
            for by in [Normalization::Symmetric, Normalization::Row] {
                let a = normalized(&train, by);
                for order in ORDERS {
                    let order = order.of(&a);
                    let b = a.permute(&order).unwrap();
                    for row in 0..a.n_nodes() {
                        for col in 0..a.n_nodes() {
                            let (new_row, new_col) = (order.new_of()[row] as usize, order.new_of()[col] as usize);
                            prop_assert_eq!(a.get(row, col), b.get(new_row, new_col));
                        }
                    }
                    prop_assert_eq!(&b.permute(&order.inverse()).unwrap(), &a);
                    prop_assert_eq!(b.transpose(), a.transpose().permute(&order).unwrap());
                }
            }
        }

        #[test]
        fn rows_come_back_after_a_round_trip(train in any_world(), dim in 1usize..4) {
            let a = normalized(&train, Normalization::Symmetric);
            let rows: Vec<usize> = (0..a.n_nodes() * dim).collect();
            for order in ORDERS {
                let order = order.of(&a);
                let there = order.reorder_rows(&rows, dim).unwrap();
                prop_assert_eq!(&order.inverse().reorder_rows(&there, dim).unwrap(), &rows);
            }
        }
    }
}
