//! The passes of an op on a GPU: kernels over the memory of Burn's tensors.

use std::fmt::Debug;

use crate::Buffer;
use crate::gpu::Gpu;

/// A matrix on a GPU that an op reads.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The values, row-major.
    pub values: &'a Buffer<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
}

/// What an op answers on a GPU: a matrix, and what the backward pass needs beside inputs and
/// output.
#[derive(Debug)]
pub struct Made<K> {
    /// The values, row-major.
    pub values: Buffer<f32>,
    /// Number of columns.
    pub columns: usize,
    /// What is kept.
    pub kept: K,
}

/// The kernels of an op: what [`super::Op`] does on the processor.
pub trait Passes<const N: usize>: Sized {
    /// What the forward pass keeps for the backward pass.
    type Kept: Debug + Send + Sync + 'static;

    /// The value.
    fn forward_on(&self, gpu: &Gpu, inputs: [Rows<'_>; N]) -> Made<Self::Kept>;

    /// The gradient of each input, given the gradient of the output, which has at least one row.
    fn backward_on(&self, gpu: &Gpu, inputs: [Rows<'_>; N], kept: &Self::Kept, gradient: Rows<'_>) -> [Buffer<f32>; N];
}
