//! Softmax cross-entropy over all items:
//! `loss_i = log sum_j exp(h_i . e_j + b_j) - (h_i . e_t + b_t)`, `t` being position `i`'s target.
//!
//! The scores exist only as tiles: this is the op of [`crate::ops::softmax`], each query having one
//! positive. A bias is a further column of the items that meets a 1 in every query.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use burn_tensor::Tensor;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use crate::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxWorkspace, softmax_backward, softmax_forward,
};
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

const PLAIN: SoftmaxConfig = SoftmaxConfig { tau: 1.0, t2: 1.0 };

/// Memory of the op that lives from step to step. Clones share it.
#[derive(Clone, Default)]
pub struct LossScratch(Arc<Mutex<Scratch>>);

impl fmt::Debug for LossScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossScratch")
    }
}

impl LossScratch {
    fn lock(&self) -> MutexGuard<'_, Scratch> {
        self.0.lock().expect("no pass should have failed while it held the scratch")
    }
}

#[derive(Default)]
struct Scratch {
    workspace: SoftmaxWorkspace,
    /// Which forward pass the workspace holds.
    pass: u64,
}

#[derive(Debug, Clone)]
struct SoftmaxLoss {
    targets: Arc<Vec<u32>>,
    scratch: LossScratch,
}

/// The inputs of a pass on the device of the kernels.
struct Inputs {
    dim: usize,
    q: Buffer<f32>,
    c: Buffer<f32>,
    list_ptr: Buffer<u32>,
    positive: Buffer<u32>,
}

impl Inputs {
    fn input(&self) -> SoftmaxInput<'_> {
        let Inputs { dim, q, c, list_ptr, positive } = self;
        SoftmaxInput { dim: *dim, config: PLAIN, q, c, candidate_bias: None, list_ptr, positive }
    }
}

impl SoftmaxLoss {
    fn inputs(&self, hidden: Matrix<'_>, items: Matrix<'_>, bias: Option<Matrix<'_>>) -> Inputs {
        let upload = |matrix: Matrix<'_>, last: &dyn Fn(usize) -> Option<f32>| {
            let mut values = Vec::with_capacity(matrix.rows * (matrix.columns + 1));
            for (at, row) in matrix.values.chunks_exact(matrix.columns).enumerate() {
                values.extend_from_slice(row);
                values.extend(last(at));
            }
            Device::Cpu.upload(&values)
        };
        let list_ptr: Vec<u32> = (0..=self.targets.len() as u32).collect();
        Inputs {
            dim: hidden.columns + usize::from(bias.is_some()),
            q: upload(hidden, &|_| bias.map(|_| 1.0)),
            c: upload(items, &|item| bias.map(|bias| bias.values[item])),
            list_ptr: Device::Cpu.upload(&list_ptr),
            positive: Device::Cpu.upload(&self.targets),
        }
    }

    fn losses(&self, inputs: &Inputs, scratch: &mut Scratch) -> Vec<f32> {
        let mut loss = Device::Cpu.zeros(self.targets.len());
        softmax_forward(&Device::Cpu, &inputs.input(), &mut scratch.workspace, &mut loss)
            .expect("the shapes should fit: checked in softmax_loss");
        scratch.pass += 1;
        Device::Cpu.read(&loss)
    }

    fn forward(&self, hidden: Matrix<'_>, items: Matrix<'_>, bias: Option<Matrix<'_>>) -> Output<u64> {
        let mut scratch = self.scratch.lock();
        let values = self.losses(&self.inputs(hidden, items, bias), &mut scratch);
        Output { values, columns: 1, saved: scratch.pass }
    }

    /// The gradients of the queries and of the items, with the column of the bias where there is
    /// one.
    fn backward(
        &self,
        [hidden, items]: [Matrix<'_>; 2],
        bias: Option<Matrix<'_>>,
        pass: u64,
        gradient: Matrix<'_>,
    ) -> [Vec<f32>; 2] {
        let (mut scratch, inputs) = (self.scratch.lock(), self.inputs(hidden, items, bias));
        if scratch.pass != pass {
            // Another pass used the memory since: its exponentials are not ours.
            self.losses(&inputs, &mut scratch);
        }
        let weights = Device::Cpu.upload(gradient.values);
        let (mut d_q, mut d_c) = (Device::Cpu.zeros(inputs.q.len()), Device::Cpu.zeros(inputs.c.len()));
        let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
        softmax_backward(&Device::Cpu, &inputs.input(), &weights, &mut scratch.workspace, gradients)
            .expect("the shapes should fit: checked in softmax_loss");
        [Device::Cpu.read(&d_q), Device::Cpu.read(&d_c)]
    }
}

impl Op<2> for SoftmaxLoss {
    type Saved = u64;

