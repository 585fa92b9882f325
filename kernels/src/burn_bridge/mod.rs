//! Our ops as Burn ops: what the sequential models are built of, each with its own backward pass.
//!
//! An op is one file: its formula, its passes over plain matrices (an [`Op`]), and the function that a model calls. This file alone knows how Burn
//! keeps its tape. On a GPU the same op is kernels of ours, in a file `gpu.rs` beside it, on the memory of Burn's tensors. Burn's own products over GPUs are
//! not used, nor its sum of all numbers: which kernel multiplies, and with how many digits, is up to the device, and that sum is in no fixed order. What
//! stands between the ops (functions of each number, sums along rows, parts of matrices) is Burn's.
//!
//! Sums have a fixed order, and the numbers of a row depend on that row alone: neither the number of threads nor what else is in a batch enters. All
//! matrices are row-major and of two dimensions; sequences follow one another in the rows, without padding (see [`Sequences`]).

mod activation;
mod attention;
mod drop;
mod gather;
#[cfg(feature = "gpu")]
pub mod gpu;
mod gru;
mod linear;
mod local_attention;
#[cfg(feature = "gpu")]
mod pairs;
mod residual_norm;
mod softmax_loss;
mod spectral;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::{FlexDevice, FlexTensor};
use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::ops::FloatTensor;
use burn_tensor::{Tensor, TensorData, TensorPrimitive};

pub use activation::{Activation, activate};
pub use attention::attention;
pub use burn_autodiff::Autodiff;
pub use burn_flex::Flex;
pub use drop::{Drop, dropout};
pub use gather::gather;
#[cfg(feature = "gpu")]
pub use gpu::Passes;
pub use gru::gru;
pub use linear::linear;
pub use local_attention::local_attention;
pub use residual_norm::residual_norm;
pub use softmax_loss::{LossScratch, softmax_loss};
pub use spectral::spectral_filter;

use crate::{Buffer, Device};

/// Rows that one task of a row-wise op takes.
const ROWS_PER_TASK: usize = 256;

/// Where each sequence lies in the rows of a matrix: sequence `s` has the rows `starts[s]..starts[s + 1]`.
#[derive(Debug, Clone)]
pub struct Sequences(Arc<Vec<u32>>);

impl Sequences {
    /// Sequences from their starts and the end of the last one: rising, the first being 0.
    pub fn new(starts: Vec<u32>) -> Self {
        assert!(starts.first() == Some(&0) && starts.is_sorted(), "starts of sequences should rise from 0");
        Sequences(Arc::new(starts))
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// True when there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of all sequences.
    pub fn n_rows(&self) -> usize {
        self.0[self.len()] as usize
    }

    /// Number of pairs of positions of one sequence: the sum of their squared lengths.
    fn n_pairs(&self) -> usize {
        self.ranges().map(|range| range.len() * range.len()).sum()
    }

    /// The rows of each sequence, one after the other.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.0.windows(2).map(|ends| ends[0] as usize..ends[1] as usize)
    }
}

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
    values: Vec<f32>,
    columns: usize,
    /// What the backward pass needs beside inputs and output.
    saved: S,
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

    /// Where the tensors of one of our devices live. The device should be one of those that the backend is for: see [`on_tape_of`].
    fn place(device: &Device) -> Self::Device;

    /// The numbers of a buffer as a matrix. On a GPU both are the same memory.
    fn to_tensor(device: &Device, values: &Buffer<f32>, shape: [usize; 2]) -> FloatTensor<Self>;

    /// The numbers of a tensor, row by row. On a GPU both are the same memory where the rows lie one after the other.
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

/// Does something on the tape that belongs to a device.
pub fn on_tape_of<W: OnAnyTape>(device: &Device, work: W) -> W::Answer {
    match device {
        Device::Cpu => work.run::<Autodiff<Flex>>(),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::on_tape_of(gpu, work),
    }
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
fn apply<B: OpBackend, O: Op<N>, const N: usize>(op: &O, inputs: [Tensor<B, 2>; N]) -> Tensor<B, 2> {
    let (output, _) = B::run_forward(op, inputs.map(|input| input.into_primitive().tensor()));
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let shape = tensor.layout().shape();
    let values = tensor.as_slice().expect("an op's input should be contiguous 32-bit floats: see contiguous");
    Matrix { values, rows: shape[0], columns: shape[1] }
}

fn contiguous<const N: usize>(inputs: [FlexTensor; N]) -> [FlexTensor; N] {
    inputs.map(|input| input.to_contiguous())
}

fn tensor(values: Vec<f32>, rows: usize, columns: usize) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, [rows, columns]))
}

