//! Batches of training sequences, cut from histories that are oldest first. Sequences have their
//! own lengths: nothing is filled up.
//!
//! What is trained on a sequence is one of [`Examples`]. A batch holds its sequences from the
//! longest to the shortest, and is a function of (seed, epoch, step) alone.

use std::sync::Arc;

use gcnrec_graphs::{ItemId, Purpose, Seed};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// What a model is asked to predict in training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Examples {
    /// At every position of a window the item that comes next.
    Positions,
    /// The same up to a place of the window that is drawn anew each epoch.
    Cuts,
    /// After every prefix of a history the item that comes next: one example for each sequence.
    Prefixes,
    /// The items that were replaced by a mask.
    Masked {
        /// Share of the items that are masked, above 0 to 1.
        ratio: f32,
        /// Share of the batches in which only the last item is masked, 0..=1.
        last_ratio: f32,
    },
}

/// Which part of a history that is longer than the model's limit is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// The whole of it, in windows that are cut anew each epoch.
    All,
    /// Its last items.
    Last,
}

crate::settings::name_setting!(Windows, "choice of windows");

/// The sequences of one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SequenceBatch {
    /// Sequence `s` has the items `starts[s]..starts[s + 1]`.
    pub starts: Vec<u32>,
    /// All items, sequence after sequence, oldest first; the number of items stands for a mask.
    pub items: Vec<u32>,
    /// The user of each sequence.
    pub users: Vec<u32>,
    /// The places of `items` at which something is predicted, rising.
    pub rows: Vec<u32>,
    /// What should be predicted there.
    pub targets: Vec<u32>,
}

/// A piece of a history: window number `index`, or the prefix before item `index`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    user: u32,
    index: u32,
}

/// Cuts histories into sequences and draws batches of them.
#[derive(Debug)]
pub(crate) struct SequenceSampler {
    seed: Seed,
    n_items: u32,
    histories: Arc<Vec<Vec<ItemId>>>,
    examples: Examples,
    windows: Windows,
    max_len: usize,
    batch_size: usize,
    pieces: Vec<Piece>,
    shuffled: Vec<Piece>,
    /// How many items the first window of each user is shorter than the limit.
    offsets: Vec<u32>,
    shuffled_for: Option<u64>,
}

impl SequenceSampler {
    /// A sampler over histories of items below `n_items`, in sequences of at most `max_len` and
    /// batches of `batch_size`.
    pub(crate) fn new(
        histories: Arc<Vec<Vec<ItemId>>>,
        n_items: usize,
        examples: Examples,
        (windows, max_len): (Windows, usize),
        batch_size: usize,
        seed: Seed,
    ) -> Self {
        let (max_len, batch_size) = (max_len.max(1), batch_size.max(1));
        let mut sampler = SequenceSampler {
            seed,
            n_items: n_items as u32,
            examples,
            windows,
            max_len,
            batch_size,
            pieces: Vec::new(),
            shuffled: Vec::new(),
            offsets: vec![0; histories.len()],
            shuffled_for: None,
            histories,
        };
        for user in 0..sampler.histories.len() {
            let n = sampler.histories[user].len();
            let numbers = match examples {
                Examples::Prefixes => 1..n as u32,
                _ => 0..sampler.n_windows(sampler.n_predicted(user)) as u32,
            };
            sampler.pieces.extend(numbers.map(|index| Piece { user: user as u32, index }));
        }
        sampler
    }

    /// Number of batches in an epoch.
    pub(crate) fn n_batches(&self) -> usize {
        self.pieces.len().div_ceil(self.batch_size)
    }

    /// The places of a user's history that windows are cut from: all of them where some are masked,
    /// otherwise all that another follows.
    fn n_predicted(&self, user: usize) -> usize {
        let n = self.histories[user].len();
        match self.examples {
            Examples::Masked { .. } => n,
            _ => n.saturating_sub(1),
        }
    }

    fn n_windows(&self, n_predicted: usize) -> usize {
        match self.windows {
            Windows::All => n_predicted.div_ceil(self.max_len),
            Windows::Last => n_predicted.min(1),
        }
    }

    fn start_epoch(&mut self, epoch: u64) {
        if self.shuffled_for == Some(epoch) {
            return;
        }
        self.shuffled.clone_from(&self.pieces);
        self.shuffled.shuffle(&mut self.seed.stream(Purpose::Batch, epoch, u64::MAX));
        if self.windows == Windows::All && self.examples != Examples::Prefixes {
            let mut random = self.seed.stream(Purpose::Batch, epoch, u64::MAX - 1);
            for user in 0..self.histories.len() {
                let n = self.n_predicted(user);
                // Moving the cuts by no more than the last window lacks keeps the number of
                // windows.
                let slack = self.n_windows(n) * self.max_len - n;
                self.offsets[user] = random.random_range(0..=slack.min(self.max_len - 1)) as u32;
            }
        }
        self.shuffled_for = Some(epoch);
    }

