//! Our ops on Burn's tape: the derivative of an op is its own backward pass.

use std::marker::PhantomData;

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::Flex;
use burn_tensor::backend::AutodiffBackend;
use burn_tensor::ops::FloatTensor;

#[cfg(feature = "gpu")]
use super::gpu;
use super::op::{OnAnyTape, Op, OpBackend};
use crate::{Buffer, Device};

/// Does something on the tape that belongs to a device.
pub fn on_tape_of<W: OnAnyTape>(device: &Device, work: W) -> W::Answer {
    match device {
        Device::Cpu => work.run::<Autodiff<Flex>>(),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::on_tape_of(gpu, work),
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
            let Some(parent) = parent else { continue };
            // What other ops gave is added by our own sum: Burn would add it, slower, in
            // `register`. It is asked for by a tensor, of which only the node is read.
            let mut asked = Autodiff::<B>::from_inner(gradient);
            asked.node = parent;
            let before = gradients.remove(&asked);
            let gradient = match before {
                Some(before) => B::add(asked.primitive, before),
                None => asked.primitive,
            };
            gradients.register::<B>(asked.node.id, gradient);
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
        // Not a moment earlier. Burn 0.21 keeps the tapes of all threads in one place, and
        // whichever thread ends a backward pass clears the tapes of the others of steps that no
        // tensor holds (`cleanup_orphaned_entries`). Until this op's own step is on the tape, only
        // these tensors hold the steps above it: without them the gradient of whatever lies above
        // is lost now and then.
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
