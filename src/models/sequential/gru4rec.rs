//! GRU4Rec: a recurrent network reads the items so far and is asked at every position what comes next.
//!
//! The vectors of the items pass one or more layers of gated units, and a dense layer brings the last one's state back to the width of the items; the
//! score of an item is the inner product with its vector. `dense = false` leaves that layer out, as Hidasi's version does.
//!
//! Tan et al. make every prefix of a session an example (`batches = "prefixes"`). With whole sequences all positions are trained in one pass through time,
//! with the same gradients, at a fraction of the time; what the prefixes have beside that is a dropout mask of their own. `random_cuts` trains a
//! sequence up to a place that is drawn anew each epoch, which a session's first items survive more often than its last ones. `teacher_weight` mixes in
//! what a second network says that reads the session from its end (`teacher.rs`).
//!
//! # Source
//! Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks*, ICLR 2016 (`lanes.rs` trains as they do), in the form of Tan et al.,
//! *Improved Recurrent Neural Networks for Session-based Recommendations*, DLRS 2016, section 3: every prefix is an example, and whole clicks can be dropped.
//! Sizes, rates and initial weights are those of RecBole 1.2.1 (`model/sequential_recommender/gru4rec.py`). Deliberate difference: a dropped click enters as
//! zeros, while Tan et al. take it out of the sequence.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, dropout, gather, gru, linear};
use serde::{Deserialize, Serialize};

use super::blocks::{length, rate};
use super::parameters::Rule;
use super::{Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Teaching, Weights, expect};
use crate::error::Result;
use crate::samplers::{Examples, Windows};

/// How sessions become batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batches {
    /// Sequences, all positions of each.
    WholeSequences,
    /// Sequences up to a random place, all positions of what is left.
    RandomCuts,
    /// Prefixes, the last position of each.
    Prefixes,
    /// One position of each of several sessions at a time.
    SessionsInParallel,
}

/// What an optimiser does with a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Means of the gradients and their squares that forget.
    Adam,
    /// Sums of the squares that do not.
    Adagrad,
}

