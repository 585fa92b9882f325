//! Batches of blocks: some users times some items, with every training pair among them. Losses over
//! all pairs of a block, seen or not, need them.
//!
//! Source: the blocks of AutoDebias' code: users and items are shuffled and cut in each epoch, and
//! every block comes once.

use gcnrec_graphs::{Interactions, Purpose, Seed, UserId};
use rand::seq::SliceRandom;

use super::{Batch, Sampler};

/// Cuts the matrix of users times items into blocks, anew in each epoch.
#[derive(Debug)]
pub(crate) struct BlockSampler {
    seed: Seed,
    users_per_block: usize,
    items_per_block: usize,
    n_edges: usize,
    users: Vec<u32>,
    items: Vec<u32>,
    /// The block that each item is in.
    item_block: Vec<u32>,
    shuffled_for: Option<u64>,
}

impl BlockSampler {
    /// A sampler over all users and items of `train`, with or without pairs. Sizes above their
    /// number mean one block.
    pub(crate) fn new(train: &Interactions, seed: Seed, users_per_block: usize, items_per_block: usize) -> Self {
        let (n_users, n_items) = (train.n_users(), train.n_items());
        BlockSampler {
            seed,
            users_per_block: users_per_block.clamp(1, n_users.max(1)),
            items_per_block: items_per_block.clamp(1, n_items.max(1)),
            n_edges: train.n_edges(),
            users: (0..n_users as u32).collect(),
            items: (0..n_items as u32).collect(),
            item_block: vec![0; n_items],
            shuffled_for: None,
        }
    }

    fn shuffle(&mut self, epoch: u64) {
        if self.shuffled_for == Some(epoch) {
            return;
        }
        for (index, ids) in [&mut self.users, &mut self.items].into_iter().enumerate() {
            ids.sort_unstable();
            ids.shuffle(&mut self.seed.stream(Purpose::Batch, epoch, u64::MAX - 1 - index as u64));
        }
        for (place, &item) in self.items.iter().enumerate() {
            self.item_block[item as usize] = (place / self.items_per_block) as u32;
        }
        self.shuffled_for = Some(epoch);
    }
}

impl Sampler for BlockSampler {
    fn n_batches(&self) -> usize {
        self.users.len().div_ceil(self.users_per_block) * self.items.len().div_ceil(self.items_per_block)
    }

    fn n_examples(&self) -> usize {
        self.n_edges
    }

    fn batch(&mut self, train: &Interactions, epoch: u64, step: usize, batch: &mut Batch) {
        self.shuffle(epoch);
        batch.clear();
        let across = self.items.len().div_ceil(self.items_per_block);
        let (row, column) = (step / across, step % across);
        let chosen = |ids: &[u32], block: usize, size: usize, out: &mut Vec<u32>| {
            out.extend_from_slice(&ids[block * size..((block + 1) * size).min(ids.len())]);
            out.sort_unstable();
        };
        chosen(&self.users, row, self.users_per_block, &mut batch.block_users);
        chosen(&self.items, column, self.items_per_block, &mut batch.block_items);
        for &user in &batch.block_users {
            for edge in train.edges_of(UserId(user)) {
                let item = train.item_ids()[edge];
                if self.item_block[item as usize] as usize == column {
                    batch.users.push(user);
                    batch.positives.push(item);
                    batch.edges.push(edge as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::ItemId;

    #[test]
    fn an_epoch_holds_every_cell_of_the_matrix_once_and_every_pair_once() {
        let pairs = [(0, 1), (0, 2), (2, 0), (3, 1), (4, 3)];
        let train = Interactions::from_pairs(5, 4, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap();
        let mut sampler = BlockSampler::new(&train, Seed(9), 2, 3);
        assert_eq!(sampler.n_batches(), 6, "three blocks of users times two of items");
        let (mut seen, mut cells, mut batch) = (Vec::new(), Vec::new(), Batch::default());
        for step in 0..6 {
            sampler.batch(&train, 1, step, &mut batch);
            assert!(batch.edges.iter().zip(&batch.positives).all(|(&e, &i)| train.item_ids()[e as usize] == i));
            seen.extend(batch.users.iter().copied().zip(batch.positives.iter().copied()));
            cells.extend(batch.block_users.iter().flat_map(|&u| batch.block_items.iter().map(move |&i| (u, i))));
        }
        seen.sort_unstable();
        cells.sort_unstable();
        assert_eq!(seen, pairs);
        assert_eq!(cells, (0..5).flat_map(|u| (0..4).map(move |i| (u, i))).collect::<Vec<_>>());
    }

    #[test]
    fn a_block_does_not_depend_on_the_blocks_before_it() {
        let train = Interactions::from_pairs(9, 7, (0..9).map(|u| (UserId(u), ItemId(u % 7)))).unwrap();
        let fresh = || BlockSampler::new(&train, Seed(3), 4, 4);
        let (mut once, mut after) = (Batch::default(), Batch::default());
        fresh().batch(&train, 4, 2, &mut once);
        let mut sampler = fresh();
        (0..3).for_each(|step| sampler.batch(&train, 4, step, &mut after));
        assert_eq!(once, after);
    }
}
