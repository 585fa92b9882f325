//! SASRec: attention over the items so far, asked at every position what comes next.
//!
//! Each item is its vector plus that of its place in the sequence. Blocks of causal attention and a feed-forward layer follow; the score of an item is
//! the inner product of its vector with what the blocks make of the position.
//!
//! # Source
//! Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018; sizes, rates and the order of the parts are those of RecBole 1.2.1
//! (`model/sequential_recommender/sasrec.py`, SPEC D.1). Deliberate differences: the default loss is a softmax over all items (SPEC D.3) at every position of
//! a window, not at the last of every prefix; sequences are not filled up to one length.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, dropout, gather};
use serde::{Deserialize, Serialize};

use super::blocks::{Blocks, embed, embedding, length, places};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights, pre_norm};
use crate::error::Result;
use crate::samplers::{Examples, Windows};

/// `[model.sasrec]`.
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
    /// Share of the numbers that are dropped after the input and after each half of a block, at least 0 and below 1. Default 0.5.
    pub dropout: f32,
    /// Share of the attention that is dropped, at least 0 and below 1. Default 0.5.
    pub attention_dropout: f32,
    /// The function inside a feed-forward layer. Default `gelu`.
    pub activation: Activation,
    /// Added to the variance in a normalisation, above 0. Default 1e-12.
    pub norm_epsilon: f32,
    /// Standard deviation of the initial weights, above 0. Default 0.02.
    pub init_std: f32,
    /// True for the blocks of the authors' code: queries and feed-forward layers read normalised vectors, the result is normalised once more, nothing
    /// projects what the heads found, and item vectors are scaled by the root of `dim`. Default false: RecBole's blocks.
    pub pre_norm: bool,
    /// Items of a history that are read, 1..=10000: the last ones. Default 50.
    pub max_len: usize,
    /// What is trained on of a longer history: `all` of it in windows, or the `last` items. Default `all`.
    pub windows: Windows,
    /// The loss: `cross_entropy` over all items; `sampled_softmax`, `bpr_max` or `gbce` over items that a batch draws; `bce` or `bpr` against one.
    /// Default `cross_entropy`.
    pub loss: Loss,
    /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`, 1..=1000000. Default 256.
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
            dropout: 0.5,
            attention_dropout: 0.5,
            activation: Activation::Gelu,
            norm_epsilon: 1e-12,
            init_std: 0.02,
            pre_norm: false,
            max_len: 50,
            windows: Windows::All,
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
            causal: true,
            dropout: self.dropout,
            attention_dropout: self.attention_dropout,
            activation: self.activation,
            epsilon: self.norm_epsilon,
            init_std: self.init_std,
        }
    }
}

impl Encoder for Config {
    const NAME: &'static str = "sasrec";

    fn validate(&self) -> Result<()> {
        self.blocks().validate("model.sasrec")?;
        self.task().objective.validate("model.sasrec")?;
        length("model.sasrec.max_len".into(), self.max_len)
    }

    fn task(&self) -> Task {
        let Config { loss, n_negatives, gbce_t, .. } = *self;
        let objective = Objective { loss, n_negatives, gbce_t, ..Objective::default() };
        Task { max_len: self.max_len, windows: self.windows, examples: Examples::Positions, objective }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        if self.pre_norm {
            let rows = |name: &str, n| Parameter::new(name, [n, self.dim], Init::Normal(self.init_std));
            let mut all = vec![rows(ITEMS, n_items), rows("positions", self.max_len)];
            all.extend(pre_norm::parameters(&self.blocks()));
            return all;
        }
        let mut all = embedding(n_items, self.max_len, self.dim, self.init_std);
        all.extend(self.blocks().parameters());
        all
    }

    fn held(&self) -> [usize; 2] {
        self.blocks().held(self.max_len)
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let items = gather(weights.get(ITEMS), input.items.iter().copied().map(Some));
        if self.pre_norm {
            let positions = gather(weights.get("positions"), places(input.sequences).map(Some));
            let x = items * (self.dim as f32).sqrt() + positions;
            let x = dropout(x, noise.drop(self.dropout));
            return pre_norm::run(&self.blocks(), weights, x, input.sequences, noise);
        }
        let x = embed(weights, items, places(input.sequences), self.norm_epsilon, noise.drop(self.dropout));
        self.blocks().run(weights, x, input.sequences, noise)
    }
}
