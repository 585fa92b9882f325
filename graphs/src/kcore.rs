//! Iterative k-core: the pairs that are left once users and items with too few pairs have gone.

use std::ops::RangeInclusive;

use crate::{ItemId, UserId};

/// Marks the pairs of the core in which every user has at least `min_user` pairs and every item at
/// least `min_item`. The order of removal does not matter: the core is unique. A pair that stands
/// twice counts twice.
///
/// # Shapes
/// - returns one flag per pair: true where it stays
pub fn k_core(pairs: &[(UserId, ItemId)], min_user: u32, min_item: u32) -> Vec<bool> {
    k_core_within(pairs, min_user..=u32::MAX, min_item..=u32::MAX)
}

/// Marks the pairs left when users and items whose number of pairs is outside its interval are
/// removed, round by round, until a round removes nothing. In each round both sides are judged on
/// the same counts, then all condemned pairs go. With an upper bound the result depends on this
/// order, which is therefore fixed. A pair that stands twice counts twice.
///
/// # Shapes
/// - returns one flag per pair: true where it stays
///
/// # Source
/// The loop over `user_inter_num_interval` and `item_inter_num_interval` of RecBole's dataset
/// filter.
pub fn k_core_within(pairs: &[(UserId, ItemId)], users: RangeInclusive<u32>, items: RangeInclusive<u32>) -> Vec<bool> {
    let n_users = pairs.iter().map(|(user, _)| user.index() + 1).max().unwrap_or(0);
    let n_items = pairs.iter().map(|(_, item)| item.index() + 1).max().unwrap_or(0);
    let (mut user_counts, mut item_counts) = (vec![0u32; n_users], vec![0u32; n_items]);
    for (user, item) in pairs {
        user_counts[user.index()] += 1;
        item_counts[item.index()] += 1;
    }
    let mut keep = vec![true; pairs.len()];
    let mut left: Vec<usize> = (0..pairs.len()).collect();
    loop {
        let condemned = |&at: &usize| {
            let (user, item) = pairs[at];
            !users.contains(&user_counts[user.index()]) || !items.contains(&item_counts[item.index()])
        };
        let (gone, stay): (Vec<usize>, Vec<usize>) = left.into_iter().partition(condemned);
        if gone.is_empty() {
            return keep;
        }
        for at in gone {
            keep[at] = false;
            user_counts[pairs[at].0.index()] -= 1;
            item_counts[pairs[at].1.index()] -= 1;
        }
        left = stay;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::raw_world;

    fn typed(raw: &[(u32, u32)]) -> Vec<(UserId, ItemId)> {
        raw.iter().map(|&(user, item)| (UserId(user), ItemId(item))).collect()
    }

    #[test]
    fn a_chain_unravels_from_its_end_and_leaves_the_square() {
        // u0-i0, u0-i1, u1-i0, u1-i1 is a square: everyone has two. The chain i1 - u2 - i2 - u3 -
        // i3 hangs on it. i3 goes (1 pair), then u3 (1 left), i2, u2; i1 still has its two of the
        // square.
        let pairs = typed(&[(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]);
        assert_eq!(k_core(&pairs, 2, 2), [true, true, true, true, false, false, false, false]);
    }

    #[test]
    fn a_chain_alone_unravels_to_nothing() {
        // i0 - u0 - i1 - u1 - i2: the ends i0 and i2 have one pair, without them u0 and u1 have
        // one.
        let pairs = typed(&[(0, 0), (0, 1), (1, 1), (1, 2)]);
        assert_eq!(k_core(&pairs, 2, 2), [false; 4]);
        assert_eq!(k_core(&pairs, 2, 1), [true; 4]);
        assert!(k_core(&[], 2, 2).is_empty());
    }

    #[test]
    fn repeated_pairs_count_as_often_as_they_stand() {
        assert_eq!(k_core(&typed(&[(0, 0), (0, 0), (1, 1)]), 2, 2), [true, true, false]);
    }

    #[test]
    fn both_sides_are_judged_before_anyone_goes() {
        // u0 and i0 have three pairs each, the limit is two. Together both go in the first round
        // and nothing is left; one side after the other, i0 would be down to two pairs once u0 is
        // gone, and stay.
        let pairs = typed(&[(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]);
        assert_eq!(k_core_within(&pairs, 1..=2, 1..=2), [false; 5]);
    }

    proptest! {
        #[test]
        fn the_core_meets_its_bounds_and_is_the_largest_that_does(
            (_, _, raw) in raw_world(), min_user in 0u32..5, min_item in 0u32..5,
        ) {
            let pairs = typed(&raw);
            let keep = k_core(&pairs, min_user, min_item);
            // Reference: take away one condemned pair at a time, in any order.
            let mut left: Vec<usize> = (0..pairs.len()).collect();
            loop {
                let enough = |at: &usize| {
                    let of_user = left.iter().filter(|&&o| pairs[o].0 == pairs[*at].0).count() as u32;
                    let of_item = left.iter().filter(|&&o| pairs[o].1 == pairs[*at].1).count() as u32;
                    of_user >= min_user && of_item >= min_item
                };
                match left.iter().position(|at| !enough(at)) {
                    Some(place) => { left.remove(place); }
                    None => break,
                }
            }
            let kept: Vec<usize> = (0..pairs.len()).filter(|&at| keep[at]).collect();
            prop_assert_eq!(kept, left);
        }
    }
}
