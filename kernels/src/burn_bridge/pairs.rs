//! A weight for each pair of positions of a sequence, on a GPU: what both kinds of attention keep
//! for their backward pass.

use super::gpu::{empty, indices};
use super::sequences::Sequences;
use crate::Buffer;
use crate::gpu::Gpu;

/// The weights of all pairs, and where each row finds its own.
#[derive(Debug)]
pub struct PairWeights {
    /// `[heads, n, n]` for each sequence of `n` rows.
    pub(super) weights: Buffer<f32>,
    /// For each row: the first row of its sequence, the sequence's length, the place of the
    /// sequence's first weight.
    pub(super) places: Buffer<u32>,
}

impl PairWeights {
    /// Memory for the weights of some sequences, not filled.
    pub(super) fn empty(gpu: &Gpu, sequences: &Sequences, heads: usize) -> Self {
        let n_weights = heads * sequences.n_pairs();
        assert!(u32::try_from(n_weights).is_ok(), "attention: a batch should have fewer than 2^32 weights");
        let (mut places, mut first_weight) = (Vec::with_capacity(3 * sequences.n_rows()), 0);
        for range in sequences.ranges() {
            let n = range.len();
            places.extend(range.clone().flat_map(|_| [range.start as u32, n as u32, first_weight as u32]));
            first_weight += heads * n * n;
        }
        PairWeights { weights: empty(gpu, n_weights), places: indices(gpu, &places) }
    }
}
