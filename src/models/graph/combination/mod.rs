//! Layer combinations: how the K+1 layer vectors of each node become one, by fixed weights or by
//! learned attention.
//!
//! | kind | formula | parameters |
//! |---|---|---|
//! | uniform | mean of the layers | none |
//! | global | `sum_k softmax(theta)_k e_k` | `theta` |
//! | additive | `sum_k softmax_k(theta_k + q'tanh(W e_k + b)) e_k` | `theta, W, b, q`, for users and for items |
//! | dot | scaled dot-product self-attention of the layers, averaged | `theta, W_q, W_k, W_v`, for users and for items |
//!
//! Sources: He et al., LightGCN, eq. 4 (uniform); gradients in `docs/formulas.md`. We differ: every
//! attentive form has a global logit `theta_k` per layer beside its network, and the network's
//! share can be bounded to `bound * tanh(logit / bound)`, so that a node can only lean away from
//! the global weights. All forms start as plain LightGCN: `theta = 0` and a network whose output is
//! 0 but whose gradient is not.

mod additive;
mod attentive;
mod combiner;
mod dot;
mod global;
mod parts;
mod setting;
#[cfg(test)]
mod tests;
mod uniform;

use std::ops::Range;

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::combine::{Pooled, Reached};
use rand::Rng;

use crate::error::Result;
pub(crate) use combiner::Combiner;
pub(crate) use parts::{BatchLayers, RowGroups, Scratch, Sizes};
use parts::{Input, Parameters};
pub use setting::Combination;

/// Every combination, in the order in which lists name them.
static KINDS: &[&dyn Kind] = &[&uniform::Uniform, &global::Global, &additive::Additive, &dot::Dot];

/// A way to combine layers. The names of [`KINDS`] are what `--attn-layers` and `combination` take.
///
/// A group of parameters is one flat array whose first K + 1 numbers are the global logits
/// `theta`; with `theta = 0` a fresh combination weighs all layers alike.
trait Kind: Sync {
    /// The name in files and flags.
    fn name(&self) -> &'static str;

    /// Groups of parameters: none of fixed weights, one of weights that all nodes share, two (of
    /// users and of items) of weights that each node has for itself.
    fn n_groups(&self) -> usize;

    /// The length of a group.
    fn n_parameters(&self, sizes: &Sizes) -> usize {
        sizes.layers + 1
    }

    /// A group to start from, which begins with `theta`.
    fn start(&self, sizes: &Sizes, theta: &[f32], random: &mut dyn Rng) -> Vec<f32> {
        let _ = (sizes, random);
        theta.to_vec()
    }

    /// The parameters of a group that never move.
    fn held(&self, sizes: &Sizes) -> Range<usize> {
        let _ = sizes;
        0..0
    }

    /// The weights, where all nodes share them. `logits` are empty for a kind without parameters.
    fn shared_weights(&self, sizes: &Sizes, logits: &[f32]) -> Option<Vec<f32>> {
        let _ = (sizes, logits);
        None
    }

    /// What the passes on a GPU hold for each layer's row, in numbers.
    fn numbers_per_row(&self, sizes: &Sizes) -> usize {
        let _ = sizes;
        0
    }

    /// Pools the rows; a kind with weights per node writes them to `out.attention`.
    fn forward(&self, input: &Input<'_>, groups: &[Parameters], out: Pooled<'_>, scratch: &mut Scratch) -> Result<()>;

    /// The vector-Jacobian product: overwrites `direct` and the gradient of every group.
    fn backward(
        &self,
        input: &Input<'_>,
        groups: &mut [Parameters],
        reached: Reached<'_>,
        direct: &mut [Buffer<f32>],
        scratch: &mut Scratch,
    ) -> Result<()>;

    /// The Jacobian-vector product along a motion of the layers' rows and one of each group.
    fn tangent(
        &self,
        input: &Input<'_>,
        groups: &[Parameters],
        motion: (&[Buffer<f32>], &[Buffer<f32>]),
        pooled_dot: &mut Buffer<f32>,
        scratch: &mut Scratch,
    ) -> Result<()>;
}
