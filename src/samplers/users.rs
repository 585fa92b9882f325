//! Batches of users with all their positives: one row of scores per user then serves every
//! positive.

use gcnrec_graphs::{Interactions, Purpose, Seed, UserId};
use rand::seq::SliceRandom;

use super::{Batch, Sampler};

/// Takes every user who has items once an epoch, shuffled.
#[derive(Debug)]
pub(crate) struct UserSampler {
    seed: Seed,
    batch_size: usize,
    n_edges: usize,
    active_users: Vec<u32>,
    shuffled: Vec<u32>,
    shuffled_for: Option<u64>,
}

impl UserSampler {
    /// A sampler over the users of `train`, `batch_size` of them in a batch.
    pub(crate) fn new(train: &Interactions, seed: Seed, batch_size: usize) -> Self {
        let active_users: Vec<u32> =
            (0..train.n_users() as u32).filter(|&u| !train.items_of(UserId(u)).is_empty()).collect();
        let shuffled = Vec::with_capacity(active_users.len());
        UserSampler { seed, batch_size, n_edges: train.n_edges(), active_users, shuffled, shuffled_for: None }
    }
}

impl Sampler for UserSampler {
    fn n_batches(&self) -> usize {
        self.active_users.len().div_ceil(self.batch_size)
    }

    fn n_examples(&self) -> usize {
        self.n_edges
    }

    fn batch(&mut self, train: &Interactions, epoch: u64, step: usize, batch: &mut Batch) {
        if self.shuffled_for != Some(epoch) {
            self.shuffled.clone_from(&self.active_users);
            self.shuffled.shuffle(&mut self.seed.stream(Purpose::Batch, epoch, u64::MAX));
            self.shuffled_for = Some(epoch);
        }
        let end = ((step + 1) * self.batch_size).min(self.shuffled.len());
        batch.clear();
        batch.users.extend_from_slice(&self.shuffled[step * self.batch_size..end]);
        batch.users.sort_unstable();
        batch.list_ptr.push(0);
        for &user in &batch.users {
            batch.positives.extend_from_slice(train.items_of(UserId(user)));
            batch.edges.extend(train.edges_of(UserId(user)).map(|edge| edge as u32));
            batch.list_ptr.push(batch.positives.len() as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::ItemId;

    #[test]
    fn an_epoch_holds_every_user_with_items_once_with_all_of_them() {
        let pairs = [(0, 1), (0, 2), (2, 0), (3, 1), (4, 3)];
        let train = Interactions::from_pairs(5, 4, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap();
        let mut sampler = UserSampler::new(&train, Seed(9), 3);
        assert_eq!(sampler.n_batches(), 2);
        let (mut seen, mut batch) = (Vec::new(), Batch::default());
        for step in 0..2 {
            sampler.batch(&train, 0, step, &mut batch);
            for (q, &user) in batch.users.iter().enumerate() {
                let list = batch.list_ptr[q] as usize..batch.list_ptr[q + 1] as usize;
                seen.extend(batch.positives[list].iter().map(|&i| (user, i)));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, pairs);
    }
}
