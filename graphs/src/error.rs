//! Errors of graphs: pairs that make none, and questions without an answer.

use std::fmt;

use thiserror::Error;

/// The two sides of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Users.
    User,
    /// Items.
    Item,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::User => "user",
            Side::Item => "item",
        })
    }
}

/// An error of this crate. `Display` builds one line from the fields.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GraphError {
    /// An id is not below the count of its side.
    #[error("{side} id {id} is out of range: there are {bound} {side}s")]
    OutOfRange {
        /// Which table the id points into.
        side: Side,
        /// The id found.
        id: u32,
        /// How many rows that table has.
        bound: usize,
    },
    /// Positions of the adjacency would not fit in 32 bits.
    #[error("{found} edges are too many: both directions of an edge are counted in 32 bits, the limit is {limit}")]
    TooManyEdges {
        /// Edges found, after duplicates were removed.
        found: usize,
        /// The most there can be.
        limit: usize,
    },
    /// Node numbers would not fit in 32 bits.
    #[error("{n_users} users and {n_items} items are too many nodes: the limit is {limit} together")]
    TooManyNodes {
        /// Users asked for.
        n_users: usize,
        /// Items asked for.
        n_items: usize,
        /// The most there can be together.
        limit: usize,
    },
    /// Two things that should be over the same users and items are not.
    #[error("{what}: {left_users} users x {left_items} items do not match {right_users} users x {right_items} items")]
    SizeMismatch {
        /// The operation.
        what: &'static str,
        /// Users on the left.
        left_users: usize,
        /// Items on the left.
        left_items: usize,
        /// Users on the right.
        right_users: usize,
        /// Items on the right.
        right_items: usize,
    },
    /// A list does not have one entry per edge, node, or table cell.
    #[error("{what}: {found} values were given, {expected} are needed")]
    Length {
        /// What the list holds.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// An edge weight is zero, negative, or not a finite number.
    #[error("edge weight {weight} at edge {edge} should be positive and finite")]
    Weight {
        /// Position of the edge in (user, item) order.
        edge: usize,
        /// The weight found.
        weight: f32,
    },
    /// The chance of keeping an edge is not in (0, 1].
    #[error("edge dropout: keep = {keep} should be above 0 and at most 1")]
    Keep {
        /// The value found.
        keep: f64,
    },
    /// A power of the normalisation is not a finite number.
    #[error("normalization: power {name} = {value} should be finite")]
    Power {
        /// `alpha` or `beta`.
        name: &'static str,
        /// The value found.
        value: f64,
    },
    /// The normalisation sends an edge to a value that single precision cannot hold.
    #[error("normalization: entry ({row}, {col}) became {value}, which is not a finite f32; use smaller powers")]
    Overflow {
        /// Row node.
        row: usize,
        /// Column node.
        col: usize,
        /// The value before rounding.
        value: f64,
    },
    /// A node order repeats a node, or moves one across the border between users and items.
    #[error("node order: node {node} at position {position} is repeated or on the wrong side")]
    NotAPermutation {
        /// The position in the new order.
        position: usize,
        /// The node found there.
        node: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_out_of_range_id_is_told_with_its_side_and_bound() {
        let error = GraphError::OutOfRange { side: Side::Item, id: 9, bound: 4 };
        assert_eq!(error.to_string(), "item id 9 is out of range: there are 4 items");
    }
}
