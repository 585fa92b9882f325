//! The blocks of a transformer, as SASRec and BERT4Rec use them: attention and a feed-forward
//! layer, each added to what it reads and normalised.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{self as ops, OpBackend, Sequences};
use serde::{Deserialize, Serialize};

use super::{ITEMS, Init, Noise, Parameter, Weights};
use crate::error::{RecError, Result};
use crate::settings::name_setting;

/// The function between the two halves of a feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// `x Phi(x)`.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Swish,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

name_setting!(Activation, "activation");

impl Activation {
    pub(super) fn op(self) -> ops::Activation {
        match self {
            Activation::Gelu => ops::Activation::Gelu,
            Activation::Relu => ops::Activation::Relu,
            Activation::Swish => ops::Activation::Swish,
            Activation::Tanh => ops::Activation::Tanh,
            Activation::Sigmoid => ops::Activation::Sigmoid,
        }
    }
}

/// The sizes and rates that blocks share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks {
    pub(super) dim: usize,
    pub(super) inner: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// True when a position reads only itself and those before it.
    pub(super) causal: bool,
    pub(super) dropout: f32,
    pub(super) attention_dropout: f32,
    pub(super) activation: Activation,
    pub(super) epsilon: f32,
    pub(super) init_std: f32,
}

impl Blocks {
    /// The parameters of all blocks.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let (dim, inner) = (self.dim, self.inner);
        (0..self.layers)
            .flat_map(|layer| {
                let name = |part: &str| format!("layers.{layer}.{part}");
                let mut all = dense(&name("attention"), dim, 3 * dim, self.init_std);
                all.extend(dense(&name("output"), dim, dim, self.init_std));
                all.extend(norm(&name("attention_norm"), dim));
                all.extend(feed_forward(&name("feed_forward"), dim, inner, self.init_std));
                all
            })
            .collect()
    }

    /// Numbers that a step has for each position of sequences of at most `max_len`: in its widest
    /// array, and in all of them.
    pub(super) fn held(&self, max_len: usize) -> [usize; 2] {
        let (weights, of_block) = (self.heads * max_len, 10 * self.dim + 3 * self.inner);
        [weights.max(3 * self.dim).max(self.inner), 6 * self.dim + self.layers * (of_block + 2 * weights)]
    }

    /// All blocks over the rows of `x`.
    pub(super) fn run<B: OpBackend>(
        &self,
        weights: &Weights<B>,
        mut x: Tensor<B, 2>,
        sequences: &Sequences,
        noise: &mut Noise,
    ) -> Tensor<B, 2> {
        for layer in 0..self.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let qkv = apply_dense(weights, &name("attention"), x.clone());
            let drop = noise.drop(self.attention_dropout);
            let met = ops::attention(qkv, sequences, self.heads, self.causal, drop);
            let met = apply_dense(weights, &name("output"), met);
            x = add_norm(weights, &name("attention_norm"), met, Some(x), self.epsilon, noise.drop(self.dropout));
            x = apply_feed_forward(
                weights,
                &name("feed_forward"),
                x,
                self.activation,
                self.epsilon,
                noise.drop(self.dropout),
            );
        }
        x
    }
}

/// Refuses a number of heads that does not divide the width. `at` is the key of the table.
pub(super) fn heads_divide(at: &str, heads: usize, dim: usize) -> Result<()> {
    if heads >= 1 && dim.is_multiple_of(heads) {
        return Ok(());
    }
    Err(RecError::range(format!("{at}.heads"), heads, format!("a divisor of dim, {dim}")))
}

/// The parameters of items in their places: [`ITEMS`], `positions`, and their normalisation.
pub(super) fn embedding(n_items: usize, max_len: usize, dim: usize, std: f32) -> Vec<Parameter> {
    let rows = |name: &str, n| Parameter::new(name, [n, dim], Init::Normal(std));
    let mut all = vec![rows(ITEMS, n_items), rows("positions", max_len)];
    all.extend(norm("input_norm", dim));
    all
}

/// The place of each item in its sequence.
pub(super) fn places(sequences: &Sequences) -> impl Iterator<Item = u32> + '_ {
    sequences.ranges().flat_map(|rows| 0..rows.len() as u32)
}

/// The vectors of items plus those of their places, normalised and dropped.
pub(super) fn embed<B: OpBackend>(
    weights: &Weights<B>,
    items: Tensor<B, 2>,
    places: impl Iterator<Item = u32>,
    epsilon: f32,
    drop: ops::Drop,
) -> Tensor<B, 2> {
    let places = ops::gather(weights.get("positions"), places.map(Some));
    let normal = add_norm(weights, "input_norm", places, Some(items), epsilon, ops::Drop::NOTHING);
    ops::dropout(normal, drop)
}

/// The parameters of a linear layer.
pub(super) fn dense(name: &str, inner: usize, columns: usize, std: f32) -> Vec<Parameter> {
    vec![
        Parameter::new(format!("{name}.weight"), [inner, columns], Init::Normal(std)),
        Parameter::new(format!("{name}.bias"), [1, columns], Init::Constant(0.0)),
    ]
}

/// The parameters of a normalisation.
pub(super) fn norm(name: &str, dim: usize) -> Vec<Parameter> {
    vec![
        Parameter::new(format!("{name}.gain"), [1, dim], Init::Constant(1.0)),
        Parameter::new(format!("{name}.bias"), [1, dim], Init::Constant(0.0)),
    ]
}

/// The parameters of a feed-forward layer with its normalisation.
pub(super) fn feed_forward(name: &str, dim: usize, inner: usize, std: f32) -> Vec<Parameter> {
    let mut all = dense(&format!("{name}.inner"), dim, inner, std);
    all.extend(dense(&format!("{name}.outer"), inner, dim, std));
    all.extend(norm(&format!("{name}.norm"), dim));
    all
}

/// `x w + b`.
pub(super) fn apply_dense<B: OpBackend>(weights: &Weights<B>, name: &str, x: Tensor<B, 2>) -> Tensor<B, 2> {
    ops::linear(x, weights.get(&format!("{name}.weight")), weights.get(&format!("{name}.bias")))
}

/// Normalises `residual + dropout(x)`.
pub(super) fn add_norm<B: OpBackend>(
    weights: &Weights<B>,
    name: &str,
    x: Tensor<B, 2>,
    residual: Option<Tensor<B, 2>>,
    epsilon: f32,
    drop: ops::Drop,
) -> Tensor<B, 2> {
    let gain_and_bias = [weights.get(&format!("{name}.gain")), weights.get(&format!("{name}.bias"))];
    ops::residual_norm(x, residual, gain_and_bias, epsilon, drop)
}

/// Two linear layers with a function between them, added to what they read and normalised.
pub(super) fn apply_feed_forward<B: OpBackend>(
    weights: &Weights<B>,
    name: &str,
    x: Tensor<B, 2>,
    activation: Activation,
    epsilon: f32,
    drop: ops::Drop,
) -> Tensor<B, 2> {
    let inner = apply_dense(weights, &format!("{name}.inner"), x.clone());
    let outer = apply_dense(weights, &format!("{name}.outer"), ops::activate(activation.op(), inner));
    add_norm(weights, &format!("{name}.norm"), outer, Some(x), epsilon, drop)
}
