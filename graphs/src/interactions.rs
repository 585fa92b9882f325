//! User-item interactions: a set of pairs, sorted by user, then by item.

use rayon::slice::ParallelSliceMut;

use crate::{GraphError, ItemId, Side, UserId};

/// The most pairs one set can hold: the adjacency counts both directions of each in a `u32`.
pub const MAX_EDGES: usize = (u32::MAX / 2) as usize;

/// A set of user-item pairs, stored by user. An *edge* is a pair; its number is its position in
/// (user, item) order.
///
/// Costs 8 bytes per edge: the item, and the user again so that an edge number leads to its user
/// without a search.
///
/// ```
/// use gcnrec_graphs::{Interactions, ItemId, UserId};
///
/// let pairs = [(0, 2), (0, 0), (1, 2), (0, 2)].map(|(user, item)| (UserId(user), ItemId(item)));
/// let liked = Interactions::from_pairs(2, 3, pairs)?;
/// assert_eq!((liked.n_edges(), liked.items_of(UserId(0))), (3, &[0, 2][..]));
/// # Ok::<(), gcnrec_graphs::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interactions {
    n_items: usize,
    /// `[n_users + 1]`: where each user's items start.
    user_ptr: Vec<u32>,
    /// `[n_edges]`, rising within a user.
    item_ids: Vec<u32>,
    /// `[n_edges]`: the user of each edge.
    edge_users: Vec<u32>,
}

impl Interactions {
    /// The set of the given pairs; a pair that is given twice is kept once.
    ///
    /// # Errors
    /// [`GraphError::OutOfRange`] for an id that is not below its count,
    /// [`GraphError::TooManyNodes`] and [`GraphError::TooManyEdges`] where 32 bits are not enough.
    pub fn from_pairs(
        n_users: usize,
        n_items: usize,
        pairs: impl IntoIterator<Item = (UserId, ItemId)>,
    ) -> Result<Self, GraphError> {
        check_size(n_users, n_items, 0)?;
        let pairs = pairs.into_iter();
        // One word per pair: sorting words sorts by user, then by item.
        let mut words = Vec::with_capacity(pairs.size_hint().0);
        for (user, item) in pairs {
            if user.index() >= n_users {
                return Err(GraphError::OutOfRange { side: Side::User, id: user.0, bound: n_users });
            }
            if item.index() >= n_items {
                return Err(GraphError::OutOfRange { side: Side::Item, id: item.0, bound: n_items });
            }
            words.push(u64::from(user.0) << 32 | u64::from(item.0));
        }
        if !words.is_sorted() {
            words.par_sort_unstable();
        }
        words.dedup();
        check_size(n_users, n_items, words.len())?;
        Ok(Self::from_sorted(n_users, n_items, words.len(), words.into_iter().map(|w| ((w >> 32) as u32, w as u32))))
    }

    /// Lays out pairs that are already sorted, free of duplicates and in range.
    fn from_sorted(n_users: usize, n_items: usize, capacity: usize, sorted: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut user_ptr = vec![0u32; n_users + 1];
        let mut item_ids = Vec::with_capacity(capacity);
        let mut edge_users = Vec::with_capacity(capacity);
        for (user, item) in sorted {
            user_ptr[user as usize + 1] += 1;
            item_ids.push(item);
            edge_users.push(user);
        }
        for user in 0..n_users {
            user_ptr[user + 1] += user_ptr[user];
        }
        Self { n_items, user_ptr, item_ids, edge_users }
    }

    /// How many users there are, with or without items.
    pub fn n_users(&self) -> usize {
        self.user_ptr.len() - 1
    }

    /// How many items there are, with or without users.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// How many pairs the set holds.
    pub fn n_edges(&self) -> usize {
        self.item_ids.len()
    }

    /// True when the set holds no pair.
    pub fn is_empty(&self) -> bool {
        self.item_ids.is_empty()
    }

    /// The edge numbers of a user.
    pub fn edges_of(&self, user: UserId) -> std::ops::Range<usize> {
        self.user_ptr[user.index()] as usize..self.user_ptr[user.index() + 1] as usize
    }

