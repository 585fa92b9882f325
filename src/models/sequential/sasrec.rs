//! SASRec: attention over the items so far, asked at every position what comes next.
//!
//! Each item is its vector plus that of its place in the sequence. Blocks of causal attention and a
//! feed-forward layer follow; the score of an item is the inner product of its vector with what the
//! blocks make of the position.
//!
//! # Source
//! Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018; sizes, rates and the
//! order of the parts are those of RecBole 1.2.1 (`model/sequential_recommender/sasrec.py`).
//! Deliberate differences: the default loss is a softmax over all items at every position of a
//! window, not at the last of every prefix; sequences are not filled up to one length.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, dropout, gather, scaled_sum};

use super::blocks::{Blocks, embed, embedding, heads_divide, places};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights, pre_norm};
use crate::error::Result;
use crate::models::Model;
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, above, between, from_to_below, row, settings};

/// SASRec in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "sasrec", "Attention over the items so far");

settings! {
    /// `[model.sasrec]`.
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
        dropout: f32 = 0.5, in from_to_below(0.0, 1.0);
        /// Share of the attention that is dropped.
        attention_dropout: f32 = 0.5, in from_to_below(0.0, 1.0);
        /// The function inside a feed-forward layer.
        activation: Activation = Activation::Gelu;
        /// Added to the variance in a normalisation.
        norm_epsilon: f32 = 1e-12, in above(0.0);
        /// Standard deviation of the initial weights.
        init_std: f32 = 0.02, in above(0.0);
        /// The blocks of the authors' code: normalised before each half of a block and not after
        /// it, item vectors scaled by the root of `dim`.
        pre_norm: bool = false;
        /// Items of a history that are read: the last ones.
        max_len: usize = 50, in between(1.0, 10_000.0);
        /// What is trained on of a longer history: all of it in windows, or its last items.
        windows: Windows = Windows::All;
        /// Softmax over all items; softmax with logQ, BPR-max or gBCE over items that a batch
        /// draws; logistic or pairwise against one drawn item.
        loss: Loss = Loss::CrossEntropy;
        /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`.
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
    const ROW: &'static Row<dyn Model> = &ROW;

    fn check(&self) -> Result<()> {
        self.check_ranges("model.sasrec")?;
        heads_divide("model.sasrec", self.heads, self.dim)
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
            let x = scaled_sum((self.dim as f32).sqrt(), items, positions);
            let x = dropout(x, noise.drop(self.dropout));
            return pre_norm::run(&self.blocks(), weights, x, input.sequences, noise);
        }
        let x = embed(weights, items, places(input.sequences), self.norm_epsilon, noise.drop(self.dropout));
        self.blocks().run(weights, x, input.sequences, noise)
    }
}
