//! What a position's vector is held against: all items, or items that are drawn.
//!
//! With `s_t` the target's score, `s_j` those of the negatives, `k` their number and `n` that of all items:
//! - `cross_entropy`: `log sum exp s - s_t` over all items, in tiles;
//! - `sampled_softmax`: the same with the sum over the others estimated from negatives, each of which stands for `(n - 1) / k` items (its logQ);
//! - `gbce`: `-beta log sigmoid(s_t) - sum_j log(1 - sigmoid(s_j))`, `beta = a (t (1 - 1/a) + 1/a)`, `a = k / (n - 1)`;
//! - `bce`: the same with `beta = 1` and one negative; `bpr`: `-log sigmoid(s_t - s_j)`.
//!
//! The negatives of `sampled_softmax` and `gbce` are drawn uniformly and shared by the batch; one that is a position's own target does not count there.
//! `bce` and `bpr` draw one for each position, outside of the user's history.
//!
//! # Source
//! Petrov and Macdonald, *gSASRec*, RecSys 2023 (gBCE); Bengio and Senecal, 2003 (logQ); SPEC D.1, D.3. gSASRec draws negatives for each position.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};
use gcnrec_graphs::{ItemId, Purpose, Seed};
use gcnrec_kernels::burn_bridge::{LossScratch, OpBackend, gather, linear, softmax_loss};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::expect;
use crate::error::Result;
use crate::samplers::SequenceBatch;

/// Which loss is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax over all items.
    CrossEntropy,
    /// Softmax over drawn items, corrected by logQ.
    SampledSoftmax,
    /// Logistic loss of drawn items, the target's probability made smaller.
    Gbce,
    /// Logistic loss of one drawn item.
    Bce,
    /// A drawn item should score lower.
    Bpr,
}

/// A loss with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Which loss.
    pub loss: Loss,
    /// Negatives that a batch shares.
    pub n_negatives: usize,
    /// `t` of gBCE.
    pub gbce_t: f32,
}

impl Default for Objective {
    fn default() -> Self {
        Objective { loss: Loss::CrossEntropy, n_negatives: 256, gbce_t: 0.75 }
    }
}

impl Objective {
    /// Refuses values outside their ranges; `model` is the table's key.
    pub(super) fn validate(&self, model: &str) -> Result<()> {
        let count = (1..=1_000_000).contains(&self.n_negatives);
        expect(count, format!("{model}.n_negatives"), self.n_negatives, "a whole number from 1 to 1000000")?;
        expect((0.0..=1.0).contains(&self.gbce_t), format!("{model}.gbce_t"), self.gbce_t, "a number from 0 to 1")
    }

    /// The items that a step draws: for the batch, or one for each position. Empty where all items count.
    pub(super) fn negatives(
        &self,
        batch: &SequenceBatch,
        histories: &[Vec<ItemId>],
        n_items: usize,
        (seed, epoch, step): (Seed, u64, usize),
    ) -> Vec<u32> {
        let mut random = seed.stream(Purpose::Negative, epoch, step as u64);
        let n_items = n_items as u32;
        match self.loss {
            Loss::CrossEntropy => Vec::new(),
            Loss::SampledSoftmax | Loss::Gbce => {
                (0..self.n_negatives).map(|_| random.random_range(0..n_items)).collect()
            }
            Loss::Bce | Loss::Bpr => {
                let mut drawn = Vec::with_capacity(batch.rows.len());
                let mut at = 0;
                for (sequence, &user) in batch.users.iter().enumerate() {
                    let mut known: Vec<u32> = histories[user as usize].iter().map(|item| item.0).collect();
                    known.sort_unstable();
                    known.dedup();
                    let end = batch.starts[sequence + 1];
                    while at < batch.rows.len() && batch.rows[at] < end {
                        drawn.push(outside(&known, n_items, batch.targets[at], &mut random));
                        at += 1;
                    }
                }
                drawn
            }
        }
    }

    /// The loss of each position.
    ///
    /// # Shapes
    /// - `hidden`: `[n, dim]`; `items`: `[n_items, dim]`; `bias`: `[1, n_items]`; `targets`: `[n]`; returns `[n, 1]`
    pub(super) fn losses<B: OpBackend>(
        &self,
        hidden: Tensor<B, 2>,
        (items, bias): (Tensor<B, 2>, Option<Tensor<B, 2>>),
        targets: &[u32],
        negatives: &[u32],
        scratch: &LossScratch,
    ) -> Tensor<B, 2> {
        let n_items = items.dims()[0];
        if self.loss == Loss::CrossEntropy {
            return softmax_loss(hidden, items, bias, Arc::new(targets.to_vec()), scratch);
        }
        // With a bias, an item's vector is one longer, and meets a 1.
        let (hidden, items) = match bias {
            None => (hidden, items),
            Some(bias) => {
                let ones = Tensor::ones([hidden.dims()[0], 1], &hidden.device());
                (Tensor::cat(vec![hidden, ones], 1), Tensor::cat(vec![items, bias.transpose()], 1))
            }
        };
        let rows = |of: &[u32]| gather(items.clone(), of.iter().copied().map(Some));
        let target = (rows(targets) * hidden.clone()).sum_dim(1);
        match self.loss {
            Loss::Bpr => activation::softplus((rows(negatives) * hidden).sum_dim(1) - target, 1.0),
            Loss::Bce => {
                let negative = (rows(negatives) * hidden).sum_dim(1);
                activation::softplus(target.neg(), 1.0) + activation::softplus(negative, 1.0)
            }
            Loss::Gbce => {
                let (share, t) = (negatives.len() as f32 / (n_items as f32 - 1.0).max(1.0), self.gbce_t);
                let beta = share * (t * (1.0 - 1.0 / share) + 1.0 / share);
                let negative = shared_scores(hidden, rows(negatives), targets, negatives, 0.0);
                activation::softplus(target.neg(), 1.0) * beta + activation::softplus(negative, 1.0).sum_dim(1)
            }
            _ => {
                let log_q = ((n_items as f32 - 1.0).max(1.0) / negatives.len() as f32).ln();
                let negative = shared_scores(hidden, rows(negatives), targets, negatives, log_q);
                let all = Tensor::cat(vec![target.clone(), negative], 1);
                // The largest is subtracted as a number: it moves no gradient.
                let largest = all.clone().detach().max_dim(1);
                (all - largest.clone()).exp().sum_dim(1).log() + largest - target
            }
        }
    }
}