    /// The items of a user, rising.
    pub fn items_of(&self, user: UserId) -> &[u32] {
        &self.item_ids[self.edges_of(user)]
    }

    /// How many items a user has.
    pub fn user_degree(&self, user: UserId) -> usize {
        self.edges_of(user).len()
    }

    /// True when the pair is in the set. A binary search in the user's items.
    pub fn contains(&self, user: UserId, item: ItemId) -> bool {
        self.edge(user, item).is_some()
    }

    /// The number of the edge between a user and an item, if they met.
    pub fn edge(&self, user: UserId, item: ItemId) -> Option<usize> {
        let edges = self.edges_of(user);
        self.item_ids[edges.clone()].binary_search(&item.0).ok().map(|at| edges.start + at)
    }

    /// The user at one end of an edge.
    pub fn user_of_edge(&self, edge: usize) -> UserId {
        UserId(self.edge_users[edge])
    }

    /// The item at the other end.
    pub fn item_of_edge(&self, edge: usize) -> ItemId {
        ItemId(self.item_ids[edge])
    }

    /// All pairs in (user, item) order: the `e`-th one is edge `e`.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (UserId, ItemId)> + '_ {
        self.edge_users.iter().zip(&self.item_ids).map(|(&user, &item)| (UserId(user), ItemId(item)))
    }

    /// How many users each item has: `[n_items]`.
    pub fn item_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_items];
        for &item in &self.item_ids {
            counts[item as usize] += 1;
        }
        counts
    }

    /// How many items each user has: `[n_users]`.
    pub fn user_counts(&self) -> Vec<u32> {
        self.user_ptr.windows(2).map(|ends| ends[1] - ends[0]).collect()
    }

    /// Where each user's edges start: `[n_users + 1]`.
    pub fn user_ptr(&self) -> &[u32] {
        &self.user_ptr
    }

    /// The item of every edge: `[n_edges]`.
    pub fn item_ids(&self) -> &[u32] {
        &self.item_ids
    }

    /// The edges for which `keep` says yes, over the same users and items.
    pub fn filtered(&self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let kept = self.pairs().enumerate().filter(|&(edge, _)| keep(edge)).map(|(_, (user, item))| (user.0, item.0));
        Self::from_sorted(self.n_users(), self.n_items, 0, kept)
    }

    /// The pairs that are in either set, over the same users and items.
    ///
    /// # Errors
    /// [`GraphError::SizeMismatch`] when the sets differ in their users or items,
    /// [`GraphError::TooManyEdges`] as in [`Interactions::from_pairs`].
    pub fn union(&self, other: &Self) -> Result<Self, GraphError> {
        if (self.n_users(), self.n_items) != (other.n_users(), other.n_items) {
            return Err(GraphError::SizeMismatch {
                what: "union of interactions",
                left_users: self.n_users(),
                left_items: self.n_items,
                right_users: other.n_users(),
                right_items: other.n_items,
            });
        }
        let mut merged = Vec::with_capacity(self.n_edges() + other.n_edges());
        let (mut left, mut right) = (self.pairs().peekable(), other.pairs().peekable());
        loop {
            let next = match (left.peek().copied(), right.peek().copied()) {
                (None, None) => break,
                (Some(pair), None) | (None, Some(pair)) => pair,
                (Some(a), Some(b)) => a.min(b),
            };
            // A pair that heads both lists is taken from both.
            left.next_if_eq(&next);
            right.next_if_eq(&next);
            merged.push((next.0.0, next.1.0));
        }
        check_size(self.n_users(), self.n_items, merged.len())?;
        Ok(Self::from_sorted(self.n_users(), self.n_items, merged.len(), merged.into_iter()))
    }
}