/// `[model.gru4rec]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of the item vectors, 1..=4096. Default 64.
    pub dim: usize,
    /// Units of a recurrent layer, 1..=4096. Default 128.
    pub hidden: usize,
    /// Recurrent layers, 1..=8. Default 1.
    pub layers: usize,
    /// Share of the numbers of the item vectors that are dropped, at least 0 and below 1. Default 0.3.
    pub dropout: f32,
    /// Share of the numbers of the last layer's states that are dropped, at least 0 and below 1. Default 0.
    pub hidden_dropout: f32,
    /// Share of the clicks that are dropped as a whole, at least 0 and below 1. Default 0; Tan et al. take 0.25.
    pub item_dropout: f32,
    /// True when a dense layer stands between the states and the items; without it `hidden` should be `dim`. Default true.
    pub dense: bool,
    /// How sessions become batches: `whole_sequences`, `random_cuts`, `prefixes`, or `sessions_in_parallel`. Default `whole_sequences`.
    pub batches: Batches,
    /// `adam`, or `adagrad`, which wants a larger `train.learning_rate`. Default `adam`.
    pub optimizer: Optimizer,
    /// Items of a history that are read, 1..=10000: the last ones. Default 50.
    pub max_len: usize,
    /// What is trained on of a longer history: `all` of it in windows, or the `last` items. Default `all`.
    pub windows: Windows,
    /// The loss: `cross_entropy` over all items; `sampled_softmax`, `bpr_max` or `gbce` over items that a batch draws; `bce` or `bpr` against one.
    /// Default `cross_entropy`.
    pub loss: Loss,
    /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`, 1..=1000000. Default 256.
    pub n_negatives: usize,
    /// They are drawn in proportion to the items' counts to this power, 0..=4. Default 0: all items alike.
    pub sample_alpha: f32,
    /// Weight of the squared scores in `bpr_max`, 0..=1000. Default 1.
    pub bpreg: f32,
    /// How far `gbce` corrects the target's probability, 0..=1: 0 not at all, 1 in full. Default 0.75.
    pub gbce_t: f32,
    /// What a teacher that reads the items after the target weighs beside it, 0..=1; for `cross_entropy` on whole or cut sequences. Default 0: none.
    pub teacher_weight: f32,
    /// The teacher's scores are divided by it, 0.01..=100. Default 1.
    pub teacher_temperature: f32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dim: 64,
            hidden: 128,
            layers: 1,
            dropout: 0.3,
            hidden_dropout: 0.0,
            item_dropout: 0.0,
            dense: true,
            batches: Batches::WholeSequences,
            optimizer: Optimizer::Adam,
            max_len: 50,
            windows: Windows::All,
            loss: Loss::CrossEntropy,
            n_negatives: 256,
            sample_alpha: 0.0,
            bpreg: 1.0,
            gbce_t: 0.75,
            teacher_weight: 0.0,
            teacher_temperature: 1.0,
        }
    }
}

impl Encoder for Config {
    const NAME: &'static str = "gru4rec";

    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("model.gru4rec.{name}");
        sizes(&key, [self.dim, self.hidden, self.layers])?;
        rate(key("dropout"), self.dropout)?;
        rate(key("hidden_dropout"), self.hidden_dropout)?;
        rate(key("item_dropout"), self.item_dropout)?;
        let fits = self.dense || self.hidden == self.dim;
        expect(fits, key("hidden"), self.hidden, &format!("{}, as dim is, where dense is false", self.dim))?;
        self.task().objective.validate("model.gru4rec")?;
        let (weight, temperature) = (self.teacher_weight, self.teacher_temperature);
        expect((0.0..=1.0).contains(&weight), key("teacher_weight"), weight, "a number from 0 to 1")?;
        expect(
            (0.01..=100.0).contains(&temperature),
            key("teacher_temperature"),
            temperature,
            "a number from 0.01 to 100",
        )?;
        let taught =
            self.loss == Loss::CrossEntropy && matches!(self.batches, Batches::WholeSequences | Batches::RandomCuts);
        expect(
            weight == 0.0 || taught,
            key("teacher_weight"),
            weight,
            "0, unless loss is cross_entropy and batches are whole_sequences or random_cuts",
        )?;
        length(key("max_len"), self.max_len)
    }

    fn task(&self) -> Task {
        let examples = match self.batches {
            Batches::RandomCuts => Examples::Cuts,
            Batches::Prefixes => Examples::Prefixes,
            Batches::WholeSequences | Batches::SessionsInParallel => Examples::Positions,
        };
        let Config { loss, n_negatives, sample_alpha, bpreg, gbce_t, .. } = *self;
        let objective = Objective { loss, n_negatives, gbce_t, sample_alpha, bpreg };
        Task { max_len: self.max_len, windows: self.windows, examples, objective }
    }

    fn teaching(&self) -> Option<Teaching> {
        let teaching = Teaching { weight: self.teacher_weight, temperature: self.teacher_temperature };
        (teaching.weight > 0.0).then_some(teaching)
    }

    fn rule(&self, learning_rate: f32) -> Rule {
        match self.optimizer {
            Optimizer::Adam => Rule::adam(learning_rate),
            Optimizer::Adagrad => Rule::Adagrad { learning_rate },
        }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        let mut all = vec![Parameter::xavier_normal(ITEMS, [n_items, self.dim])];
        for layer in 0..self.layers {
            let below = if layer == 0 { self.dim } else { self.hidden };
            let starts = match layer {
                // Only the first layer starts in another way than PyTorch's own (RecBole).
                0 => [below, self.hidden].map(|inputs| Init::xavier_uniform([inputs, 3 * self.hidden])),
                _ => [Init::Uniform((self.hidden as f32).sqrt().recip()); 2],
            };
            all.extend(gru_parameters(layer, below, self.hidden, starts));
        }
        if !self.dense {
            return all;
        }
        let start = Init::Uniform((self.hidden as f32).sqrt().recip());
        all.push(Parameter::new("dense.weight", [self.hidden, self.dim], start));
        all.push(Parameter::new("dense.bias", [1, self.dim], start));
        all
    }

    fn held(&self) -> [usize; 2] {
        [(4 * self.hidden).max(self.dim), 6 * self.dim + self.layers * 16 * self.hidden]
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let x = self.read_items(weights, input.items, noise);
        self.read_out(weights, run_gru(weights, x, input, self.layers), noise)
    }
}

impl Config {
    /// The vectors of items, some dropped as a whole and some of their numbers.
    pub(super) fn read_items<B: OpBackend>(
        &self,
        weights: &Weights<B>,
        items: &[u32],
        noise: &mut Noise,
    ) -> Tensor<B, 2> {
        let mut x = gather(weights.get(ITEMS), items.iter().map(|&item| Some(item)));
        let clicks = noise.drop(self.item_dropout);
        if !clicks.is_nothing() {
            let [rows, width] = x.dims();
            let kept = dropout(Tensor::ones([rows, 1], &x.device()), clicks);
            x = x * kept.expand([rows, width]);
        }
        dropout(x, noise.drop(self.dropout))
    }

    /// What meets the items, from the last layer's states.
    pub(super) fn read_out<B: OpBackend>(
        &self,
        weights: &Weights<B>,
        states: Tensor<B, 2>,
        noise: &mut Noise,
    ) -> Tensor<B, 2> {
        let states = dropout(states, noise.drop(self.hidden_dropout));
        if self.dense { linear(states, weights.get("dense.weight"), weights.get("dense.bias")) } else { states }
    }
}

/// Refuses widths and a number of layers outside their ranges.
pub(super) fn sizes(key: &dyn Fn(&str) -> String, [dim, hidden, layers]: [usize; 3]) -> Result<()> {
    for (name, width) in [("dim", dim), ("hidden", hidden)] {
        expect((1..=4096).contains(&width), key(name), width, "a whole number from 1 to 4096")?;
    }
    expect((1..=8).contains(&layers), key("layers"), layers, "a whole number from 1 to 8")
}

/// The weights of a recurrent layer from below and from the state before.
pub(super) fn gru_parameters(layer: usize, below: usize, hidden: usize, [input, state]: [Init; 2]) -> [Parameter; 2] {
    [
        Parameter::new(format!("gru.{layer}.input"), [below, 3 * hidden], input),
        Parameter::new(format!("gru.{layer}.state"), [hidden, 3 * hidden], state),
    ]
}

/// The states of the last of some recurrent layers.
pub(super) fn run_gru<B: OpBackend>(
    weights: &Weights<B>,
    mut x: Tensor<B, 2>,
    input: &Input<'_>,
    layers: usize,
) -> Tensor<B, 2> {
    for layer in 0..layers {
        let from_below = without_bias(x, weights.get(&format!("gru.{layer}.input")));
        x = gru(from_below, weights.get(&format!("gru.{layer}.state")), input.sequences);
    }
    x
}

/// A product with a matrix of weights.
pub(super) fn without_bias<B: OpBackend>(x: Tensor<B, 2>, weight: Tensor<B, 2>) -> Tensor<B, 2> {
    let nothing = Tensor::zeros([1, weight.dims()[1]], &x.device());
    linear(x, weight, nothing)
}