    /// The places of a history that a piece reads.
    fn range(&self, piece: Piece) -> std::ops::Range<usize> {
        let (user, index) = (piece.user as usize, piece.index as usize);
        let n = self.n_predicted(user);
        match (self.examples, self.windows) {
            (Examples::Prefixes, _) => index.saturating_sub(self.max_len)..index,
            (_, Windows::Last) => n.saturating_sub(self.max_len)..n,
            (_, Windows::All) => {
                let cut = |index: usize| (index * self.max_len).saturating_sub(self.offsets[user] as usize).min(n);
                cut(index)..cut(index + 1)
            }
        }
    }

    /// Fills `batch` with the sequences of a step.
    pub(crate) fn batch(&mut self, epoch: u64, step: usize, batch: &mut SequenceBatch) {
        self.start_epoch(epoch);
        let SequenceBatch { starts, items, users, rows, targets } = batch;
        [&mut *starts, &mut *items, &mut *users, &mut *rows, &mut *targets].into_iter().for_each(Vec::clear);
        let end = ((step + 1) * self.batch_size).min(self.shuffled.len());
        let mut pieces: Vec<_> =
            self.shuffled[step * self.batch_size..end].iter().map(|&piece| (piece.user, self.range(piece))).collect();
        pieces.retain(|(_, range)| !range.is_empty());
        let mut random = self.seed.stream(Purpose::Batch, epoch, step as u64);
        if self.examples == Examples::Cuts {
            pieces.iter_mut().for_each(|(_, range)| range.end = range.start + random.random_range(1..=range.len()));
        }
        pieces.sort_by_key(|(user, range)| (std::cmp::Reverse(range.len()), *user, range.start));
        let only_last = match self.examples {
            Examples::Masked { last_ratio, .. } => random.random::<f32>() < last_ratio,
            _ => false,
        };
        starts.push(0);
        for (user, range) in pieces {
            let history = &self.histories[user as usize];
            let first = items.len() as u32;
            users.push(user);
            items.extend(history[range.clone()].iter().map(|item| item.0));
            let last = items.len() as u32 - 1;
            match self.examples {
                Examples::Positions | Examples::Cuts => {
                    rows.extend(first..=last);
                    targets.extend(history[range.start + 1..range.end + 1].iter().map(|item| item.0));
                }
                Examples::Prefixes => {
                    rows.push(last);
                    targets.push(history[range.end].0);
                }
                Examples::Masked { ratio, .. } => {
                    let before = rows.len();
                    if !only_last {
                        rows.extend((first..=last).filter(|_| random.random::<f32>() < ratio));
                    }
                    if rows.len() == before {
                        rows.push(last);
                    }
                    for &row in &rows[before..] {
                        targets.push(std::mem::replace(&mut items[row as usize], self.n_items));
                    }
                }
            }
            starts.push(items.len() as u32);
        }
    }
}

