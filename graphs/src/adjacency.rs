//! The adjacency of the whole graph, normalised by node degrees: what embeddings are propagated
//! with.

use crate::{BipartiteGraph, GraphError, Normalization, UserId};

/// Divides every edge by powers of its nodes' degrees: `A'[a,b] = w[a,b] d[a]^-alpha d[b]^-beta`,
/// without self-loops.
///
/// Nodes are users first, then items: item `i` is node `n_users + i`. An edge stands twice, once in
/// the user's row and once in the item's. Columns rise within a row; a node without edges has an
/// empty row. The first `n_edges` entries are the users' rows, so entry `e` below `n_edges` is edge
/// `e` in (user, item) order.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eqs. 3 and 8; the other normalisations are those of its table
/// 5 and of LightGCN++. We differ: isolated nodes give a zero row, not NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalizedAdjacency {
    pub(crate) row_ptr: Vec<u32>,
    pub(crate) col_idx: Vec<u32>,
    pub(crate) values: Vec<f32>,
    pub(crate) n_users: usize,
    pub(crate) n_items: usize,
    pub(crate) symmetric: bool,
}

impl NormalizedAdjacency {
    /// Normalises a graph. Degrees are sums of edge weights; values are computed in double
    /// precision and rounded once.
    ///
    /// # Errors
    /// [`GraphError::Power`] for a power that is not finite, [`GraphError::Overflow`] when a value
    /// leaves `f32`.
    pub fn from_graph(graph: &BipartiteGraph, normalization: Normalization) -> Result<Self, GraphError> {
        normalization.check()?;
        let (n_users, n_items) = (graph.n_users(), graph.n_items());
        let mut degrees = graph.user_degrees();
        degrees.extend(graph.item_degrees());
        let factors: Vec<_> = degrees.iter().map(|&degree| normalization.factors(degree)).collect();

        let n_entries = 2 * graph.n_edges();
        let mut row_ptr = Vec::with_capacity(n_users + n_items + 1);
        let (mut col_idx, mut values) = (Vec::with_capacity(n_entries), Vec::with_capacity(n_entries));
        row_ptr.push(0);
        // (matrix of one direction, its first row node, its first column node)
        for (matrix, first_row, first_col) in [(graph.by_user(), 0, n_users), (graph.by_item(), n_users, 0)] {
            for (at, row) in matrix.outer_iterator().enumerate() {
                let row_factor = factors[first_row + at].0;
                for (other, &weight) in row.iter() {
                    let col = first_col + other;
                    // The factors first: their product is the same in both directions of a
                    // symmetric normalisation.
                    let value = f64::from(weight) * (row_factor * factors[col].1);
                    if !(value as f32).is_finite() {
                        return Err(GraphError::Overflow { row: first_row + at, col, value });
                    }
                    col_idx.push(col as u32);
                    values.push(value as f32);
                }
                row_ptr.push(col_idx.len() as u32);
            }
        }
        Ok(Self { row_ptr, col_idx, values, n_users, n_items, symmetric: normalization.is_symmetric() })
    }

    /// How many users there are.
    pub fn n_users(&self) -> usize {
        self.n_users
    }

    /// How many items there are.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Users and items together: the number of rows and of columns.
    pub fn n_nodes(&self) -> usize {
        self.n_users + self.n_items
    }

    /// How many edges there are, each counted once: half the entries.
    pub fn n_edges(&self) -> usize {
        self.col_idx.len() / 2
    }

    /// Where each row's entries start: `[n_nodes + 1]`.
    pub fn row_ptr(&self) -> &[u32] {
        &self.row_ptr
    }

    /// The column of every entry: `[2 n_edges]`.
    pub fn col_idx(&self) -> &[u32] {
        &self.col_idx
    }

    /// The value of every entry: `[2 n_edges]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// True when the matrix is its own transpose, so that one copy serves forward and backward.
    pub fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// The columns and values of a node's row.
    pub fn row(&self, node: usize) -> (&[u32], &[f32]) {
        let entries = self.row_ptr[node] as usize..self.row_ptr[node + 1] as usize;
        (&self.col_idx[entries.clone()], &self.values[entries])
    }

    /// One value, if the two nodes are joined.
    pub fn get(&self, row: usize, col: usize) -> Option<f32> {
        let (cols, values) = self.row(row);
        let at = cols.binary_search(&u32::try_from(col).ok()?).ok()?;
        Some(values[at])
    }

