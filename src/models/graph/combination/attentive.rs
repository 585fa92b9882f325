//! Combinations with weights for every node: a network for users and one for items, whose passes
//! are the kernels' [`Attention`].

use std::ops::Range;

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::combine::attention::{self, Attention, Workspace};
use gcnrec_kernels::ops::combine::{Gradients, Motion, Pooled, Reached};
use rand::Rng;

use super::Kind;
use super::parts::{Input, Parameters, Scratch, Sizes};
use crate::error::Result;

/// A kind of attention over layers: every [`Attentive`] is a [`Kind`].
pub(super) trait Attentive: Sync {
    /// The name in files and flags.
    const NAME: &'static str;
    /// The op.
    type Shape: Attention;

    /// The op's sizes and constants.
    fn shape(sizes: &Sizes) -> Self::Shape;

    /// As [`Kind::start`].
    fn start(shape: &Self::Shape, theta: &[f32], random: &mut dyn Rng) -> Vec<f32>;

    /// As [`Kind::held`].
    fn held(shape: &Self::Shape) -> Range<usize> {
        let _ = shape;
        0..0
    }

    /// As [`Kind::numbers_per_row`].
    fn numbers_per_row(shape: &Self::Shape) -> usize;
}

impl<A: Attentive> Kind for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn n_groups(&self) -> usize {
        2
    }

    fn n_parameters(&self, sizes: &Sizes) -> usize {
        A::shape(sizes).n_parameters()
    }

    fn start(&self, sizes: &Sizes, theta: &[f32], random: &mut dyn Rng) -> Vec<f32> {
        A::start(&A::shape(sizes), theta, random)
    }

    fn held(&self, sizes: &Sizes) -> Range<usize> {
        A::held(&A::shape(sizes))
    }

    fn numbers_per_row(&self, sizes: &Sizes) -> usize {
        A::numbers_per_row(&A::shape(sizes))
    }

    fn forward(&self, input: &Input<'_>, groups: &[Parameters], out: Pooled<'_>, scratch: &mut Scratch) -> Result<()> {
        let (shape, work) = (A::shape(input.sizes), scratch.of::<Workspace<A::Shape>>());
        let Pooled { pooled, attention } = out;
        for (group, layers) in groups.iter().zip(input.groups()) {
            let out = Pooled { pooled, attention };
            attention::forward(input.device, &shape, &group.value, &layers, out, work)?;
        }
        Ok(())
    }

    fn backward(
        &self,
        input: &Input<'_>,
        groups: &mut [Parameters],
        reached: Reached<'_>,
        direct: &mut [Buffer<f32>],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (shape, work) = (A::shape(input.sizes), scratch.of::<Workspace<A::Shape>>());
        for (group, layers) in groups.iter_mut().zip(input.groups()) {
            let gradients = Gradients { direct, parameters: &mut group.gradient };
            attention::backward(input.device, &shape, &group.value, &layers, reached, gradients, work)?;
        }
        Ok(())
    }

    fn tangent(
        &self,
        input: &Input<'_>,
        groups: &[Parameters],
        (hops_dot, parameters_dot): (&[Buffer<f32>], &[Buffer<f32>]),
        pooled_dot: &mut Buffer<f32>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (shape, work) = (A::shape(input.sizes), scratch.of::<Workspace<A::Shape>>());
        for ((group, layers), parameters) in groups.iter().zip(input.groups()).zip(parameters_dot) {
            let motion = Motion { hops: hops_dot, parameters };
            attention::tangent(input.device, &shape, &group.value, &layers, motion, pooled_dot, work)?;
        }
        Ok(())
    }
}