/// A stream of numbers for what is drawn beside a batch, such as dropout, at (epoch, step).
pub(crate) fn beside_batch(seed: Seed, epoch: u64, step: usize) -> impl Rng {
    seed.stream(Purpose::Dropout, epoch, step as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User `u` has the items `100 u`, `100 u + 1`, ..
    fn histories(lengths: &[u32]) -> Arc<Vec<Vec<ItemId>>> {
        let history = |(user, &n): (usize, &u32)| (0..n).map(|i| ItemId(100 * user as u32 + i)).collect();
        Arc::new(lengths.iter().enumerate().map(history).collect())
    }

    const LENGTHS: [u32; 7] = [11, 0, 1, 2, 30, 4, 5];

    fn sampler(examples: Examples, windows: Windows) -> SequenceSampler {
        SequenceSampler::new(histories(&LENGTHS), 700, examples, (windows, 4), 3, Seed(5))
    }

    fn epoch(sampler: &mut SequenceSampler, epoch: u64) -> Vec<SequenceBatch> {
        let n_batches = sampler.n_batches();
        let draw = |step| {
            let mut batch = SequenceBatch::default();
            sampler.batch(epoch, step, &mut batch);
            batch
        };
        (0..n_batches).map(draw).collect()
    }

    fn sequences(batch: &SequenceBatch) -> Vec<Vec<u32>> {
        let one = |ends: &[u32]| batch.items[ends[0] as usize..ends[1] as usize].to_vec();
        batch.starts.windows(2).map(one).collect()
    }

    #[test]
    fn every_item_that_follows_another_is_predicted_once_an_epoch_from_the_one_before_it() {
        let mut sampler = sampler(Examples::Positions, Windows::All);
        let mut cuts: Vec<u32> = Vec::new();
        for number in 0..4 {
            let mut predicted: Vec<u32> = Vec::new();
            for batch in epoch(&mut sampler, number) {
                assert_eq!(batch.rows, (0..batch.items.len() as u32).collect::<Vec<_>>());
                assert!(batch.items.iter().zip(&batch.targets).all(|(item, target)| item + 1 == *target));
                let lengths: Vec<usize> = sequences(&batch).iter().map(Vec::len).collect();
                assert!(lengths.is_sorted_by(|a, b| a >= b) && lengths.iter().all(|&n| (1..=4).contains(&n)));
                predicted.extend(&batch.targets);
                cuts.extend(sequences(&batch).iter().map(|items| items[0]));
            }
            predicted.sort_unstable();
            let all = |(user, &n): (usize, &u32)| (1..n).map(move |i| 100 * user as u32 + i).collect::<Vec<_>>();
            assert_eq!(predicted, LENGTHS.iter().enumerate().flat_map(all).collect::<Vec<_>>());
        }
        cuts.sort_unstable();
        cuts.dedup();
        assert!(cuts.iter().filter(|&&item| item / 100 == 4).count() > 8, "windows are cut anew: {cuts:?}");
    }

    #[test]
    fn a_random_cut_leaves_the_beginning_of_a_window() {
        let mut sampler = sampler(Examples::Cuts, Windows::Last);
        let mut lengths = Vec::new();
        for number in 0..40 {
            for batch in epoch(&mut sampler, number) {
                assert!(batch.items.iter().zip(&batch.targets).all(|(item, target)| item + 1 == *target));
                let of_user_4 = sequences(&batch).into_iter().filter(|items| items[0] / 100 == 4);
                lengths.extend(of_user_4.map(|items| (items[0], items.len())));
            }
        }
        lengths.sort_unstable();
        lengths.dedup();
        assert_eq!(lengths, [(425, 1), (425, 2), (425, 3), (425, 4)]);
    }

    #[test]
    fn the_last_window_ends_with_the_last_item() {
        let mut sampler = sampler(Examples::Positions, Windows::Last);
        let mut found: Vec<Vec<u32>> = epoch(&mut sampler, 0).iter().flat_map(sequences).collect();
        found.sort();
        let expected =
            [vec![6, 7, 8, 9], vec![300], vec![425, 426, 427, 428], vec![500, 501, 502], vec![600, 601, 602, 603]];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_prefix_predicts_the_item_after_it() {
        let mut sampler = sampler(Examples::Prefixes, Windows::All);
        let mut found: Vec<(Vec<u32>, u32)> = Vec::new();
        for batch in epoch(&mut sampler, 0) {
            assert!(batch.rows.iter().zip(&batch.starts[1..]).all(|(row, end)| row + 1 == *end));
            found.extend(sequences(&batch).into_iter().zip(batch.targets.clone()));
        }
        assert_eq!(found.len(), 10 + 1 + 29 + 3 + 4);
        assert!(found.contains(&(vec![0], 1)) && found.contains(&(vec![6, 7, 8, 9], 10)));
        assert!(found.iter().all(|(items, target)| items.last() == Some(&(target - 1))));
    }

    #[test]
    fn masks_hide_the_share_that_was_asked_for_and_at_least_one_of_each_window() {
        let long = SequenceSampler::new(
            histories(&[90; 50]),
            5000,
            Examples::Masked { ratio: 0.2, last_ratio: 0.0 },
            (Windows::All, 100),
            50,
            Seed(5),
        );
        let mut sampler = long;
        let batch = &epoch(&mut sampler, 0)[0];
        // 4,500 items at .2: 900, standard deviation 27.
        assert!((792..=1008).contains(&batch.rows.len()), "{}", batch.rows.len());
        for (&row, &target) in batch.rows.iter().zip(&batch.targets) {
            assert_eq!(batch.items[row as usize], 5000);
            let user = batch.starts.partition_point(|&start| start <= row) - 1;
            assert_eq!(target / 100, batch.users[user]);
        }
        let mut last = sampler_of_last();
        for batch in epoch(&mut last, 0) {
            assert_eq!(batch.rows, batch.starts[1..].iter().map(|end| end - 1).collect::<Vec<_>>());
        }
    }

    fn sampler_of_last() -> SequenceSampler {
        sampler(Examples::Masked { ratio: 0.2, last_ratio: 1.0 }, Windows::All)
    }

    #[test]
    fn a_batch_is_a_function_of_seed_epoch_and_step() {
        for examples in
            [Examples::Positions, Examples::Cuts, Examples::Prefixes, Examples::Masked { ratio: 0.3, last_ratio: 0.5 }]
        {
            let all = epoch(&mut sampler(examples, Windows::All), 2);
            for step in (0..all.len()).rev() {
                let mut alone = SequenceBatch::default();
                sampler(examples, Windows::All).batch(2, step, &mut alone);
                assert_eq!(alone, all[step]);
            }
            assert_ne!(epoch(&mut sampler(examples, Windows::All), 3), all);
        }
    }
}
