//! The ops of the sequential models on Burn's tape: values and gradients of the processor, and the
//! same bits every time.

use std::sync::Arc;

use burn_tensor::Tensor;
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{
    Activation, Drawn, DrawnKind, Drop, LossScratch, OnAnyTape, Sequences, Tape, activate, attention, drawn_loss,
    dropout, gather, gru, gru_cell, linear, local_attention, on_tape_of, residual_norm, row_dots, row_softmax,
    scaled_sum, softmax_loss, spectral_filter, to_buffer, to_tensor,
};

use crate::{assert_close, assert_same_bits, numbers, on_each, wide};

/// An op with its settings.
enum Op {
    Linear,
    Gather(Vec<Option<u32>>),
    Dropout(Drop),
    Activate(Activation),
    Norm(Drop),
    Attention(Sequences, usize, bool, Drop),
    Gru(Sequences),
    LocalAttention(Sequences, bool),
    Filter(usize),
    Loss(Vec<u32>),
    /// Two losses on one scratch, backward in the order of a tape.
    Losses(Vec<u32>, Vec<u32>),
    Drawn(DrawnKind, Drawn),
    GruCell,
    RowDots,
    RowSoftmax(f32),
    ScaledSum(f32),
}

impl Op {
    fn apply<T: Tape>(&self, inputs: &[Tensor<T, 2>]) -> Tensor<T, 2> {
        let input = |at: usize| inputs[at].clone();
        let loss = |targets: &[u32], scratch| {
            softmax_loss(input(0), input(1), inputs.get(2).cloned(), Arc::new(targets.to_vec()), scratch)
        };
        match self {
            Op::Linear => linear(input(0), input(1), input(2)),
            Op::Gather(index) => gather(input(0), index.iter().copied()),
            Op::Dropout(drop) => dropout(input(0), *drop),
            Op::Activate(kind) => activate(*kind, input(0)),
            Op::Norm(drop) => {
                let (residual, gain) = if inputs.len() == 4 { (Some(input(1)), 2) } else { (None, 1) };
                residual_norm(input(0), residual, [input(gain), input(gain + 1)], 1e-3, *drop)
            }
            Op::Attention(sequences, heads, causal, drop) => attention(input(0), sequences, *heads, *causal, *drop),
            Op::Gru(sequences) => gru(input(0), input(1), sequences),
            Op::LocalAttention(sequences, normalised) => {
                local_attention(input(0), input(1), input(2), input(3), sequences, *normalised)
            }
            Op::Filter(n) => spectral_filter(input(0), input(1), *n),
            Op::Loss(targets) => loss(targets, &LossScratch::default()),
            Op::Losses(first, second) => {
                let scratch = LossScratch::default();
                loss(first, &scratch) + loss(second, &scratch)
            }
            Op::Drawn(kind, drawn) => drawn_loss(*kind, input(0), input(1), inputs.get(2).cloned(), drawn.clone()),
            Op::GruCell => gru_cell(input(0), input(1), input(2)),
            Op::RowDots => row_dots(input(0), input(1)),
            Op::RowSoftmax(temperature) => row_softmax(input(0), *temperature),
            Op::ScaledSum(factor) => scaled_sum(*factor, input(0), input(1)),
        }
    }
}

/// The value of an op and the gradient of each input, for a fixed gradient of the output.
struct Run<'a> {
    device: &'a Device,
    op: &'a Op,
    shapes: &'a [[usize; 2]],
}

impl OnAnyTape for Run<'_> {
    type Answer = Vec<Vec<f32>>;

    fn run<T: Tape>(self) -> Vec<Vec<f32>> {
        let Run { device, op, shapes } = self;
        let matrix = |seed, shape: [usize; 2]| {
            to_tensor::<T>(device, &device.upload(&numbers(seed, shape[0] * shape[1])), shape)
        };
        let inputs: Vec<_> = (1..).zip(shapes).map(|(seed, &shape)| matrix(seed, shape).require_grad()).collect();
        let value = op.apply(&inputs);
        let gradients = (value.clone() * matrix(99, value.dims())).backward();
        let mut found = vec![device.read(&to_buffer(device, value))];
        for input in inputs {
            let gradient = input.grad(&gradients).unwrap();
            found.push(device.read(&to_buffer::<T::InnerBackend>(device, gradient)));
        }
        found
    }
}

/// Sums of at most some hundred products of numbers below 1, and functions whose slope is near 1.
const TOLERANCE: f64 = 5e-5;

#[track_caller]
fn check(name: &str, op: &Op, shapes: &[[usize; 2]]) {
    let on_cpu = on_tape_of(&Device::Cpu, Run { device: &Device::Cpu, op, shapes });
    on_each(|device| {
        let run = || on_tape_of(device, Run { device, op, shapes });
        let found = run();
        for (part, (found, expected)) in found.iter().zip(&on_cpu).enumerate() {
            let part = if part == 0 { "value".into() } else { format!("gradient of input {}", part - 1) };
            assert_close(found, &wide(expected), TOLERANCE, &format!("{name} {shapes:?} on {}: {part}", device.name()));
        }
        assert_same_bits(|| run().concat(), name);
    });
}

/// Sequences of one item, of none, and of different lengths.
fn ragged() -> Sequences {
    Sequences::new(vec![0, 1, 8, 8, 25, 29])
}

#[test]
fn a_linear_layer() {
    for (rows, inner, columns) in [(1, 1, 1), (7, 13, 5), (300, 65, 70)] {
        check("linear", &Op::Linear, &[[rows, inner], [inner, columns], [1, columns]]);
    }
}

