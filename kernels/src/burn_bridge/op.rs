//! An op for Burn: passes over plain matrices, and what backends and tapes must do to run it.

use std::fmt::Debug;

use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::ops::FloatTensor;
use burn_tensor::{Tensor, TensorPrimitive};

#[cfg(feature = "gpu")]
use super::passes::Passes;
use crate::{Buffer, Device};

/// Rows that one task of a row-wise op takes.
pub(super) const ROWS_PER_TASK: usize = 256;

/// A matrix that an op reads.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// The values, row-major.
    pub values: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
}

/// What an op answers: the values of a matrix and its number of columns.
#[derive(Debug)]
pub struct Output<S> {
    pub(crate) values: Vec<f32>,
    pub(crate) columns: usize,
    /// What the backward pass needs beside inputs and output.
    pub(crate) saved: S,
}

/// A function of `N` matrices with a written-out derivative.
pub trait Op<const N: usize>: Passes<N> + Debug + Clone + Send + Sync + 'static {
    /// What the forward pass keeps for the backward pass.
    type Saved: Debug + Clone + Send + Sync + 'static;

    /// The value.
    fn forward(&self, inputs: [Matrix<'_>; N]) -> Output<Self::Saved>;

    /// The gradient of each input, given the gradient of the output.
    fn backward(&self, inputs: [Matrix<'_>; N], saved: &Self::Saved, gradient: Matrix<'_>) -> [Vec<f32>; N];
}

/// What an op needs beside its passes on the processor: in a build without GPUs nothing.
#[cfg(not(feature = "gpu"))]
pub trait Passes<const N: usize> {}
#[cfg(not(feature = "gpu"))]
impl<O, const N: usize> Passes<N> for O {}

/// A backend that runs our ops.
pub trait OpBackend: Backend {
    /// What the forward pass of an op keeps for the backward pass.
    type Saved<O: Op<N>, const N: usize>: Debug + Clone + Send + Sync + 'static;

    /// Runs an op forward.
    fn run_forward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [FloatTensor<Self>; N],
    ) -> (FloatTensor<Self>, Self::Saved<O, N>);

    /// Runs an op backward.
    fn run_backward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [FloatTensor<Self>; N],
        saved: &Self::Saved<O, N>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; N];

    /// The sum of two gradients of one matrix.
    fn add(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_add(a, b)
    }

    /// Where the tensors of one of our devices live. The device should be one of those that the
    /// backend is for: see [`super::on_tape_of`].
    fn place(device: &Device) -> Self::Device;

    /// The numbers of a buffer as a matrix. On a GPU both are the same memory.
    fn to_tensor(device: &Device, values: &Buffer<f32>, shape: [usize; 2]) -> FloatTensor<Self>;

    /// The numbers of a tensor, row by row. On a GPU both are the same memory where the rows lie
    /// one after the other.
    fn to_buffer(device: &Device, tensor: FloatTensor<Self>) -> Buffer<f32>;
}

/// A backend with a tape on which our ops run.
pub trait Tape: OpBackend + AutodiffBackend<InnerBackend: OpBackend> {}
impl<T: OpBackend + AutodiffBackend<InnerBackend: OpBackend>> Tape for T {}

/// Something to do on a tape of any kind.
pub trait OnAnyTape {
    /// What comes of it.
    type Answer;

    /// Does it.
    fn run<T: Tape>(self) -> Self::Answer;
}

/// The numbers of a buffer as a matrix: see [`OpBackend::to_tensor`].
pub fn to_tensor<B: OpBackend>(device: &Device, values: &Buffer<f32>, shape: [usize; 2]) -> Tensor<B, 2> {
    Tensor::from_primitive(TensorPrimitive::Float(B::to_tensor(device, values, shape)))
}

/// The numbers of a matrix, row by row: see [`OpBackend::to_buffer`].
pub fn to_buffer<B: OpBackend>(device: &Device, tensor: Tensor<B, 2>) -> Buffer<f32> {
    B::to_buffer(device, tensor.into_primitive().tensor())
}

/// The value of an op, on the tape where there is one.
pub(super) fn apply<B: OpBackend, O: Op<N>, const N: usize>(op: &O, inputs: [Tensor<B, 2>; N]) -> Tensor<B, 2> {
    let (output, _) = B::run_forward(op, inputs.map(|input| input.into_primitive().tensor()));
    Tensor::from_primitive(TensorPrimitive::Float(output))
}