/// Refuses sizes that 32-bit positions cannot hold.
fn check_size(n_users: usize, n_items: usize, n_edges: usize) -> Result<(), GraphError> {
    let limit = u32::MAX as usize;
    if n_users.saturating_add(n_items) > limit {
        return Err(GraphError::TooManyNodes { n_users, n_items, limit });
    }
    if n_edges > MAX_EDGES {
        return Err(GraphError::TooManyEdges { found: n_edges, limit: MAX_EDGES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{raw_world, world};

    #[test]
    fn pairs_come_out_sorted_and_without_duplicates() {
        let seen = world(3, 4, &[(2, 1), (0, 3), (2, 0), (0, 3), (0, 1)]);
        let pairs: Vec<_> = seen.pairs().map(|(u, i)| (u.0, i.0)).collect();
        assert_eq!(pairs, [(0, 1), (0, 3), (2, 0), (2, 1)]);
        assert_eq!(seen.user_ptr(), [0, 2, 2, 4]);
        assert_eq!(seen.items_of(UserId(1)), [0u32; 0]);
        assert_eq!(seen.item_counts(), [1, 2, 0, 1]);
        assert_eq!(seen.user_counts(), [2, 0, 2]);
    }

    #[test]
    fn an_id_at_the_bound_is_refused_by_side() {
        let user = Interactions::from_pairs(2, 2, [(UserId(2), ItemId(0))]);
        assert_eq!(user, Err(GraphError::OutOfRange { side: Side::User, id: 2, bound: 2 }));
        let item = Interactions::from_pairs(2, 2, [(UserId(1), ItemId(7))]);
        assert_eq!(item, Err(GraphError::OutOfRange { side: Side::Item, id: 7, bound: 2 }));
    }

    #[test]
    fn sizes_beyond_32_bits_are_refused() {
        let nodes = Interactions::from_pairs(u32::MAX as usize, 1, []);
        assert!(matches!(nodes, Err(GraphError::TooManyNodes { .. })));
        assert!(check_size(5, 5, MAX_EDGES).is_ok());
        let edges = check_size(5, 5, MAX_EDGES + 1);
        assert_eq!(edges, Err(GraphError::TooManyEdges { found: MAX_EDGES + 1, limit: MAX_EDGES }));
    }

    #[test]
    fn sets_over_different_tables_do_not_unite() {
        assert!(matches!(world(2, 3, &[]).union(&world(2, 4, &[])), Err(GraphError::SizeMismatch { .. })));
    }

    proptest! {
        #[test]
        fn interactions_hold_exactly_the_set_they_were_given((n_users, n_items, raw) in raw_world()) {
            let seen = world(n_users, n_items, &raw);
            let expected: BTreeSet<_> = raw.iter().copied().collect();
            prop_assert!(seen.pairs().map(|(u, i)| (u.0, i.0)).eq(expected.iter().copied()));
            prop_assert_eq!(&Interactions::from_pairs(n_users, n_items, seen.pairs()).unwrap(), &seen);
            for user in 0..n_users as u32 {
                for item in 0..n_items as u32 {
                    let (user, item) = (UserId(user), ItemId(item));
                    prop_assert_eq!(seen.contains(user, item), expected.contains(&(user.0, item.0)));
                }
            }
            for (edge, (user, item)) in seen.pairs().enumerate() {
                prop_assert_eq!((seen.user_of_edge(edge), seen.item_of_edge(edge)), (user, item));
                prop_assert_eq!(seen.edge(user, item), Some(edge));
            }
        }

        #[test]
        fn a_set_is_the_union_of_any_two_halves((n_users, n_items, raw) in raw_world(), cut in 0usize..80) {
            let cut = cut.min(raw.len());
            // The second half starts one pair early, so that the halves overlap.
            let (left, right) = (&raw[..cut], &raw[cut.saturating_sub(1)..]);
            let united = world(n_users, n_items, left).union(&world(n_users, n_items, right)).unwrap();
            prop_assert_eq!(united, world(n_users, n_items, &raw));
        }

        #[test]
        fn what_a_filter_keeps_and_drops_unite_to_the_whole((n_users, n_items, raw) in raw_world()) {
            let seen = world(n_users, n_items, &raw);
            let (odd, even) = (seen.filtered(|edge| edge % 2 == 1), seen.filtered(|edge| edge % 2 == 0));
            prop_assert_eq!(odd.n_edges(), seen.n_edges() / 2);
            prop_assert_eq!(odd.union(&even).unwrap(), seen);
        }
    }
}