#[test]
fn rows_of_a_table() {
    let index = (0..700u32).map(|i| (i % 11 > 0).then_some(i * 37 % 13)).collect();
    check("gather", &Op::Gather(index), &[[14, 5]]);
    check("gather", &Op::Gather(vec![None, None]), &[[3, 4]]);
}

#[test]
fn dropout_has_the_mask_of_the_processor() {
    check("dropout", &Op::Dropout(Drop::new(0.3, 0x1234_5678_9abc_def0)), &[[331, 7]]);
}

#[test]
fn functions_of_each_number() {
    for kind in [Activation::Gelu, Activation::Relu, Activation::Swish, Activation::Tanh, Activation::Sigmoid] {
        check(&format!("{kind:?}"), &Op::Activate(kind), &[[37, 17]]);
    }
}

#[test]
fn layer_normalisation_with_and_without_a_residual() {
    for drop in [Drop::NOTHING, Drop::new(0.3, 77)] {
        for columns in [2, 17, 64] {
            let (rows, one) = ([261, columns], [1, columns]);
            check("residual_norm", &Op::Norm(drop), &[rows, rows, one, one]);
            if columns > 2 {
                check("norm", &Op::Norm(drop), &[rows, one, one]);
            }
        }
    }
}

#[test]
fn attention_within_sequences() {
    for drop in [Drop::NOTHING, Drop::new(0.4, 9)] {
        for (heads, dim, causal) in [(1, 5, true), (2, 6, false), (2, 64, true)] {
            check("attention", &Op::Attention(ragged(), heads, causal, drop), &[[29, 3 * dim]]);
        }
    }
}

#[test]
fn recurrent_layers() {
    for width in [1, 5, 33] {
        check("gru", &Op::Gru(ragged()), &[[29, 3 * width], [width, 3 * width]]);
    }
}

#[test]
fn attention_with_a_network() {
    for normalised in [false, true] {
        for (width, columns) in [(1, 3), (17, 20)] {
            let shapes = [[29, width], [29, width], [1, width], [29, columns]];
            check("local_attention", &Op::LocalAttention(ragged(), normalised), &shapes);
        }
    }
}

#[test]
fn filters_over_frequencies() {
    for n in [1, 2, 7, 50] {
        check("spectral_filter", &Op::Filter(n), &[[3 * n, 5], [2 * (n / 2 + 1), 5]]);
    }
}

#[test]
fn the_softmax_loss_with_and_without_a_bias() {
    for (n, n_items, dim) in [(1, 3, 2), (13, 29, 7), (70, 300, 17)] {
        let targets: Vec<u32> = (0..n as u32).map(|i| i * 7 % n_items as u32).collect();
        check("softmax_loss", &Op::Loss(targets.clone()), &[[n, dim], [n_items, dim]]);
        check("softmax_loss", &Op::Loss(targets), &[[n, dim], [n_items, dim], [1, n_items]]);
    }
    // The second forward pass overwrites what the first left.
    check("two losses", &Op::Losses(vec![0, 1, 2, 4], vec![3, 3, 0, 1]), &[[4, 3], [5, 3]]);
}

#[test]
fn losses_against_drawn_rows() {
    let kinds = [
        DrawnKind::Softmax,
        DrawnKind::PairwiseMax { penalty: 0.7 },
        DrawnKind::Logistic { weight: 0.6 },
        DrawnKind::Pairwise,
    ];
    for kind in kinds {
        for (n, n_drawn, n_rows, dim) in [(1, 1, 3, 2), (70, 37, 29, 7), (300, 150, 90, 65)] {
            for one_each in [false, true] {
                let n_drawn = if one_each { n } else { n_drawn };
                let stand = |n: usize| match kind {
                    DrawnKind::Softmax => numbers(7, n),
                    _ => Vec::new(),
                };
                let drawn = Drawn {
                    targets: (0..n).map(|i| (i * 7 % n_rows) as u32).collect(),
                    rows: (0..n_drawn).map(|j| (j * 5 % n_rows) as u32 / 2).collect(),
                    one_each,
                    of_positions: stand(n),
                    of_rows: stand(n_drawn),
                };
                let name = format!("{kind:?}, one each: {one_each}");
                check(&name, &Op::Drawn(kind, drawn.clone()), &[[n, dim], [n_rows, dim]]);
                check(&name, &Op::Drawn(kind, drawn), &[[n, dim], [n_rows, dim], [1, n_rows]]);
            }
        }
    }
    // Where every drawn row is the target nothing counts.
    let none = Drawn { targets: vec![1, 1], rows: vec![1, 1, 1], ..Drawn::default() };
    for kind in kinds {
        check("no drawn row counts", &Op::Drawn(kind, none.clone()), &[[2, 5], [3, 5]]);
    }
}

#[test]
fn gated_units_for_one_position() {
    for (rows, width) in [(1, 1), (37, 17)] {
        check("gru_cell", &Op::GruCell, &[[rows, 3 * width], [rows, 3 * width], [rows, width]]);
    }
}

#[test]
fn inner_products_sums_and_softmax_of_rows() {
    for (rows, columns) in [(1, 1), (37, 17), (261, 70)] {
        check("row_dots", &Op::RowDots, &[[rows, columns]; 2]);
        check("row_softmax", &Op::RowSoftmax(0.6), &[[rows, columns]]);
        check("scaled_sum", &Op::ScaledSum(-2.5), &[[rows, columns]; 2]);
    }
}
