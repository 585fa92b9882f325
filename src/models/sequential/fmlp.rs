//! FMLP-Rec: learned filters over the frequencies of a history instead of attention.
//!
//! A history is filled up on the left to one length; each block filters every column along the
//! positions and passes the result through a feed-forward layer, each added to what it reads and
//! normalised. The last position is the user.
//!
//! # Source
//! Zhou et al., *Filter-enhanced MLP is All You Need for Sequential Recommendation*, WWW 2022;
//! reference code RUCAIBox/FMLP-Rec. A filter reads later positions too, so only the last one is
//! trained, on every prefix. Deliberate differences: the default loss is a softmax over all items
//! instead of one sampled negative; the empty prefix is not trained on.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{self as ops, OpBackend};

use super::blocks::{add_norm, apply_feed_forward, embed, embedding, feed_forward, norm};
use super::{Activation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights};
use crate::error::Result;
use crate::models::Model;
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, above, between, from_to_below, row, settings};

/// FMLP-Rec in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "fmlp", "Filters over the frequencies of a history");

settings! {
    /// `[model.fmlp]`.
    pub(crate) struct Config {
        /// Width of the vectors.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// Width inside a feed-forward layer.
        inner: usize = 256, in between(1.0, 16384.0);
        /// Number of blocks.
        layers: usize = 2, in between(1.0, 32.0), flag "--layers";
        /// Share of the numbers that are dropped after the input and after each half of a block.
        dropout: f32 = 0.5, in from_to_below(0.0, 1.0);
        /// The function inside a feed-forward layer.
        activation: Activation = Activation::Gelu;
        /// Added to the variance in a normalisation.
        norm_epsilon: f32 = 1e-12, in above(0.0);
        /// Standard deviation of the initial weights.
        init_std: f32 = 0.02, in above(0.0);
        /// Places of the filters: the last items of a history are read.
        max_len: usize = 50, in between(1.0, 10_000.0);
        /// Softmax over all items; softmax with logQ, BPR-max or gBCE over items that a batch
        /// draws; logistic or pairwise against one drawn item.
        loss: Loss = Loss::CrossEntropy;
        /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`.
        n_negatives: usize = 256, in between(1.0, 1e6);
        /// How far `gbce` corrects the probability of the target.
        gbce_t: f32 = 0.75, in between(0.0, 1.0);
    }
}

impl Encoder for Config {
    const ROW: &'static Row<dyn Model> = &ROW;

    fn check(&self) -> Result<()> {
        self.check_ranges("model.fmlp")
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