/// Below this score an item does not count.
const RULED_OUT: f32 = -1e9;

/// The scores of the shared negatives plus a number; one that is a position's own target is ruled out there.
fn shared_scores<B: OpBackend>(
    hidden: Tensor<B, 2>,
    negatives: Tensor<B, 2>,
    targets: &[u32],
    ids: &[u32],
    plus: f32,
) -> Tensor<B, 2> {
    let device = hidden.device();
    let zeros = Tensor::zeros([1, ids.len()], &device);
    let correction: Vec<f32> = targets
        .iter()
        .flat_map(|target| ids.iter().map(move |id| if id == target { RULED_OUT } else { plus }))
        .collect();
    let correction = Tensor::from_data(TensorData::new(correction, [targets.len(), ids.len()]), &device);
    linear(hidden, negatives.transpose(), zeros) + correction
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
    use gcnrec_kernels::burn_bridge::Flex;

    use super::*;

    /// Two positions, width 1: hidden 1 and 2; items score 0, ln 2, ln 3 times that; targets 1 and 2.
    fn losses(objective: Objective, negatives: &[u32], bias: Option<[f32; 3]>) -> Vec<f32> {
        let device = Default::default();
        let tensor = |values: &[f32], shape: [usize; 2]| {
            Tensor::<Flex, 2>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let (hidden, items) = (tensor(&[1.0, 2.0], [2, 1]), tensor(&[0.0, 2f32.ln(), 3f32.ln()], [3, 1]));
        let bias = bias.map(|bias| tensor(&bias, [1, 3]));
        let found = objective.losses(hidden, (items, bias), &[1, 2], negatives, &LossScratch::default());
        found.into_data().into_vec().unwrap()
    }

    fn assert_close(found: &[f32], expected: [f32; 2]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
    }

    #[test]
    fn every_loss_has_its_value() {
        let of = |loss| Objective { loss, n_negatives: 2, gbce_t: 0.75 };
        // Scores: 1, 2, 3 and, squared, 1, 4, 9 as exponentials.
        assert_close(&losses(of(Loss::CrossEntropy), &[], None), [3f32.ln(), (14.0f32 / 9.0).ln()]);
        // The negatives are items 0 and 2, each standing for one other; for the second position item 2 is the target, so only item 0 counts.
        assert_close(&losses(of(Loss::SampledSoftmax), &[0, 2], None), [3f32.ln(), (10.0f32 / 9.0).ln()]);
        // One drawn item stands for two: (2 + 2 * 1) / 2 and (9 + 2 * 1) / 9.
        assert_close(&losses(of(Loss::SampledSoftmax), &[0], None), [2f32.ln(), (11.0f32 / 9.0).ln()]);
        // sigmoid(ln x) = x / (1 + x): -ln(2/3) - ln(1 - 1/2) and -ln(9/10) - ln(1 - 4/5).
        assert_close(&losses(of(Loss::Bce), &[0, 1], None), [3f32.ln(), (50.0f32 / 9.0).ln()]);
        // -ln sigmoid(ln 2 - 0) and -ln sigmoid(ln 9 - ln 4).
        assert_close(&losses(of(Loss::Bpr), &[0, 1], None), [1.5f32.ln(), (13.0f32 / 9.0).ln()]);
        // k / (n - 1) = 1/2: beta = (.75 (1 - 2) + 2) / 2 = .625; the negative is item 0 with probability 1/2.
        let beta = 0.625;
        let expected = [beta * 1.5f32.ln() + 2f32.ln(), beta * (10.0f32 / 9.0).ln() + 2f32.ln()];
        assert_close(&losses(of(Loss::Gbce), &[0], None), expected);
        // A bias of ln 5 for item 0: it scores 5 in both.
        let bias = Some([5f32.ln(), 0.0, 0.0]);
        assert_close(&losses(of(Loss::Bpr), &[0, 0], bias), [3.5f32.ln(), (14.0f32 / 9.0).ln()]);
        assert_close(&losses(of(Loss::CrossEntropy), &[], bias), [5f32.ln(), 2f32.ln()]);
    }

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
            objective.negatives(&batch, &histories, 7, (Seed(4), 0, step))
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
}
