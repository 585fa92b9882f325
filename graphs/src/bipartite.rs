//! The user-item graph, stored in both directions.

use sprs::CsMatI;

use crate::{GraphError, Interactions};

/// Users and items joined by weighted edges, as a sparse `users x items` matrix and its transpose.
#[derive(Debug, Clone, PartialEq)]
pub struct BipartiteGraph {
    by_user: CsMatI<f32, u32>,
    by_item: CsMatI<f32, u32>,
}

impl BipartiteGraph {
    /// The graph of the training pairs, every edge of weight 1. Pass training pairs only: an edge
    /// of a held-out pair would leak it.
    pub fn from_train(train: &Interactions) -> Self {
        Self::from_parts(train, vec![1.0; train.n_edges()])
    }

    /// The graph of the training pairs with a weight per edge, in (user, item) order.
    ///
    /// # Errors
    /// [`GraphError::Length`] when there is not one weight per edge, [`GraphError::Weight`] for a
    /// weight that is not positive and finite.
    pub fn from_weighted(train: &Interactions, weights: Vec<f32>) -> Result<Self, GraphError> {
        if weights.len() != train.n_edges() {
            let (found, expected) = (weights.len(), train.n_edges());
            return Err(GraphError::Length { what: "edge weights", found, expected });
        }
        if let Some(edge) = weights.iter().position(|&weight| !(weight > 0.0 && weight.is_finite())) {
            return Err(GraphError::Weight { edge, weight: weights[edge] });
        }
        Ok(Self::from_parts(train, weights))
    }

    fn from_parts(train: &Interactions, weights: Vec<f32>) -> Self {
        let shape = (train.n_users(), train.n_items());
        let by_user = CsMatI::new(shape, train.user_ptr().to_vec(), train.item_ids().to_vec(), weights);
        let by_item = by_user.transpose_view().to_csr();
        Self { by_user, by_item }
    }

    /// How many users there are.
    pub fn n_users(&self) -> usize {
        self.by_user.rows()
    }

    /// How many items there are.
    pub fn n_items(&self) -> usize {
        self.by_user.cols()
    }

    /// Users and items together.
    pub fn n_nodes(&self) -> usize {
        self.n_users() + self.n_items()
    }

    /// How many edges there are, each counted once.
    pub fn n_edges(&self) -> usize {
        self.by_user.nnz()
    }

    /// The weights as a `users x items` matrix in row storage, items rising within a row.
    pub fn by_user(&self) -> &CsMatI<f32, u32> {
        &self.by_user
    }

    /// The transpose: `items x users` in row storage, users rising within a row.
    pub fn by_item(&self) -> &CsMatI<f32, u32> {
        &self.by_item
    }

    /// The sum of each user's edge weights: `[n_users]`. With weights of 1, the number of items.
    pub fn user_degrees(&self) -> Vec<f64> {
        row_sums(&self.by_user)
    }

    /// The sum of each item's edge weights: `[n_items]`.
    pub fn item_degrees(&self) -> Vec<f64> {
        row_sums(&self.by_item)
    }
}

fn row_sums(matrix: &CsMatI<f32, u32>) -> Vec<f64> {
    matrix.outer_iterator().map(|row| row.data().iter().map(|&weight| f64::from(weight)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};

    #[test]
    fn degrees_are_sums_of_weights_from_either_side() {
        // Edges in order: (0,0) 1, (0,2) 2, (1,2) 4.
        let train = world(3, 3, &[(0, 0), (0, 2), (1, 2)]);
        let graph = BipartiteGraph::from_weighted(&train, vec![1.0, 2.0, 4.0]).unwrap();
        assert_eq!(graph.user_degrees(), [3.0, 4.0, 0.0]);
        assert_eq!(graph.item_degrees(), [1.0, 0.0, 6.0]);
        assert_eq!(graph.by_item().get(2, 1), Some(&4.0));
        assert_eq!(BipartiteGraph::from_train(&train).user_degrees(), [2.0, 1.0, 0.0]);
    }

    #[test]
    fn weights_that_are_not_positive_numbers_are_refused() {
        let train = world(1, 2, &[(0, 0), (0, 1)]);
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let refused = BipartiteGraph::from_weighted(&train, vec![1.0, bad]);
            assert!(matches!(refused, Err(GraphError::Weight { edge: 1, .. })), "{bad}");
        }
        let short = BipartiteGraph::from_weighted(&train, vec![1.0]);
        assert_eq!(short, Err(GraphError::Length { what: "edge weights", found: 1, expected: 2 }));
    }

    proptest! {
        #[test]
        fn transposing_twice_is_the_identity(train in any_world()) {
            let weights = (1..=train.n_edges()).map(|edge| edge as f32).collect();
            let graph = BipartiteGraph::from_weighted(&train, weights).unwrap();
            prop_assert_eq!(&graph.by_item().transpose_view().to_csr(), graph.by_user());
            prop_assert_eq!(graph.by_item().nnz(), train.n_edges());
            for (weight, (user, item)) in graph.by_item().iter() {
                prop_assert_eq!(graph.by_user().get(item as usize, user as usize), Some(weight));
            }
        }
    }
}