    /// The edge number that a user's row starts with.
    pub fn first_edge_of(&self, user: UserId) -> usize {
        self.row_ptr[user.index()] as usize
    }

    /// For each edge, where its second entry stands, the one in the item's row: `[n_edges]`.
    pub fn mirrors(&self) -> Vec<u32> {
        let mut mirrors = Vec::with_capacity(self.n_edges());
        self.for_each_mirror(|_, mirror| mirrors.push(mirror as u32));
        mirrors
    }

    /// Calls `visit(edge, mirror)` for all edges in order. Users rise along the edges and within
    /// every item's row, so the next free place of the item's row is the mirror: no search, and
    /// nothing to store.
    pub(crate) fn for_each_mirror(&self, mut visit: impl FnMut(usize, usize)) {
        let mut next = self.row_ptr[self.n_users..self.n_nodes()].to_vec();
        for (edge, &item_node) in self.col_idx[..self.n_edges()].iter().enumerate() {
            let place = &mut next[item_node as usize - self.n_users];
            visit(edge, *place as usize);
            *place += 1;
        }
    }

    /// Swaps rows and columns. The pattern stays, since edges have no direction; the two values of
    /// each edge swap.
    pub fn transpose(&self) -> Self {
        let mut transposed = self.clone();
        if !self.symmetric {
            self.for_each_mirror(|edge, mirror| transposed.values.swap(edge, mirror));
        }
        transposed
    }

