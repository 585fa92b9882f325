//! Our ops on Burn's backend for processors.

use burn_flex::{Flex, FlexDevice, FlexTensor};
use burn_tensor::TensorData;

use super::op::{Matrix, Op, OpBackend, Output};
use super::scaled_sum::scale_and_add;
use crate::{Buffer, Device};

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let shape = tensor.layout().shape();
    let values = tensor.as_slice().expect("an op's input should be contiguous 32-bit floats: see contiguous");
    Matrix { values, rows: shape[0], columns: shape[1] }
}

fn contiguous<const N: usize>(inputs: [FlexTensor; N]) -> [FlexTensor; N] {
    inputs.map(|input| whole_rows(&input).unwrap_or_else(|| input.to_contiguous()))
}

/// Some columns of a matrix, copied row by row. What is already in one piece, or lies in another
/// way, is left to Burn, which copies number by number.
fn whole_rows(input: &FlexTensor) -> Option<FlexTensor> {
    let layout = input.layout();
    let (&[rows, columns], &[stride, 1]) = (&layout.shape()[..], layout.strides()) else { return None };
    let stride = usize::try_from(stride).ok().filter(|&stride| stride > columns)?;
    let stored = &input.storage::<f32>()[layout.start_offset()..];
    let mut values = Vec::with_capacity(rows * columns);
    stored.chunks(stride).take(rows).for_each(|row| values.extend_from_slice(&row[..columns]));
    Some(tensor(values, rows, columns))
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
        let (inputs, [gradient]) = (contiguous(inputs), contiguous([gradient]));
        let matrices = inputs.each_ref().map(matrix);
        let mut gradients = op.backward(matrices, saved, matrix(&gradient)).into_iter();
        matrices.map(|input| {
            let values = gradients.next().expect("an op should answer a gradient for each input");
            tensor(values, input.rows, input.columns)
        })
    }

    fn add(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let [mut a, b] = contiguous([a, b]);
        // In place where nobody else holds `a`.
        scale_and_add(a.storage_mut(), 1.0, matrix(&b).values);
        a
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
