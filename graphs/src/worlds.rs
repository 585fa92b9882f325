//! Small random worlds for the property tests of this crate.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Interactions, ItemId, UserId};

/// Sizes and raw pairs: duplicates and isolated nodes occur, and either table may be larger.
pub(crate) fn raw_world() -> impl Strategy<Value = (usize, usize, Vec<(u32, u32)>)> {
    (1..17usize, 1..19usize).prop_flat_map(|(n_users, n_items)| {
        vec((0..n_users as u32, 0..n_items as u32), 0..80).prop_map(move |pairs| (n_users, n_items, pairs))
    })
}

/// The pairs as interactions.
pub(crate) fn world(n_users: usize, n_items: usize, pairs: &[(u32, u32)]) -> Interactions {
    Interactions::from_pairs(n_users, n_items, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i))))
        .expect("test pairs should be in range")
}

/// Random interactions.
pub(crate) fn any_world() -> impl Strategy<Value = Interactions> {
    raw_world().prop_map(|(n_users, n_items, pairs)| world(n_users, n_items, &pairs))
}
