//! Negatives: items that the user has not interacted with in training.

use gcnrec_graphs::{Interactions, UserId};
use rand::Rng;
use rand::RngExt;

/// After so many rejections the items that are left are gone through: the user has nearly all of
/// them.
const MAX_REJECTIONS: usize = 1000;

/// Draws items uniformly or in proportion to `count^alpha`, rejecting the user's training items.
///
/// A user who has every item that can be drawn gets whatever was drawn last: there is no negative to
/// find. [`NegativeSampler::finds_none`] tells who they are.
#[derive(Debug, Clone)]
pub struct NegativeSampler {
    n_items: u32,
    /// Running sums of the items' weights; empty for the uniform distribution.
    cumulative: Vec<f64>,
}

impl NegativeSampler {
    /// Every item alike.
    pub fn uniform(n_items: usize) -> Self {
        NegativeSampler { n_items: n_items as u32, cumulative: Vec::new() }
    }

    /// In proportion to the training count to the power of `alpha`.
    pub fn popularity(train: &Interactions, alpha: f64) -> Self {
        NegativeSampler::of_counts(&train.item_counts(), alpha)
    }

    /// In proportion to the counts of the items to the power of `alpha`; an item without a count is
    /// never drawn.
    pub fn of_counts(counts: &[u32], alpha: f64) -> Self {
        let mut total = 0.0;
        let running = |&count: &u32| {
            total += if count == 0 { 0.0 } else { f64::from(count).powf(alpha) };
            total
        };
        NegativeSampler { n_items: counts.len() as u32, cumulative: counts.iter().map(running).collect() }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.n_items as usize
    }

    /// How probable an item is in a draw that rejects nothing.
    pub fn probability(&self, item: u32) -> f64 {
        let at = item as usize;
        match self.cumulative.last() {
            None => 1.0 / f64::from(self.n_items.max(1)),
            Some(&total) if total > 0.0 => {
                (self.cumulative[at] - if at == 0 { 0.0 } else { self.cumulative[at - 1] }) / total
            }
            Some(_) => 0.0,
        }
    }

    /// One negative for a user.
    pub fn draw(&self, train: &Interactions, user: UserId, random: &mut impl Rng) -> u32 {
        let seen = train.items_of(user);
        for _ in 0..MAX_REJECTIONS {
            let item = self.any(random);
            if seen.binary_search(&item).is_err() {
                return item;
            }
        }
        self.among_the_others(seen, random).unwrap_or_else(|| self.any(random))
    }

    /// An item outside of `seen` by the same chances, from a list of all of them.
    fn among_the_others(&self, seen: &[u32], random: &mut impl Rng) -> Option<u32> {
        let others: Vec<u32> = (0..self.n_items).filter(|item| seen.binary_search(item).is_err()).collect();
        let total: f64 = others.iter().map(|&item| self.probability(item)).sum();
        let mut point = random.random::<f64>() * total;
        let mut found = None;
        for item in others {
            let chance = self.probability(item);
            if chance > 0.0 {
                found = Some(item);
                if point < chance {
                    break;
                }
                point -= chance;
            }
        }
        found
    }

    /// The users of whom no negative can be found, because they have every item that can be drawn.
    pub fn finds_none(&self, train: &Interactions) -> Vec<bool> {
        let can_be_drawn = |item: &u32| self.probability(*item) > 0.0;
        let n_drawable = (0..self.n_items).filter(can_be_drawn).count();
        let has_all = |user: u32| {
            let items = train.items_of(UserId(user));
            items.len() >= n_drawable && items.iter().filter(|item| can_be_drawn(item)).count() == n_drawable
        };
        (0..train.n_users() as u32).map(has_all).collect()
    }

    /// An item of all.
    pub fn any(&self, random: &mut impl Rng) -> u32 {
        match self.cumulative.last() {
            None => random.random_range(0..self.n_items),
            Some(&total) => {
                let point = random.random::<f64>() * total;
                (self.cumulative.partition_point(|&sum| sum <= point) as u32).min(self.n_items - 1)
            }
        }
    }
}

