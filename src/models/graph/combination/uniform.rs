//! The mean of the layers: plain LightGCN.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::combine::{Pooled, Reached, weighted_sum, weighted_sum_direct};

use super::parts::{BatchLayers, Input, Parameters, Scratch, Sizes};
use super::{Combination, Kind};
use crate::error::Result;

pub(super) struct Uniform;

impl Combination {
    /// The mean of the layers: plain LightGCN.
    pub const UNIFORM: Combination = Combination(&Uniform);
}

fn mean(sizes: &Sizes) -> Vec<f32> {
    vec![1.0 / (sizes.layers + 1) as f32; sizes.layers + 1]
}

impl Kind for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn n_groups(&self) -> usize {
        0
    }

    fn shared_weights(&self, sizes: &Sizes, _logits: &[f32]) -> Option<Vec<f32>> {
        Some(mean(sizes))
    }

    fn forward(
        &self,
        input: &Input<'_>,
        _groups: &[Parameters],
        out: Pooled<'_>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        Ok(weighted_sum(input.device, &mean(input.sizes), &input.all(), out.pooled)?)
    }

    /// `direct` may have fewer layers: they are alike.
    fn backward(
        &self,
        input: &Input<'_>,
        _groups: &mut [Parameters],
        reached: Reached<'_>,
        direct: &mut [Buffer<f32>],
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let (dim, n_rows) = (input.sizes.dim, input.layers.rows.n_rows);
        for (layer, weight) in direct.iter_mut().zip(mean(input.sizes)) {
            weighted_sum_direct(input.device, dim, weight, reached.g, 0..n_rows, layer)?;
        }
        Ok(())
    }

    fn tangent(
        &self,
        input: &Input<'_>,
        _groups: &[Parameters],
        (hops_dot, _): (&[Buffer<f32>], &[Buffer<f32>]),
        pooled_dot: &mut Buffer<f32>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let moved = Input { layers: BatchLayers { hops: hops_dot, ..input.layers }, ..*input };
        Ok(weighted_sum(input.device, &mean(input.sizes), &moved.all(), pooled_dot)?)
    }
}
