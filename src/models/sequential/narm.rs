//! NARM: a recurrent network reads the items so far; its last state says what the user does, and attention over all states what the user is after.
//!
//! With `h_j` the states, position `t` is `B [sum_{j <= t} a_tj h_j ; h_t]`, `a_tj = v . s(A_1 h_j + A_2 h_t)`; the score of an item is the inner product of
//! its vector with that.
//!
//! # Source
//! Li et al., *Neural Attentive Session-based Recommendation*, CIKM 2017, eq. 4-10; sizes, rates and initial weights are those of RecBole 1.2.1
//! (`model/sequential_recommender/narm.py`), which takes the logits for the weights, as the paper's formula does; `normalised` divides them as the
//! authors' code does (SPEC D.1). Deliberate difference: since a position reads only what comes before it, all positions of a sequence are trained in one
//! pass, with the gradients that their prefixes would give.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, dropout, gather, local_attention};
use serde::{Deserialize, Serialize};

use super::blocks::{length, rate};
use super::gru4rec::{gru_parameters, run_gru, sizes, without_bias};
use super::{Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights};
use crate::error::Result;
use crate::samplers::{Examples, Windows};

/// `[model.narm]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of the item vectors, 1..=4096. Default 64.
    pub dim: usize,
    /// Units of a recurrent layer, 1..=4096. Default 128.
    pub hidden: usize,
    /// Recurrent layers, 1..=8. Default 1.
    pub layers: usize,
    /// Share of the numbers of the item vectors that are dropped, at least 0 and below 1. Default 0.25.
    pub dropout: f32,
    /// Share of what attention and last state say that is dropped, at least 0 and below 1. Default 0.5.
    pub context_dropout: f32,
    /// True when the weights of the attention are a softmax. Default false.
    pub normalised: bool,
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
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dim: 64,
            hidden: 128,
            layers: 1,
            dropout: 0.25,
            context_dropout: 0.5,
            normalised: false,
            max_len: 50,
            windows: Windows::All,
            loss: Loss::CrossEntropy,
            n_negatives: 256,
            sample_alpha: 0.0,
            bpreg: 1.0,
            gbce_t: 0.75,
        }
    }
}

impl Encoder for Config {
    const NAME: &'static str = "narm";

    fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("model.narm.{name}");
        sizes(&key, [self.dim, self.hidden, self.layers])?;
        rate(key("dropout"), self.dropout)?;
        rate(key("context_dropout"), self.context_dropout)?;
        self.task().objective.validate("model.narm")?;
        length(key("max_len"), self.max_len)
    }

    fn task(&self) -> Task {
        let Config { loss, n_negatives, sample_alpha, bpreg, gbce_t, .. } = *self;
        let objective = Objective { loss, n_negatives, gbce_t, sample_alpha, bpreg };
        Task { max_len: self.max_len, windows: self.windows, examples: Examples::Positions, objective }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        let (dim, hidden) = (self.dim, self.hidden);
        let mut all = vec![Parameter::xavier_normal(ITEMS, [n_items, dim])];
        for layer in 0..self.layers {
            let start = Init::Uniform((hidden as f32).sqrt().recip());
            all.extend(gru_parameters(layer, if layer == 0 { dim } else { hidden }, hidden, [start; 2]));
        }
        all.push(Parameter::xavier_normal("attention.earlier", [hidden, hidden]));
        all.push(Parameter::xavier_normal("attention.last", [hidden, hidden]));
        all.push(Parameter::xavier_normal("attention.vector", [1, hidden]));
        all.push(Parameter::xavier_normal("decoder", [2 * hidden, dim]));
        all
    }

    fn held(&self) -> [usize; 2] {
        let (states, weights) = (4 * self.hidden, self.max_len);
        [states.max(self.dim).max(weights), 6 * self.dim + (self.layers + 1) * 4 * states + 2 * weights]
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let x = gather(weights.get(ITEMS), input.items.iter().map(|&item| Some(item)));
        let states = run_gru(weights, dropout(x, noise.drop(self.dropout)), input, self.layers);
        let earlier = without_bias(states.clone(), weights.get("attention.earlier"));
        let last = without_bias(states.clone(), weights.get("attention.last"));
        let vector = weights.get("attention.vector");
        let local = local_attention(earlier, last, vector, states.clone(), input.sequences, self.normalised);
        let context = dropout(Tensor::cat(vec![local, states], 1), noise.drop(self.context_dropout));
        without_bias(context, weights.get("decoder"))
    }
}
