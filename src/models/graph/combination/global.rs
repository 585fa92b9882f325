//! One learned weight per layer for everybody: a softmax over K + 1 numbers.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::combine::{
    Gradients, Motion, Pooled, Reached, global_backward, global_forward, global_tangent, global_weights,
};

use super::parts::{Input, Parameters, Scratch, Sizes};
use super::{Combination, Kind};
use crate::error::Result;

pub(super) struct Global;

impl Combination {
    /// One weight per layer for everybody: a softmax over K + 1 numbers.
    pub const GLOBAL: Combination = Combination(&Global);
}

impl Kind for Global {
    fn name(&self) -> &'static str {
        "global"
    }

    fn n_groups(&self) -> usize {
        1
    }

    fn shared_weights(&self, _sizes: &Sizes, logits: &[f32]) -> Option<Vec<f32>> {
        Some(global_weights(logits))
    }

    fn forward(&self, input: &Input<'_>, groups: &[Parameters], out: Pooled<'_>, _scratch: &mut Scratch) -> Result<()> {
        Ok(global_forward(input.device, &groups[0].value, &input.all(), out.pooled)?)
    }

    fn backward(
        &self,
        input: &Input<'_>,
        groups: &mut [Parameters],
        reached: Reached<'_>,
        direct: &mut [Buffer<f32>],
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let Parameters { value, gradient, .. } = &mut groups[0];
        let gradients = Gradients { direct, parameters: gradient };
        Ok(global_backward(input.device, value, &input.all(), reached.g, gradients)?)
    }

    fn tangent(
        &self,
        input: &Input<'_>,
        groups: &[Parameters],
        (hops_dot, parameters_dot): (&[Buffer<f32>], &[Buffer<f32>]),
        pooled_dot: &mut Buffer<f32>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let motion = Motion { hops: hops_dot, parameters: &parameters_dot[0] };
        Ok(global_tangent(input.device, &groups[0].value, &input.all(), motion, pooled_dot)?)
    }
}