    /// The same pattern with other values, for example those of
    /// [`with_edge_dropout`](NormalizedAdjacency::with_edge_dropout).
    ///
    /// # Errors
    /// [`GraphError::Length`] when there is not one value per entry.
    pub fn with_values(&self, values: Vec<f32>) -> Result<Self, GraphError> {
        if values.len() != self.values.len() {
            let (found, expected) = (values.len(), self.values.len());
            return Err(GraphError::Length { what: "adjacency values", found, expected });
        }
        let mut symmetric = true;
        self.for_each_mirror(|edge, mirror| symmetric &= values[edge] == values[mirror]);
        Ok(Self { row_ptr: self.row_ptr.clone(), col_idx: self.col_idx.clone(), values, symmetric, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};

    fn normalized(n_users: usize, n_items: usize, pairs: &[(u32, u32)], by: Normalization) -> NormalizedAdjacency {
        let graph = BipartiteGraph::from_train(&world(n_users, n_items, pairs));
        NormalizedAdjacency::from_graph(&graph, by).unwrap()
    }

    /// `A x` in double precision.
    fn product(a: &NormalizedAdjacency, x: &[f64]) -> Vec<f64> {
        (0..a.n_nodes())
            .map(|node| {
                let (cols, values) = a.row(node);
                cols.iter().zip(values).map(|(&col, &value)| f64::from(value) * x[col as usize]).sum()
            })
            .collect()
    }

    #[test]
    fn a_path_has_the_values_worked_out_by_hand() {
        // u0 - i0 - u1 - i1, degrees 1, 2, 2, 1: 1/sqrt(1*2), 1/sqrt(2*2), 1/sqrt(2*1). u2 stands
        // alone.
        let a = normalized(3, 2, &[(0, 0), (1, 0), (1, 1)], Normalization::Symmetric);
        assert_eq!(a.row_ptr(), [0, 1, 3, 3, 5, 6]);
        assert_eq!(a.col_idx(), [3, 3, 4, 0, 1, 1]);
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for (found, expected) in a.values().iter().zip([half, 0.5, half, half, 0.5, half]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-7);
        }
        assert_eq!(a.mirrors(), [3, 4, 5]);
        assert_eq!((a.get(2, 3), a.get(0, 4)), (None, None));
    }

    #[test]
    fn a_star_has_the_values_worked_out_by_hand() {
        // One user with three items: degrees 3 and 1, 1, 1.
        let star = |by| normalized(1, 3, &[(0, 0), (0, 1), (0, 2)], by);
        let third = 1.0f32 / 3.0;
        let root = 1.0 / 3.0f32.sqrt();
        let expect = |a: NormalizedAdjacency, user: f32, item: f32| {
            for (found, expected) in a.values().iter().zip([user, user, user, item, item, item]) {
                assert_relative_eq!(*found, expected, max_relative = 1e-6);
            }
        };
        expect(star(Normalization::Symmetric), root, root);
        expect(star(Normalization::Row), third, 1.0);
        expect(star(Normalization::Column), 1.0, third);
        // The user's row: 3^-.6 * 1; the items' rows: 1 * 3^.1.
        let plus = Normalization::Powers { alpha: 0.6, beta: -0.1 };
        expect(star(plus), 0.517_281_9, 1.116_123_2);
        expect(star(plus).transpose(), 1.116_123_2, 0.517_281_9);
    }

    #[test]
    fn weights_count_as_degrees() {
        // u0-i0 weight 3, u0-i1 weight 1: degrees 4, 3, 1; 3/sqrt(12), 1/sqrt(4).
        let graph = BipartiteGraph::from_weighted(&world(1, 2, &[(0, 0), (0, 1)]), vec![3.0, 1.0]).unwrap();
        let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
        assert_relative_eq!(a.get(0, 1).unwrap(), 0.866_025_4, max_relative = 1e-6);
        assert_relative_eq!(a.get(2, 0).unwrap(), 0.5, max_relative = 1e-6);
    }

    #[test]
    fn powers_that_are_not_numbers_or_too_large_are_refused() {
        let graph = BipartiteGraph::from_train(&world(1, 2, &[(0, 0), (0, 1)]));
        let by = |alpha, beta| NormalizedAdjacency::from_graph(&graph, Normalization::Powers { alpha, beta });
        assert_eq!(by(0.5, f64::INFINITY), Err(GraphError::Power { name: "beta", value: f64::INFINITY }));
        // 2^1000 is beyond f32.
        assert!(matches!(by(-1000.0, 0.0), Err(GraphError::Overflow { row: 0, col: 1, .. })));
    }

    #[test]
    fn new_values_need_one_per_entry() {
        let a = normalized(1, 2, &[(0, 0), (0, 1)], Normalization::Symmetric);
        assert!(matches!(a.with_values(vec![1.0; 3]), Err(GraphError::Length { found: 3, expected: 4, .. })));
        assert!(!a.with_values(vec![1.0, 1.0, 1.0, 2.0]).unwrap().is_symmetric());
    }

    proptest! {
        /// Tolerance: values carry a rounding of 2^-24 each, and all terms of a row are positive.
        #[test]
        fn roots_of_degrees_are_an_eigenvector_of_value_one(train in any_world()) {
            let graph = BipartiteGraph::from_train(&train);
            let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
            let roots: Vec<f64> =
                graph.user_degrees().into_iter().chain(graph.item_degrees()).map(f64::sqrt).collect();
            for (found, expected) in product(&a, &roots).iter().zip(&roots) {
                prop_assert!((found - expected).abs() <= 1e-7 * expected, "{found} {expected}");
            }
        }

        #[test]
        fn symmetric_values_are_equal_to_the_bit_in_both_directions(train in any_world()) {
            let graph = BipartiteGraph::from_train(&train);
            let powers = Normalization::Powers { alpha: 0.3, beta: 0.3 };
            for by in [Normalization::Symmetric, powers] {
                let a = NormalizedAdjacency::from_graph(&graph, by).unwrap();
                prop_assert!(a.is_symmetric());
                for (edge, mirror) in a.mirrors().into_iter().enumerate() {
                    prop_assert_eq!(a.values()[edge], a.values()[mirror as usize]);
                }
            }
        }

        /// Power iteration: the growth of the length approaches the largest |eigenvalue| from
        /// below.
        #[test]
        fn no_eigenvalue_is_above_one(train in any_world()) {
            let graph = BipartiteGraph::from_train(&train);
            let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
            let mut x: Vec<f64> = (0..a.n_nodes()).map(|node| 1.0 + (node % 5) as f64).collect();
            for _ in 0..60 {
                let y = product(&a, &x);
                let length = |v: &[f64]| v.iter().map(|e| e * e).sum::<f64>().sqrt();
                let growth = length(&y) / length(&x);
                prop_assert!(growth <= 1.0 + 1e-7, "{growth}");
                if growth == 0.0 {
                    break;
                }
                x = y;
            }
        }

        #[test]
        fn a_transpose_has_rows_and_columns_swapped(train in any_world()) {
            let graph = BipartiteGraph::from_train(&train);
            let a = NormalizedAdjacency::from_graph(&graph, Normalization::Row).unwrap();
            let swapped = a.transpose();
            for row in 0..a.n_nodes() {
                for col in 0..a.n_nodes() {
                    prop_assert_eq!(a.get(row, col), swapped.get(col, row));
                }
            }
            prop_assert_eq!(&swapped, &NormalizedAdjacency::from_graph(&graph, Normalization::Column).unwrap());
            prop_assert_eq!(swapped.transpose(), a);
        }
    }
}
