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
mod tests;
