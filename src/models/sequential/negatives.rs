//! Drawn negatives of the sequential losses.
//!
//! Negatives that a batch shares are drawn uniformly or in proportion to a power of the items'
//! counts, from all items. The others are drawn uniformly, one for each position, from the items
//! outside of the user's history.

use gcnrec_graphs::{ItemId, Purpose, Seed};
use rand::RngExt;

use super::{Loss, Objective};
use crate::samplers::{NegativeSampler, SequenceBatch};

/// What a step holds its targets against.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Negatives {
    /// For the batch, or one for each position. Empty where all items count.
    pub(super) items: Vec<u32>,
    /// How many of the shared ones a position is held against, its own target among them or not.
    pub(super) n_against: usize,
    /// How probable a shared negative is this item, for each negative.
    pub(super) probabilities: Vec<f32>,
    /// The same for each position's target.
    pub(super) of_targets: Vec<f32>,
}

impl Negatives {
    /// Holds every position against the targets of the others too; `shares` says how often an item
    /// is a target.
    pub(super) fn add_others(&mut self, targets: &[u32], shares: &[f32]) {
        let (n_drawn, n_others) = (self.n_against as f32, targets.len() as f32 - 1.0);
        let n_against = (n_drawn + n_others).max(1.0);
        let mixed = |drawn: f32, item: u32| (n_drawn * drawn + n_others * shares[item as usize]) / n_against;
        // The probabilities of drawing the targets are those of the new negatives.
        self.probabilities.extend_from_slice(&self.of_targets);
        self.items.extend_from_slice(targets);
        for (probability, &item) in self.probabilities.iter_mut().zip(&self.items) {
            *probability = mixed(*probability, item);
        }
        for (probability, &target) in self.of_targets.iter_mut().zip(targets) {
            *probability = mixed(*probability, target);
        }
        self.n_against = n_against as usize;
    }
}

/// Draws negatives for the batches of a learner.
pub(super) struct Draws {
    objective: Objective,
    shared: NegativeSampler,
}

impl Draws {
    /// Draws from the items of some histories, all below `n_items`.
    pub(super) fn new(objective: Objective, histories: &[Vec<ItemId>], n_items: usize) -> Self {
        let shared = match objective.sample_alpha {
            0.0 => NegativeSampler::uniform(n_items),
            alpha => NegativeSampler::of_counts(&counts(histories, n_items), f64::from(alpha)),
        };
        Draws { objective, shared }
    }

    /// The negatives of a step.
    pub(super) fn draw(
        &self,
        batch: &SequenceBatch,
        histories: &[Vec<ItemId>],
        (seed, epoch, step): (Seed, u64, usize),
    ) -> Negatives {
        let mut random = seed.stream(Purpose::Negative, epoch, step as u64);
        if self.objective.shares_negatives() {
            let items: Vec<u32> = (0..self.objective.n_negatives).map(|_| self.shared.any(&mut random)).collect();
            let of = |items: &[u32]| items.iter().map(|&item| self.shared.probability(item) as f32).collect();
            let (probabilities, of_targets) = (of(&items), of(&batch.targets));
            return Negatives { n_against: items.len(), items, probabilities, of_targets };
        }
        if self.objective.loss == Loss::CrossEntropy {
            return Negatives::default();
        }
        let n_items = self.shared.n_items() as u32;
        let (mut items, mut at) = (Vec::with_capacity(batch.rows.len()), 0);
        for (sequence, &user) in batch.users.iter().enumerate() {
            let mut known: Vec<u32> = histories[user as usize].iter().map(|item| item.0).collect();
            known.sort_unstable();
            known.dedup();
            let end = batch.starts[sequence + 1];
            while at < batch.rows.len() && batch.rows[at] < end {
                items.push(outside(&known, n_items, batch.targets[at], &mut random));
                at += 1;
            }
        }
        Negatives { items, ..Negatives::default() }
    }
}