/// Keeps the item with the highest score of each `n_candidates`, the first of equal ones: `scores`
/// belong to the items one by one.
pub(crate) fn keep_hardest(items: &mut Vec<u32>, scores: &[f32], n_candidates: usize) {
    let hardest = |(items, scores): (&[u32], &[f32])| {
        let mut best = 0;
        for (at, &score) in scores.iter().enumerate() {
            if score > scores[best] {
                best = at;
            }
        }
        items[best]
    };
    let groups = items.chunks(n_candidates.max(1)).zip(scores.chunks(n_candidates.max(1)));
    *items = groups.map(hardest).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{ItemId, Purpose, Seed};

    fn train() -> Interactions {
        // item counts: 0 -> 3, 1 -> 1, 2 -> 0, 3 -> 1
        let pairs = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 3)];
        Interactions::from_pairs(3, 4, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    #[test]
    fn a_negative_is_never_a_training_item_of_the_user() {
        let (train, mut random) = (train(), Seed(1).stream(Purpose::Analysis, 0, 0));
        let sampler = NegativeSampler::uniform(4);
        let drawn: Vec<u32> = (0..200).map(|_| sampler.draw(&train, UserId(1), &mut random)).collect();
        assert!(drawn.iter().all(|&i| i == 2 || i == 3));
        assert!(drawn.contains(&2) && drawn.contains(&3));
    }

    #[test]
    fn popularity_draws_follow_the_counts_and_never_an_unseen_item() {
        let (train, mut random) = (train(), Seed(1).stream(Purpose::Analysis, 0, 0));
        let sampler = NegativeSampler::popularity(&train, 1.0);
        let mut counts = [0usize; 4];
        for _ in 0..5000 {
            counts[sampler.any(&mut random) as usize] += 1;
        }
        // shares 3/5, 1/5, 0, 1/5; the standard deviation of 5000 draws at 3/5 is 35
        assert_eq!(counts[2], 0);
        assert!((counts[0] as i64 - 3000).abs() < 175 && (counts[1] as i64 - 1000).abs() < 150, "{counts:?}");
    }

    #[test]
    fn the_highest_score_of_each_group_wins_and_the_first_of_equal_ones() {
        let mut items = vec![7, 8, 9, 4, 5, 6];
        keep_hardest(&mut items, &[0.5, 2.0, 1.0, -1.0, -3.0, -1.0], 3);
        assert_eq!(items, [8, 4]);
    }

    #[test]
    fn a_user_who_lacks_one_item_of_many_always_gets_that_one() {
        let all_but_one = (0..5000).filter(|&item| item != 777).map(|item| (UserId(0), ItemId(item)));
        let train = Interactions::from_pairs(2, 5000, all_but_one.chain([(UserId(1), ItemId(777))])).unwrap();
        let mut random = Seed(1).stream(Purpose::Analysis, 0, 0);
        for sampler in [NegativeSampler::uniform(5000), NegativeSampler::popularity(&train, 0.75)] {
            assert!((0..20).all(|_| sampler.draw(&train, UserId(0), &mut random) == 777));
            assert_eq!(sampler.finds_none(&train), [false, false]);
        }
    }

    #[test]
    fn a_user_who_has_all_that_can_be_drawn_is_told() {
        // Nobody has item 2: by popularity it is never drawn, so user 1 lacks nothing.
        let pairs = [(0, 0), (1, 0), (1, 1)].map(|(u, i)| (UserId(u), ItemId(i)));
        let train = Interactions::from_pairs(2, 3, pairs).unwrap();
        assert_eq!(NegativeSampler::popularity(&train, 1.0).finds_none(&train), [false, true]);
        assert_eq!(NegativeSampler::uniform(3).finds_none(&train), [false, false]);
    }

    #[test]
    fn a_user_who_has_every_item_does_not_hang() {
        let all = Interactions::from_pairs(1, 2, [(UserId(0), ItemId(0)), (UserId(0), ItemId(1))]).unwrap();
        let item = NegativeSampler::uniform(2).draw(&all, UserId(0), &mut Seed(1).stream(Purpose::Analysis, 0, 0));
        assert!(item < 2);
    }
}
