//! FMLP-Rec: learned filters over the frequencies of a history instead of attention.
//!
//! A history is filled up on the left to one length; each block filters every column along the positions and passes the result through a feed-forward
//! layer, each added to what it reads and normalised. The last position is the user.
//!
//! # Source
//! Zhou et al., *Filter-enhanced MLP is All You Need for Sequential Recommendation*, WWW 2022; reference code RUCAIBox/FMLP-Rec (SPEC D.1). A filter
//! reads later positions too, so only the last one is trained, on every prefix. Deliberate differences: the default loss is a softmax over all items instead of
//! one sampled negative; the empty prefix is not trained on.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{self as ops, OpBackend};
use serde::{Deserialize, Serialize};

use super::blocks::{
    add_norm, apply_feed_forward, embed, embedding, feed_forward, length, norm, positive, rate, sizes,
};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights};
use crate::error::Result;
use crate::samplers::{Examples, Windows};

/// `[model.fmlp]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of the vectors, 1..=4096. Default 64.
    pub dim: usize,
    /// Width inside a feed-forward layer, 1..=16384. Default 256.
    pub inner: usize,
    /// Number of blocks, 1..=32. Default 2.
    pub layers: usize,
    /// Share of the numbers that are dropped after the input and after each half of a block, at least 0 and below 1. Default 0.5.
    pub dropout: f32,
    /// The function inside a feed-forward layer. Default `gelu`.
    pub activation: Activation,
    /// Added to the variance in a normalisation, above 0. Default 1e-12.
    pub norm_epsilon: f32,
    /// Standard deviation of the initial weights, above 0. Default 0.02.
    pub init_std: f32,
    /// Places of the filters, 1..=10000: the last items of a history are read. Default 50.
    pub max_len: usize,
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
            dropout: 0.5,
            activation: Activation::Gelu,
            norm_epsilon: 1e-12,
            init_std: 0.02,
            max_len: 50,
            loss: Loss::CrossEntropy,
            n_negatives: 256,
            gbce_t: 0.75,
        }
    }
}

impl Encoder for Config {
    const NAME: &'static str = "fmlp";

    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("model.fmlp.{name}");
        sizes(&key, [self.dim, self.inner, self.layers])?;
        self.task().objective.validate("model.fmlp")?;
        rate(key("dropout"), self.dropout)?;
        positive(key("norm_epsilon"), self.norm_epsilon)?;
        positive(key("init_std"), self.init_std)?;
        length(key("max_len"), self.max_len)
    }

    fn task(&self) -> Task {
        let Config { loss, n_negatives, gbce_t, .. } = *self;
        let objective = Objective { loss, n_negatives, gbce_t, ..Objective::default() };
        Task { max_len: self.max_len, windows: Windows::All, examples: Examples::Prefixes, objective }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        let mut all = embedding(n_items, self.max_len, self.dim, self.init_std);
        for layer in 0..self.layers {
            let n_frequencies = self.max_len / 2 + 1;
            all.push(Parameter::new(
                format!("layers.{layer}.filter"),
                [2 * n_frequencies, self.dim],
                Init::Normal(self.init_std),
            ));
            all.extend(norm(&format!("layers.{layer}.filter_norm"), self.dim));
            all.extend(feed_forward(&format!("layers.{layer}.feed_forward"), self.dim, self.inner, self.init_std));
        }
        all
    }

    fn held(&self) -> [usize; 2] {
        // A spectrum has up to one row more than its sequence, for real and imaginary parts each.
        let of_layer = 14 * self.dim + 3 * self.inner;
        [(2 * self.dim).max(self.inner), 6 * self.dim + self.layers * of_layer]
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let n = self.max_len;
        let filled = input.sequences.ranges().flat_map(|rows| {
            std::iter::repeat_n(None, n - rows.len()).chain(input.items[rows].iter().copied().map(Some))
        });
        let items = ops::gather(weights.get(ITEMS), filled);
        let places = (0..input.sequences.len()).flat_map(|_| 0..n as u32);
        let mut x = embed(weights, items, places, self.norm_epsilon, noise.drop(self.dropout));
        for layer in 0..self.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let met = ops::spectral_filter(x.clone(), weights.get(&name("filter")), n);
            x = add_norm(weights, &name("filter_norm"), met, Some(x), self.norm_epsilon, noise.drop(self.dropout));
            let drop = noise.drop(self.dropout);
            x = apply_feed_forward(weights, &name("feed_forward"), x, self.activation, self.norm_epsilon, drop);
        }
        let own = input.sequences.ranges().enumerate();
        ops::gather(x, own.flat_map(|(s, rows)| ((s + 1) * n - rows.len()..(s + 1) * n).map(|row| Some(row as u32))))
    }
}