    fn forward(&self, [hidden, items]: [Matrix<'_>; 2]) -> Output<u64> {
        SoftmaxLoss::forward(self, hidden, items, None)
    }

    fn backward(&self, inputs: [Matrix<'_>; 2], pass: &u64, gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        SoftmaxLoss::backward(self, inputs, None, *pass, gradient)
    }
}

impl Op<3> for SoftmaxLoss {
    type Saved = u64;

    fn forward(&self, [hidden, items, bias]: [Matrix<'_>; 3]) -> Output<u64> {
        SoftmaxLoss::forward(self, hidden, items, Some(bias))
    }

    fn backward(&self, [hidden, items, bias]: [Matrix<'_>; 3], pass: &u64, gradient: Matrix<'_>) -> [Vec<f32>; 3] {
        let dim = hidden.columns;
        let gradients = SoftmaxLoss::backward(self, [hidden, items], Some(bias), *pass, gradient);
        let rows = |wide: &[f32]| wide.chunks_exact(dim + 1).flat_map(|row| row[..dim].to_vec()).collect();
        let d_bias = gradients[1].chunks_exact(dim + 1).map(|row| row[dim]).collect();
        [rows(&gradients[0]), rows(&gradients[1]), d_bias]
    }
}

/// The loss of each position.
///
/// # Shapes
/// - `hidden`: `[n, dim]`; `items`: `[n_items, dim]`; `bias`: `[1, n_items]`; `targets`: `[n]`,
///   below `n_items`; returns `[n, 1]`
pub fn softmax_loss<B: OpBackend>(
    hidden: Tensor<B, 2>,
    items: Tensor<B, 2>,
    bias: Option<Tensor<B, 2>>,
    targets: Arc<Vec<u32>>,
    scratch: &LossScratch,
) -> Tensor<B, 2> {
    let ([n, dim], [n_items, width]) = (hidden.dims(), items.dims());
    assert!(dim == width && targets.len() == n, "softmax_loss: shapes differ");
    assert!(targets.iter().all(|&target| (target as usize) < n_items), "softmax_loss: a target should be an item");
    let op = SoftmaxLoss { targets, scratch: scratch.clone() };
    match bias {
        Some(bias) => {
            assert_eq!(bias.dims(), [1, n_items], "softmax_loss: shapes differ");
            apply(&op, [hidden, items, bias])
        }
        None => apply(&op, [hidden, items]),
    }
}

#[cfg(test)]
mod tests {
    use burn_tensor::TensorData;

    use super::*;
    use crate::burn_bridge::{Autodiff, Flex};
    use crate::testing::burn::{check_against, check_threads};
    use crate::testing::{assert_close, numbers};

    fn op(n: usize, n_items: usize) -> SoftmaxLoss {
        let targets = (0..n).map(|i| (i * 7 % n_items) as u32).collect();
        SoftmaxLoss { targets: Arc::new(targets), scratch: LossScratch::default() }
    }

    fn plain(op: &SoftmaxLoss, hidden: &[f64], items: &[f64], bias: &[f64], dim: usize) -> Vec<f64> {
        let loss = |(h, &target): (&[f64], &u32)| {
            let scores: Vec<f64> = items
                .chunks(dim)
                .enumerate()
                .map(|(j, e)| e.iter().zip(h).map(|(e, h)| e * h).sum::<f64>() + bias.get(j).unwrap_or(&0.0))
                .collect();
            scores.iter().map(|s| s.exp()).sum::<f64>().ln() - scores[target as usize]
        };
        hidden.chunks(dim).zip(op.targets.iter()).map(loss).collect()
    }

    /// Scores are sums of at most 17 products below 1: f32 errs by about 1e-6 in them, and
    /// exponentials pass that on.
    #[test]
    fn value_and_gradient_match_the_formula_with_and_without_a_bias() {
        for (n, n_items, dim) in [(1, 3, 2), (13, 29, 7), (5, 300, 17)] {
            let op = op(n, n_items);
            check_against(&op, [(n, dim), (n_items, dim)], 2e-5, |inputs| plain(&op, &inputs[0], &inputs[1], &[], dim));
            check_against(&op, [(n, dim), (n_items, dim), (1, n_items)], 2e-5, |inputs| {
                plain(&op, &inputs[0], &inputs[1], &inputs[2], dim)
            });
        }
        check_threads(&op(137, 1100), [(137, 17), (1100, 17)]);
    }

    /// Two losses on one scratch, backward in the order of a tape: the second forward pass has
    /// overwritten what the first kept.
    #[test]
    fn the_tape_gives_the_gradient_of_both_of_two_losses_that_share_memory() {
        type Tape = Autodiff<Flex>;
        let (device, scratch) = (Default::default(), LossScratch::default());
        let leaf = |seed, rows: usize| {
            let data = TensorData::new(numbers(seed, rows * 3), [rows, 3]);
            Tensor::<Tape, 2>::from_data(data, &device).require_grad()
        };
        let (hidden, items) = (leaf(1, 4), leaf(2, 5));
        let targets = |all: &[u32]| Arc::new(all.to_vec());
        let first = softmax_loss(hidden.clone(), items.clone(), None, targets(&[0, 1, 2, 4]), &scratch);
        let second = softmax_loss(hidden.clone(), items.clone(), None, targets(&[3, 3, 0, 1]), &scratch);
        let gradients = (first.sum() + second.sum()).backward();
        let found: Vec<f32> = items.grad(&gradients).unwrap().into_data().into_vec().unwrap();
        let alone = |all: &[u32]| -> Vec<f32> {
            let loss = softmax_loss(hidden.clone(), items.clone(), None, targets(all), &LossScratch::default());
            items.grad(&loss.sum().backward()).unwrap().into_data().into_vec().unwrap()
        };
        let (a, b) = (alone(&[0, 1, 2, 4]), alone(&[3, 3, 0, 1]));
        let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
        assert_close("items", &found, &expected, 1e-6, 1e-6);
    }
}