impl OpBackend for Flex {
    type Saved<O: Op<N>, const N: usize> = O::Saved;

    fn run_forward<O: Op<N>, const N: usize>(op: &O, inputs: [FlexTensor; N]) -> (FlexTensor, O::Saved) {
        let inputs = contiguous(inputs);
        let Output { values, columns, saved } = op.forward(inputs.each_ref().map(matrix));
        let rows = values.len().checked_div(columns).unwrap_or(0);
        (tensor(values, rows, columns), saved)
    }

    fn run_backward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [FlexTensor; N],
        saved: &O::Saved,
        gradient: FlexTensor,
    ) -> [FlexTensor; N] {
        let (inputs, gradient) = (contiguous(inputs), gradient.to_contiguous());
        let matrices = inputs.each_ref().map(matrix);
        let mut gradients = op.backward(matrices, saved, matrix(&gradient)).into_iter();
        matrices.map(|input| {
            let values = gradients.next().expect("an op should answer a gradient for each input");
            tensor(values, input.rows, input.columns)
        })
    }

    fn place(_: &Device) -> Self::Device {
        FlexDevice
    }

    fn to_tensor(device: &Device, values: &Buffer<f32>, [rows, columns]: [usize; 2]) -> FlexTensor {
        tensor(device.read(values), rows, columns)
    }

    fn to_buffer(device: &Device, tensor: FlexTensor) -> Buffer<f32> {
        device.upload(matrix(&tensor.to_contiguous()).values)
    }
}

/// The step of the tape that belongs to an op.
#[derive(Debug)]
struct OnTape<O, const N: usize>(PhantomData<O>);

impl<B: OpBackend, O: Op<N>, const N: usize> Backward<B, N> for OnTape<O, N> {
    type State = (O, B::Saved<O, N>, [FloatTensor<B>; N]);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (op, saved, inputs) = ops.state;
        let found = B::run_backward(&op, inputs, &saved, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: OpBackend, C: CheckpointStrategy> OpBackend for Autodiff<B, C> {
    type Saved<O: Op<N>, const N: usize> = B::Saved<O, N>;

    fn run_forward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [FloatTensor<Self>; N],
    ) -> (FloatTensor<Self>, Self::Saved<O, N>) {
        let nodes = inputs.each_ref().map(|input| input.node.clone());
        let inner = inputs.each_ref().map(|input| input.primitive.clone());
        let (output, saved) = B::run_forward(op, inner.clone());
        let result = match Backward::<B, N>::prepare::<C>(OnTape::<O, N>(PhantomData), nodes).compute_bound().stateful()
        {
            OpsKind::Tracked(tape) => (tape.finish((op.clone(), saved.clone(), inner), output), saved),
            OpsKind::UnTracked(tape) => (tape.finish(output), saved),
        };
        // Not a moment earlier. Burn 0.21 keeps the tapes of all threads in one place, and whichever thread ends a backward pass clears the tapes of the
        // others of steps that no tensor holds (`cleanup_orphaned_entries`). Until this op's own step is on the tape, only these tensors hold the steps
        // above it: without them the gradient of whatever lies above is lost now and then.
        drop(inputs);
        result
    }

    fn run_backward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [FloatTensor<Self>; N],
        saved: &Self::Saved<O, N>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; N] {
        // On the inner backend: the derivative has no derivative.
        B::run_backward(op, inputs.map(Self::inner), saved, Self::inner(gradient)).map(Self::from_inner)
    }

    fn place(device: &Device) -> Self::Device {
        B::place(device)
    }

    fn to_tensor(device: &Device, values: &Buffer<f32>, shape: [usize; 2]) -> FloatTensor<Self> {
        Self::from_inner(B::to_tensor(device, values, shape))
    }

    fn to_buffer(device: &Device, tensor: FloatTensor<Self>) -> Buffer<f32> {
        B::to_buffer(device, Self::inner(tensor))
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