/// How often each item stands in some histories.
pub(super) fn counts(histories: &[Vec<ItemId>], n_items: usize) -> Vec<u32> {
    let mut counts = vec![0; n_items];
    histories.iter().flatten().for_each(|item| counts[item.index()] += 1);
    counts
}

/// An item that is neither known nor the target; where all are known, any but the target.
fn outside(known: &[u32], n_items: u32, target: u32, random: &mut impl rand::Rng) -> u32 {
    let everything = known.len() as u32 >= n_items;
    loop {
        let item = random.random_range(0..n_items);
        if n_items <= 1 || (item != target && (everything || known.binary_search(&item).is_err())) {
            return item;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_negative_for_each_position_lies_outside_of_the_history() {
        let batch = SequenceBatch {
            starts: vec![0, 50, 60],
            users: vec![1, 0],
            rows: (0..60).collect(),
            targets: (0..60).map(|row| if row < 50 { 2 } else { 5 }).collect(),
            ..SequenceBatch::default()
        };
        let histories = [(0..7).map(ItemId).collect(), [2, 3, 6].map(ItemId).to_vec()];
        let draw = |step| {
            let objective = Objective { loss: Loss::Bce, ..Objective::default() };
            Draws::new(objective, &histories, 7).draw(&batch, &histories, (Seed(4), 0, step)).items
        };
        let drawn = draw(3);
        assert_eq!((drawn.len(), &drawn), (60, &draw(3)));
        assert_ne!(drawn, draw(4));
        let mut found = drawn[..50].to_vec();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, [0, 1, 4, 5]);
        // User 0 knows everything: all but the target may come.
        assert!(drawn[50..].iter().all(|&item| item < 7 && item != 5));
    }

    #[test]
    fn shared_negatives_follow_the_power_of_the_counts_and_know_their_probability() {
        // Counts 9, 4, 0, 1; roots 3, 2, 0, 1: probabilities 1/2, 1/3, 0, 1/6.
        let histories = [[0; 9].map(ItemId).to_vec(), [1, 1, 1, 1, 3].map(ItemId).to_vec()];
        let objective = Objective { loss: Loss::BprMax, n_negatives: 6000, sample_alpha: 0.5, ..Objective::default() };
        let batch = SequenceBatch { targets: vec![3, 2], ..SequenceBatch::default() };
        let drawn = Draws::new(objective, &histories, 4).draw(&batch, &histories, (Seed(4), 0, 0));
        let close = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 1e-6;
        assert!(close(drawn.of_targets[0], 1.0 / 6.0) && close(drawn.of_targets[1], 0.0), "{:?}", drawn.of_targets);
        let share = |item: u32| drawn.items.iter().filter(|&&drawn| drawn == item).count() as f64 / 6000.0;
        // The standard deviation of a share is at most .0065.
        for (item, expected) in [(0, 0.5), (1, 1.0 / 3.0), (2, 0.0), (3, 1.0 / 6.0)] {
            assert!((share(item) - expected).abs() < 0.026, "{item}: {}", share(item));
        }
        let of = |&item: &u32| [0.5, 1.0 / 3.0, 0.0, 1.0 / 6.0][item as usize];
        assert!(drawn.items.iter().zip(&drawn.probabilities).all(|(item, &p)| close(p, of(item))));
    }

    #[test]
    fn the_targets_of_other_lanes_are_negatives_that_come_as_often_as_their_items() {
        let mut negatives = Negatives {
            items: vec![0, 1],
            n_against: 2,
            probabilities: vec![0.75, 0.25],
            of_targets: vec![0.75, 0.25, 0.75],
        };
        // Of three lanes two stand beside each; items come as targets with shares of 1/2 each: (2 p
        // + 2 / 2) / 4.
        negatives.add_others(&[0, 1, 0], &[0.5, 0.5]);
        assert_eq!((negatives.items, negatives.n_against), (vec![0, 1, 0, 1, 0], 4));
        assert_eq!(negatives.probabilities, [0.625, 0.375, 0.625, 0.375, 0.625]);
        assert_eq!(negatives.of_targets, [0.625, 0.375, 0.625]);
    }
}
