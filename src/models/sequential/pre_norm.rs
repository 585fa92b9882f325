//! The blocks of SASRec as its authors wrote them: normalisation comes before a half of a block and
//! not after it.
//!
//! With `n = norm(x)`: `x = n + attention(n W_q, x W_k, x W_v)`, then with `f = norm(x)`:
//! `x = f + feed_forward(f)`; the result is normalised once more.
//!
//! # Source
//! Kang and McAuley, *Self-Attentive Sequential Recommendation*, ICDM 2018; kang205/SASRec,
//! `modules.py` and `model.py`: queries are normalised, keys and values are not, what is added is
//! the normalised input, and there is no projection after the heads.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{self as ops, Drop, OpBackend, Sequences};

use super::blocks::{Blocks, add_norm, apply_dense, dense, norm};
use super::{Noise, Parameter, Weights};

/// The parameters of all blocks and of the last normalisation.
pub(super) fn parameters(blocks: &Blocks) -> Vec<Parameter> {
    let Blocks { dim, inner, init_std: std, .. } = *blocks;
    let of_layer = |layer: usize| {
        let name = |part: &str| format!("layers.{layer}.{part}");
        let mut all = norm(&name("query_norm"), dim);
        all.extend(dense(&name("query"), dim, dim, std));
        all.extend(dense(&name("key_value"), dim, 2 * dim, std));
        all.extend(norm(&name("feed_forward_norm"), dim));
        all.extend(dense(&name("feed_forward.inner"), dim, inner, std));
        all.extend(dense(&name("feed_forward.outer"), inner, dim, std));
        all
    };
    let mut all: Vec<Parameter> = (0..blocks.layers).flat_map(of_layer).collect();
    all.extend(norm("output_norm", dim));
    all
}

/// All blocks over the rows of `x`.
pub(super) fn run<B: OpBackend>(
    blocks: &Blocks,
    weights: &Weights<B>,
    mut x: Tensor<B, 2>,
    sequences: &Sequences,
    noise: &mut Noise,
) -> Tensor<B, 2> {
    let normal = |name: &str, x: Tensor<B, 2>| add_norm(weights, name, x, None, blocks.epsilon, Drop::NOTHING);
    for layer in 0..blocks.layers {
        let name = |part: &str| format!("layers.{layer}.{part}");
        let asked = normal(&name("query_norm"), x.clone());
        let query = apply_dense(weights, &name("query"), asked.clone());
        let qkv = Tensor::cat(vec![query, apply_dense(weights, &name("key_value"), x)], 1);
        let drop = noise.drop(blocks.attention_dropout);
        let met = ops::attention(qkv, sequences, blocks.heads, blocks.causal, drop);
        x = ops::scaled_sum(1.0, asked, met);
        let read = normal(&name("feed_forward_norm"), x);
        let inner = apply_dense(weights, &name("feed_forward.inner"), read.clone());
        let inner = ops::dropout(ops::activate(blocks.activation.op(), inner), noise.drop(blocks.dropout));
        let outer = apply_dense(weights, &name("feed_forward.outer"), inner);
        x = ops::scaled_sum(1.0, read, ops::dropout(outer, noise.drop(blocks.dropout)));
    }
    normal("output_norm", x)
}
