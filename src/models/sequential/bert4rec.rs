//! BERT4Rec: attention in both directions over a history with masked items, which are predicted;
//! the next item is a mask at the end.
//!
//! # Source
//! Sun et al., *BERT4Rec*, CIKM 2019; sizes, rates, the output layer and its bias are those of
//! RecBole 1.2.1 (`model/sequential_recommender/bert4rec.py`). Deliberate differences: each item of
//! a window is masked with the given probability, wherever it stands, and the last training item
//! can be (RecBole masks prefixes without their target, and of long lists the last places alone);
//! the loss is a softmax over all items.

use burn_tensor::Tensor;
use gcnrec_graphs::ItemId;
use gcnrec_kernels::burn_bridge::{self as ops, Drop, OpBackend};

use super::blocks::{Blocks, add_norm, apply_dense, dense, embed, embedding, heads_divide, norm, places};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights};
use crate::error::Result;
use crate::models::Model;
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, above, above_up_to, between, from_to_below, row, settings};

/// BERT4Rec in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "bert4rec", "Attention in both directions over a history with holes");

settings! {
    /// `[model.bert4rec]`.
    pub(crate) struct Config {
        /// Width of the vectors.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// Width inside a feed-forward layer.
        inner: usize = 256, in between(1.0, 16384.0);
        /// Number of blocks.
        layers: usize = 2, in between(1.0, 32.0), flag "--layers";
        /// Heads of the attention.
        heads: usize = 2, takes "a divisor of `dim`";
        /// Share of the numbers that are dropped after the input and after each half of a block.
        dropout: f32 = 0.2, in from_to_below(0.0, 1.0);
        /// Share of the attention that is dropped.
        attention_dropout: f32 = 0.2, in from_to_below(0.0, 1.0);
        /// The function inside a feed-forward layer and before the scores.
        activation: Activation = Activation::Gelu;
        /// Added to the variance in a normalisation.
        norm_epsilon: f32 = 1e-12, in above(0.0);
        /// Standard deviation of the initial weights.
        init_std: f32 = 0.02, in above(0.0);
        /// Places that are read, the hole at the end included.
        max_len: usize = 50, in between(2.0, 10_000.0);
        /// What is trained on of a longer history: all of it in windows, or its last items.
        windows: Windows = Windows::All;
        /// Share of the items that are masked in training.
        mask_ratio: f32 = 0.2, in above_up_to(0.0, 1.0);
        /// Share of the batches that mask the last item alone, as in use.
        last_ratio: f32 = 0.5, in between(0.0, 1.0);
        /// Softmax over all items; softmax with logQ, BPR-max or gBCE over items that a batch
        /// draws; logistic or pairwise against one drawn item.
        loss: Loss = Loss::CrossEntropy;
        /// Items that a batch draws for `sampled_softmax` and `gbce`.
        n_negatives: usize = 256, in between(1.0, 1e6);
        /// How far `gbce` corrects the probability of the target.
        gbce_t: f32 = 0.75, in between(0.0, 1.0);
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
    const ROW: &'static Row<dyn Model> = &ROW;

    fn check(&self) -> Result<()> {
        self.check_ranges("model.bert4rec")?;
        heads_divide("model.bert4rec", self.heads, self.dim)
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
        let x = ops::scaled_sum(1.0, items, holes);
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
