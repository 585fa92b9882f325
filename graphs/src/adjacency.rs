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
mod tests;
