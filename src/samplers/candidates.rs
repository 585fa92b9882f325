//! Sampled candidates: items that a held-out item is ranked among where not the whole catalogue is.

use gcnrec_graphs::{Interactions, Purpose, Seed, UserId};
use rayon::prelude::*;

use super::NegativeSampler;

/// Streams of candidates lie far above the epochs of training, which share their purpose.
const EPOCH: u64 = u64::MAX;

/// For each user with a held-out item, rising, `n_draws` items for every held-out pair: drawn with
/// replacement from `sampler`, never one of the user's items in `known`. A draw that finds no other
/// item (the user has them all) is left out.
///
/// A user's draws depend on the seed and the user alone.
///
/// # Source
/// RecBole's modes `uniN` and `popN`: a user's held-out items share one pool, in which repeats
/// collapse. We differ: our draws are our own.
pub(crate) fn draw_candidates(
    relevant: &Interactions,
    known: &Interactions,
    sampler: &NegativeSampler,
    n_draws: usize,
    seed: Seed,
) -> Vec<Vec<u32>> {
    let users: Vec<UserId> =
        (0..relevant.n_users() as u32).map(UserId).filter(|&user| !relevant.items_of(user).is_empty()).collect();
    let finds_none = sampler.finds_none(known);
    let draw = |&user: &UserId| {
        if finds_none[user.index()] {
            return Vec::new();
        }
        let mut random = seed.stream(Purpose::Negative, EPOCH, u64::from(user.0));
        let draws = n_draws * relevant.items_of(user).len();
        let items = (0..draws).map(|_| sampler.draw(known, user, &mut random));
        items.filter(|item| known.items_of(user).binary_search(item).is_err()).collect()
    };
    users.par_iter().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::ItemId;

    fn pairs(pairs: &[(u32, u32)]) -> Interactions {
        Interactions::from_pairs(3, 5, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    #[test]
    fn draws_avoid_what_the_user_has_and_are_as_many_as_asked_for() {
        let relevant = pairs(&[(0, 0), (2, 1), (2, 2)]);
        let known = pairs(&[(0, 0), (0, 1), (2, 1), (2, 2), (2, 3)]);
        let drawn = draw_candidates(&relevant, &known, &NegativeSampler::uniform(5), 50, Seed(1));
        assert_eq!(drawn.iter().map(Vec::len).collect::<Vec<_>>(), [50, 100]);
        let distinct = |items: &[u32]| (0..5).filter(|item| items.contains(item)).collect::<Vec<u32>>();
        assert_eq!((distinct(&drawn[0]), distinct(&drawn[1])), (vec![2, 3, 4], vec![0, 4]));
        assert_eq!(drawn, draw_candidates(&relevant, &known, &NegativeSampler::uniform(5), 50, Seed(1)));
        assert_ne!(drawn, draw_candidates(&relevant, &known, &NegativeSampler::uniform(5), 50, Seed(2)));
    }

    #[test]
    fn a_user_who_has_everything_has_no_candidates() {
        let all = pairs(&[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
        let drawn = draw_candidates(&pairs(&[(1, 4)]), &all, &NegativeSampler::uniform(5), 3, Seed(1));
        assert_eq!(drawn, [Vec::<u32>::new()]);
    }
}
