//! BERT4Rec: attention in both directions over a history with holes, asked what was in them; the next item is a hole at the end.
//!
//! # Source
//! Sun et al., *BERT4Rec*, CIKM 2019; sizes, rates, the output layer and its bias are those of RecBole 1.2.1
//! (`model/sequential_recommender/bert4rec.py`, SPEC D.1). Deliberate differences: each item of a window is masked with the given probability, wherever
//! it stands, and the last training item can be (RecBole masks prefixes without their target, and of long lists the last places alone); the loss is a
//! softmax over all items.

use burn_tensor::Tensor;
use gcnrec_graphs::ItemId;
use gcnrec_kernels::burn_bridge::{self as ops, Drop, OpBackend};
use serde::{Deserialize, Serialize};

use super::blocks::{Blocks, add_norm, apply_dense, dense, embed, embedding, length, norm, places};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights, expect};
use crate::error::Result;
use crate::samplers::{Examples, Windows};

/// `[model.bert4rec]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of the vectors, 1..=4096. Default 64.
    pub dim: usize,
    /// Width inside a feed-forward layer, 1..=16384. Default 256.
    pub inner: usize,
    /// Number of blocks, 1..=32. Default 2.
    pub layers: usize,
    /// Heads of the attention, a divisor of `dim`. Default 2.
    pub heads: usize,
    /// Share of the numbers that are dropped after the input and after each half of a block, at least 0 and below 1. Default 0.2.
    pub dropout: f32,
    /// Share of the attention that is dropped, at least 0 and below 1. Default 0.2.
    pub attention_dropout: f32,
    /// The function inside a feed-forward layer and before the scores. Default `gelu`.
    pub activation: Activation,
    /// Added to the variance in a normalisation, above 0. Default 1e-12.
    pub norm_epsilon: f32,
    /// Standard deviation of the initial weights, above 0. Default 0.02.
    pub init_std: f32,
    /// Places that are read, the hole at the end included, 2..=10000. Default 50.
    pub max_len: usize,
    /// What is trained on of a longer history: `all` of it in windows, or the `last` items. Default `all`.
    pub windows: Windows,
    /// Share of the items that are masked in training, above 0 to 1. Default 0.2.
    pub mask_ratio: f32,
    /// Share of the batches that mask the last item alone, as in use, 0..=1. Default 0.5.
    pub last_ratio: f32,
    /// The loss: `cross_entropy` over all items; `sampled_softmax`, `bpr_max` or `gbce` over items that a batch draws; `bce` or `bpr` against one.
    /// Default `cross_entropy`.
    pub loss: Loss,
    /// Items that a batch draws for `sampled_softmax` and `gbce`, 1..=1000000. Default 256.
    pub n_negatives: usize,
    /// How far `gbce` corrects the target's probability, 0..=1: 0 not at all, 1 in full. Default 0.75.
    pub gbce_t: f32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dim: 64,
            inner: 256,
            layers: 2,
            heads: 2,
            dropout: 0.2,
            attention_dropout: 0.2,
            activation: Activation::Gelu,
            norm_epsilon: 1e-12,
            init_std: 0.02,
            max_len: 50,
            windows: Windows::All,
            mask_ratio: 0.2,
            last_ratio: 0.5,
            loss: Loss::CrossEntropy,
            n_negatives: 256,
            gbce_t: 0.75,
        }
    }
}

impl Config {
    fn blocks(&self) -> Blocks {
        Blocks {
            dim: self.dim,
            inner: self.inner,
            layers: self.layers,
            heads: self.heads,
            causal: false,
            dropout: self.dropout,
            attention_dropout: self.attention_dropout,
            activation: self.activation,
            epsilon: self.norm_epsilon,
            init_std: self.init_std,
        }
    }
}

impl Encoder for Config {
    const NAME: &'static str = "bert4rec";

    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("model.bert4rec.{name}");
        self.blocks().validate("model.bert4rec")?;
        self.task().objective.validate("model.bert4rec")?;
        length(key("max_len"), self.max_len)?;
        // One place is the hole.
        expect(self.max_len >= 2, key("max_len"), self.max_len, "a whole number from 2 to 10000")?;
        let mask_ratio = self.mask_ratio > 0.0 && self.mask_ratio <= 1.0;
        expect(mask_ratio, key("mask_ratio"), self.mask_ratio, "a number above 0 and at most 1")?;
        let last_ratio = (0.0..=1.0).contains(&self.last_ratio);
        expect(last_ratio, key("last_ratio"), self.last_ratio, "a number from 0 to 1")
    }

    fn task(&self) -> Task {
        let examples = Examples::Masked { ratio: self.mask_ratio, last_ratio: self.last_ratio };
        let objective =
            Objective { loss: self.loss, n_negatives: self.n_negatives, gbce_t: self.gbce_t, ..Objective::default() };
        Task { max_len: self.max_len, windows: self.windows, examples, objective }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        let mut all = embedding(n_items, self.max_len, self.dim, self.init_std);
        all.push(Parameter::new("mask", [1, self.dim], Init::Normal(self.init_std)));
        all.extend(self.blocks().parameters());
        all.extend(dense("head", self.dim, self.dim, self.init_std));
        all.extend(norm("head_norm", self.dim));
        all.push(Parameter::new("item_bias", [1, n_items], Init::Constant(0.0)));
        all
    }

    fn held(&self) -> [usize; 2] {
        self.blocks().held(self.max_len)
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let table = weights.get(ITEMS);
        let n_items = table.dims()[0] as u32;
        let items = ops::gather(table, input.items.iter().map(|&item| (item < n_items).then_some(item)));
        let holes = ops::gather(weights.get("mask"), input.items.iter().map(|&item| (item == n_items).then_some(0)));
        let x = items + holes;
        let x = embed(weights, x, places(input.sequences), self.norm_epsilon, noise.drop(self.dropout));
        let x = self.blocks().run(weights, x, input.sequences, noise);
        let x = ops::activate(self.activation.op(), apply_dense(weights, "head", x));
        add_norm(weights, "head_norm", x, None, self.norm_epsilon, Drop::NOTHING)
    }

    fn item_bias(&self) -> Option<&'static str> {
        Some("item_bias")
    }

    /// The last items, and a hole after them.
    fn asked(&self, history: &[ItemId], n_items: usize) -> Vec<u32> {
        let last = &history[history.len().saturating_sub(self.max_len - 1)..];
        last.iter().map(|item| item.0).chain([n_items as u32]).collect()
    }
}
