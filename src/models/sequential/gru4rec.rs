//! GRU4Rec: a recurrent network over the items so far, which predicts the next item at every
//! position.
//!
//! The vectors of the items pass one or more layers of gated units, and a dense layer brings the
//! last one's state back to the width of the items; the score of an item is the inner product with
//! its vector. `dense = false` leaves that layer out, as Hidasi's version does.
//!
//! Tan et al. make every prefix of a session an example (`batches = "prefixes"`). With whole
//! sequences all positions are trained in one pass through time, with the same gradients, at a
//! fraction of the time; only the dropout masks differ, which prefixes have one each of.
//! `random_cuts` trains a sequence up to a place that is drawn anew each epoch, which keeps the
//! first items of a session more often than its last ones. `teacher_weight` mixes in the
//! predictions of a second network that reads the session from its end (`distiller.rs`).
//!
//! # Source
//! Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks*, ICLR 2016
//! (`lanes.rs` trains as they do), in the form of Tan et al., *Improved Recurrent Neural Networks
//! for Session-based Recommendations*, DLRS 2016, section 3: every prefix is an example, and whole
//! clicks can be dropped. Sizes, rates and initial weights are those of RecBole 1.2.1
//! (`model/sequential_recommender/gru4rec.py`). Deliberate difference: a dropped click enters as
//! zeros, while Tan et al. take it out of the sequence.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, Tape, dropout, gather, gru, linear};
use serde::{Deserialize, Serialize};

use super::lanes::LaneLearner;
use super::parameters::Rule;
use super::{
    Distillation, Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, SequenceLearner, Setup, Task, Weights,
};
use crate::error::{RecError, Result};
use crate::models::{Learner, Model};
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, Unread, between, from_to_below, name_setting, row, settings};

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

name_setting!(Batches, "way to make batches");

/// What an optimiser does with a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Means of the gradients and their squares that forget.
    Adam,
    /// Sums of the squares that do not.
    Adagrad,
}

name_setting!(Optimizer, "optimizer");

/// GRU4Rec in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "gru4rec", "A recurrent network over the items so far");

settings! {
    /// `[model.gru4rec]`.
    pub struct Config {
        /// Width of the item vectors.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// Units of a recurrent layer.
        hidden: usize = 128, in between(1.0, 4096.0);
        /// Recurrent layers.
        layers: usize = 1, in between(1.0, 8.0), flag "--layers";
        /// Share of the numbers of the item vectors that are dropped.
        dropout: f32 = 0.3, in from_to_below(0.0, 1.0);
        /// Share of the numbers of the last layer's states that are dropped.
        hidden_dropout: f32 = 0.0, in from_to_below(0.0, 1.0);
        /// Share of the clicks that are dropped as a whole; Tan et al. take 0.25.
        item_dropout: f32 = 0.0, in from_to_below(0.0, 1.0);
        /// A dense layer between states and items; without it `hidden` is `dim`.
        dense: bool = true;
        /// All positions of sequences; of sequences that are cut at random each epoch; every prefix
        /// alone; one position of `train.batch_size` sessions at a time, whose states go on to the
        /// next step, and drawn negatives and the other sessions' targets against each.
        batches: Batches = Batches::WholeSequences;
        /// How the parameters take a step; `adagrad` wants a larger `train.learning_rate`.
        optimizer: Optimizer = Optimizer::Adam;
        /// Items of a history that are read: the last ones.
        max_len: usize = 50, in between(1.0, 10_000.0);
        /// What is trained on of a longer history: all of it in windows, or its last items.
        windows: Windows = Windows::All;
        /// Softmax over all items; softmax with logQ, BPR-max or gBCE over items that a batch
        /// draws; logistic or pairwise against one drawn item.
        loss: Loss = Loss::CrossEntropy;
        /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`.
        n_negatives: usize = 256, in between(1.0, 1e6);
        /// They are drawn in proportion to the counts of the items to this power; 0: all alike.
        sample_alpha: f32 = 0.0, in between(0.0, 4.0);
        /// Weight of the squared scores in `bpr_max`.
        bpreg: f32 = 1.0, in between(0.0, 1000.0);
        /// How far `gbce` corrects the probability of the target.
        gbce_t: f32 = 0.75, in between(0.0, 1.0);
        /// What a second network that reads a session from its end weighs beside the target; for
        /// `cross_entropy` with `whole_sequences` or `random_cuts`.
        teacher_weight: f32 = 0.0, in between(0.0, 1.0);
        /// Its scores are divided by it.
        teacher_temperature: f32 = 1.0, in between(0.01, 100.0);
    }
}

impl Encoder for Config {
    const ROW: &'static Row<dyn Model> = &ROW;

    fn check(&self) -> Result<()> {
        let at = "model.gru4rec";
        self.check_ranges(at)?;
        if !self.dense && self.hidden != self.dim {
            let expected = format!("{}, as dim is, where dense is false", self.dim);
            return Err(RecError::range(format!("{at}.hidden"), self.hidden, expected));
        }
        let whole = matches!(self.batches, Batches::WholeSequences | Batches::RandomCuts);
        if self.teacher_weight > 0.0 && !(self.loss == Loss::CrossEntropy && whole) {
            let expected = "0, unless loss is cross_entropy and batches are whole_sequences or random_cuts";
            return Err(RecError::range(format!("{at}.teacher_weight"), self.teacher_weight, expected));
        }
        Ok(())
    }

    fn unread_beside_loss(&self, at: &str) -> Vec<Unread> {
        if self.teacher_weight != 0.0 || self.teacher_temperature == 1.0 {
            return Vec::new();
        }
        let (beside, todo) = ("a training without a teacher", "set teacher_weight, or remove the setting");
        let because_of = format!("{at}.teacher_weight");
        vec![Unread::new(format!("{at}.teacher_temperature"), beside, todo, because_of)]
    }

    fn on_tape<T: Tape>(&self, setup: Setup) -> Result<Box<dyn Learner>> {
        match self.batches {
            Batches::SessionsInParallel => Ok(Box::new(LaneLearner::<T>::new(self.clone(), setup)?)),
            _ => Ok(Box::new(SequenceLearner::<Self, T>::new(self.clone(), setup)?)),
        }
    }

    fn positions(&self, batch_size: usize) -> usize {
        match self.batches {
            Batches::SessionsInParallel => batch_size,
            _ => batch_size * self.max_len,
        }
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

    fn distillation(&self) -> Option<Distillation> {
        let distillation = Distillation { weight: self.teacher_weight, temperature: self.teacher_temperature };
        (distillation.weight > 0.0).then_some(distillation)
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
