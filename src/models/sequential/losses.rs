//! Losses of sequential models: the target of a position against all items, or against drawn ones.
//!
//! With `s_t` the target's score, `s_j` those of the negatives, `k` their number, `n` that of all
//! items and `p` the probability of an item in a draw:
//! - `cross_entropy`: `log sum exp s - s_t` over all items, in tiles;
//! - `sampled_softmax`: the same with the sum over the others estimated from negatives, each of
//!   which stands for `(1 - p_t) / (k p_j)` items (its logQ; `(n - 1) / k` where all items are
//!   drawn alike);
//! - `bpr_max`: `-log sum_j q_j sigmoid(s_t - s_j) + bpreg sum_j q_j s_j^2`, `q` being the softmax
//!   of the negatives' scores;
//! - `gbce`: `-beta log sigmoid(s_t) - sum_j log(1 - sigmoid(s_j))`,
//!   `beta = a (t (1 - 1/a) + 1/a)`, `a = k / (n - 1)`;
//! - `bce`: the same with `beta = 1` and one negative; `bpr`: `-log sigmoid(s_t - s_j)`.
//!
//! The negatives of the first three that draw any are shared by the batch; one that is a position's
//! own target does not count there. `bce` and `bpr` draw one for each position
//! ([`super::negatives`]).
//!
//! # Source
//! Hidasi and Karatzoglou, *Recurrent Neural Networks with Top-k Gains*, CIKM 2018, eq. 13
//! (BPR-max); Petrov and Macdonald, *gSASRec*, RecSys 2023 (gBCE); Bengio and Senecal, 2003 (logQ).
//! gSASRec draws negatives for each position; the authors of GRU4Rec count a drawn target as any
//! other.

use std::sync::Arc;

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{Drawn, DrawnKind, LossScratch, OpBackend, drawn_loss, softmax_loss};
use serde::{Deserialize, Serialize};

use super::negatives::Negatives;
use crate::settings::{Unread, name_setting};

/// Which loss is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax over all items.
    CrossEntropy,
    /// Softmax over drawn items, corrected by logQ.
    SampledSoftmax,
    /// The target should score higher than drawn items, those with the highest scores first.
    BprMax,
    /// Logistic loss of drawn items, the target's probability made smaller.
    Gbce,
    /// Logistic loss of one drawn item.
    Bce,
    /// A drawn item should score lower.
    Bpr,
}

name_setting!(Loss, "loss");

impl Loss {
    fn name(self) -> &'static str {
        match self {
            Loss::CrossEntropy => "cross_entropy",
            Loss::SampledSoftmax => "sampled_softmax",
            Loss::BprMax => "bpr_max",
            Loss::Gbce => "gbce",
            Loss::Bce => "bce",
            Loss::Bpr => "bpr",
        }
    }
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
    /// The negatives that a batch shares are drawn in proportion to the items' counts to this
    /// power; at 0 all items alike.
    pub sample_alpha: f32,
    /// Weight of the squared scores in BPR-max.
    pub bpreg: f32,
}

impl Default for Objective {
    fn default() -> Self {
        Objective { loss: Loss::CrossEntropy, n_negatives: 256, gbce_t: 0.75, sample_alpha: 0.0, bpreg: 1.0 }
    }
}

impl Objective {
    /// Settings that the loss does not read. `at` is the dotted key of the table that they stand
    /// in.
    pub(super) fn unread(&self, at: &str) -> Vec<Unread> {
        let usual = Objective::default();
        let (shares, sampled) = (self.shares_negatives(), "it fits sampled_softmax, bpr_max and gbce; remove it");
        let rows = [
            ("n_negatives", self.n_negatives != usual.n_negatives && !shares, sampled),
            ("sample_alpha", self.sample_alpha != usual.sample_alpha && !shares, sampled),
            ("bpreg", self.bpreg != usual.bpreg && self.loss != Loss::BprMax, "it fits bpr_max; remove it"),
            ("gbce_t", self.gbce_t != usual.gbce_t && self.loss != Loss::Gbce, "it fits gbce; remove it"),
        ];
        let beside = format!("the loss {}", self.loss.name());
        let unread = |(name, _, todo): &(&str, bool, &'static str)| {
            Unread::new(format!("{at}.{name}"), &beside, todo, format!("{at}.loss"))
        };
        rows.iter().filter(|(_, is_unread, _)| *is_unread).map(unread).collect()
    }

    /// True for the losses whose negatives are shared by a batch.
    pub(super) fn shares_negatives(&self) -> bool {
        matches!(self.loss, Loss::SampledSoftmax | Loss::BprMax | Loss::Gbce)
    }

    /// The loss of each position.
    ///
    /// # Shapes
    /// - `hidden`: `[n, dim]`; `items`: `[n_items, dim]`; `bias`: `[1, n_items]`; `targets`: `[n]`;
    ///   returns `[n, 1]`
    pub(super) fn losses<B: OpBackend>(
        &self,
        hidden: Tensor<B, 2>,
        (items, bias): (Tensor<B, 2>, Option<Tensor<B, 2>>),
        targets: &[u32],
        negatives: &Negatives,
        scratch: &LossScratch,
    ) -> Tensor<B, 2> {
        let n_items = items.dims()[0];
        if self.loss == Loss::CrossEntropy {
            return softmax_loss(hidden, items, bias, Arc::new(targets.to_vec()), scratch);
        }
        let mut drawn = Drawn {
            targets: targets.to_vec(),
            rows: negatives.items.clone(),
            one_each: !self.shares_negatives(),
            ..Drawn::default()
        };
        let kind = match self.loss {
            Loss::Bpr => DrawnKind::Pairwise,
            Loss::Bce => DrawnKind::Logistic { weight: 1.0 },
            Loss::Gbce => {
                let (share, t) = (negatives.n_against as f32 / (n_items as f32 - 1.0).max(1.0), self.gbce_t);
                DrawnKind::Logistic { weight: share * (t * (1.0 - 1.0 / share) + 1.0 / share) }
            }
            Loss::BprMax => DrawnKind::PairwiseMax { penalty: self.bpreg },
            Loss::SampledSoftmax | Loss::CrossEntropy => {
                // A negative stands for (1 - p_t) / (k p_j) items.
                let k = negatives.n_against as f32;
                drawn.of_positions =
                    negatives.of_targets.iter().map(|p| (1.0 - p).max(f32::MIN_POSITIVE).ln()).collect();
                drawn.of_rows = negatives.probabilities.iter().map(|p| -(k * p).ln()).collect();
                DrawnKind::Softmax
            }
        };
        drawn_loss(kind, hidden, items, bias, drawn)
    }
}

#[cfg(test)]
#[path = "losses_tests.rs"]
mod tests;
