//! Batches of user-item pairs, with sampled negatives where the loss wants them.
//!
//! Sources for the two orders: RecBole and SELFRec take each training pair once an epoch; LightGCN
//! draws a user uniformly and then one of the user's items, which makes heavy users count less.

use gcnrec_graphs::{Interactions, Purpose, Seed, UserId};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{Batch, NegativeSampler, Sampler};

/// How the pairs of an epoch are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairOrder {
    /// Each training pair once, shuffled.
    PairUniform,
    /// As many draws as training pairs: a user with items uniformly, then one of the user's items.
    UserUniform,
    /// No pairs drawn at all: blocks of users times items, each pair of both once an epoch (see
    /// `BlockSampler`).
    Blocks {
        /// Users of a block.
        users: usize,
        /// Items of a block.
        items: usize,
    },
}

/// Draws batches of pairs.
#[derive(Debug)]
pub struct PairSampler {
    seed: Seed,
    order: PairOrder,
    batch_size: usize,
    negatives: Option<(NegativeSampler, usize)>,
    /// The pairs that are drawn.
    edges: Vec<u32>,
    /// Users with at least one of them: the others cannot be drawn.
    active_users: Vec<u32>,
    /// The shuffled edges of the epoch in `shuffled_for`; empty for `UserUniform`.
    shuffled: Vec<u32>,
    shuffled_for: Option<u64>,
}

impl PairSampler {
    /// A sampler over the pairs of `train`; `negatives` are the sampler and how many it draws for
    /// each pair. Users who have every item that can be drawn are left out where negatives are.
    pub fn new(
        train: &Interactions,
        seed: Seed,
        order: PairOrder,
        batch_size: usize,
        negatives: Option<(NegativeSampler, usize)>,
    ) -> Self {
        let finds_none = match &negatives {
            Some((sampler, n_negatives)) if *n_negatives > 0 => sampler.finds_none(train),
            _ => vec![false; train.n_users()],
        };
        let is_drawn = |&user: &u32| !finds_none[user as usize];
        let has_items = |user: &u32| !train.items_of(UserId(*user)).is_empty();
        let active_users: Vec<u32> = (0..train.n_users() as u32).filter(is_drawn).filter(has_items).collect();
        let edges =
            active_users.iter().flat_map(|&user| train.edges_of(UserId(user))).map(|edge| edge as u32).collect();
        PairSampler {
            seed,
            order,
            batch_size,
            negatives,
            edges,
            active_users,
            shuffled: Vec::new(),
            shuffled_for: None,
        }
    }

    fn shuffle(&mut self, epoch: u64) {
        if self.order == PairOrder::PairUniform && self.shuffled_for != Some(epoch) {
            self.shuffled.clone_from(&self.edges);
            self.shuffled.shuffle(&mut self.seed.stream(Purpose::Batch, epoch, u64::MAX));
            self.shuffled_for = Some(epoch);
        }
    }
}

impl Sampler for PairSampler {
    fn n_batches(&self) -> usize {
        self.edges.len().div_ceil(self.batch_size)
    }

    fn n_examples(&self) -> usize {
        self.edges.len()
    }

    fn batch(&mut self, train: &Interactions, epoch: u64, step: usize, batch: &mut Batch) {
        self.shuffle(epoch);
        batch.clear();
        let examples = step * self.batch_size..((step + 1) * self.batch_size).min(self.edges.len());
        match self.order {
            PairOrder::PairUniform => {
                for &edge in &self.shuffled[examples] {
                    batch.users.push(train.user_of_edge(edge as usize).0);
                    batch.positives.push(train.item_ids()[edge as usize]);
                    batch.edges.push(edge);
                }
            }
            PairOrder::UserUniform | PairOrder::Blocks { .. } => {
                let mut random = self.seed.stream(Purpose::Batch, epoch, step as u64);
                for _ in examples {
                    let user = self.active_users[random.random_range(0..self.active_users.len())];
                    let items = train.items_of(UserId(user));
                    let chosen = random.random_range(0..items.len());
                    batch.users.push(user);
                    batch.positives.push(items[chosen]);
                    batch.edges.push((train.edges_of(UserId(user)).start + chosen) as u32);
                }
            }
        }
        if let Some((sampler, n_negatives)) = &self.negatives {
            let mut random = self.seed.stream(Purpose::Negative, epoch, step as u64);
            for &user in &batch.users {
                for _ in 0..*n_negatives {
                    batch.negatives.push(sampler.draw(train, UserId(user), &mut random));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::ItemId;

    fn train() -> Interactions {
        let pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (2, 0), (2, 5)];
        Interactions::from_pairs(3, 7, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    fn epoch(order: PairOrder, epoch: u64) -> Vec<(u32, u32)> {
        let train = train();
        let negatives = Some((NegativeSampler::uniform(7), 2));
        let mut sampler = PairSampler::new(&train, Seed(3), order, 3, negatives);
        let (mut pairs, mut batch) = (Vec::new(), Batch::default());
        assert_eq!(sampler.n_batches(), 3);
        for step in 0..3 {
            sampler.batch(&train, epoch, step, &mut batch);
            assert_eq!(batch.negatives.len(), 2 * batch.users.len());
            pairs.extend(batch.users.iter().copied().zip(batch.positives.iter().copied()));
        }
        pairs
    }

    #[test]
    fn pair_order_takes_every_pair_once_in_an_order_of_its_epoch() {
        let mut first = epoch(PairOrder::PairUniform, 0);
        assert_eq!(first, epoch(PairOrder::PairUniform, 0));
        assert_ne!(first, epoch(PairOrder::PairUniform, 1));
        first.sort_unstable();
        assert_eq!(first, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (2, 0), (2, 5)]);
    }

    #[test]
    fn a_user_who_has_every_item_is_drawn_only_where_no_negative_is() {
        let pairs = [(0, 0), (0, 1), (0, 2), (1, 1)].map(|(u, i)| (UserId(u), ItemId(i)));
        let train = Interactions::from_pairs(2, 3, pairs).unwrap();
        for order in [PairOrder::PairUniform, PairOrder::UserUniform] {
            let users = |negatives| {
                let mut sampler = PairSampler::new(&train, Seed(3), order, 10, negatives);
                let mut batch = Batch::default();
                sampler.batch(&train, 0, 0, &mut batch);
                (sampler.n_examples(), batch.users, batch.edges)
            };
            assert_eq!(users(Some((NegativeSampler::uniform(3), 2))), (1, vec![1], vec![3]), "{order:?}");
            assert_eq!(users(None).0, 4, "{order:?}");
        }
    }

    #[test]
    fn user_order_draws_users_alike_and_only_training_pairs() {
        let drawn: Vec<_> = (0..300).flat_map(|e| epoch(PairOrder::UserUniform, e)).collect();
        let train = train();
        assert!(drawn.iter().all(|&(u, i)| train.contains(UserId(u), ItemId(i))));
        // 2,100 draws over two active users: 1,050 each with standard deviation 23
        let of_user_2 = drawn.iter().filter(|(u, _)| *u == 2).count();
        assert!((of_user_2 as i64 - 1050).abs() < 120, "{of_user_2}");
    }

    #[test]
    fn a_step_does_not_depend_on_the_steps_before_it() {
        let train = train();
        let fresh = || PairSampler::new(&train, Seed(3), PairOrder::PairUniform, 3, None);
        let (mut once, mut after) = (Batch::default(), Batch::default());
        fresh().batch(&train, 4, 2, &mut once);
        let mut sampler = fresh();
        for step in 0..3 {
            sampler.batch(&train, 4, step, &mut after);
        }
        assert_eq!(once, after);
    }
}
