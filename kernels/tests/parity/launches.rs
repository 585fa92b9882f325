//! What an op costs beside its arithmetic: kernels queued, bytes copied, and times that the host
//! waits.

use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::adjacency::Adjacency;
use gcnrec_kernels::ops::combine::{
    AdditiveShape, Attention, DotShape, Gradients, Layers, Pooled, Reached, Workspace, attention, global_backward,
    global_forward,
};
use gcnrec_kernels::ops::gather::gather_rows;
use gcnrec_kernels::ops::loss_sum::LossSums;
use gcnrec_kernels::ops::normalize::{normalize_rows, normalize_rows_backward};
use gcnrec_kernels::ops::pair_dots::pair_dots;
use gcnrec_kernels::ops::pair_loss::bpr_forward;
use gcnrec_kernels::ops::propagate::{propagate, propagate_add, propagate_from_rows_add, propagate_rows};
use gcnrec_kernels::ops::row_set::RowSet;
use gcnrec_kernels::ops::segments::{Segments, segment_weighted_rows};
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxWorkspace, softmax_backward, softmax_forward,
};
use gcnrec_kernels::ops::top_k::top_k;
use gcnrec_kernels::{Buffer, Device};

use crate::{indices, numbers, on_each};

const N: usize = 300;
const DIM: usize = 64;
const HOPS: usize = 4;

/// Runs `op` once to warm it up and once to count: it must neither copy a byte nor wait, and queue
/// at most `most` kernels.
#[track_caller]
fn costs(device: &Device, name: &str, most: u64, mut op: impl FnMut()) {
    op();
    let before = device.counts().unwrap();
    op();
    let after = device.counts().unwrap();
    let launches = after.launches - before.launches;
    println!("{name}: {launches} launches on {}", device.name());
    assert!(launches > 0 && launches <= most, "{name}: {launches} launches, expected at most {most}");
    let moved = (after.bytes_up - before.bytes_up, after.bytes_down - before.bytes_down);
    assert_eq!((moved, after.host_reads - before.host_reads), ((0, 0), 0), "{name}");
}

#[test]
fn an_op_of_a_step_copies_nothing_and_never_waits() {
    on_each(|device| {
        // Other tests count on the same device: this one opens its own.
        let device = &Device::open(&device.name()).unwrap();
        let table = |seed| device.upload(&numbers(seed, N * DIM));
        let row_ptr: Vec<u32> = (0..=N as u32).map(|row| row * 5).collect();
        let a = Adjacency::upload(device, N, &row_ptr, &indices(1, 5 * N, N), &numbers(2, 5 * N)).unwrap();
        let mut rows = RowSet::new(device, N);
        let chosen: Vec<u32> = (0..N as u32).step_by(3).collect();
        rows.assign(device, &chosen).unwrap();
        let (x, some, mut y) = (table(3), device.upload(&numbers(4, chosen.len() * DIM)), Buffer::default());
        // Short rows, long rows, and hubs that are cut.
        costs(device, "propagate", 3, || propagate(device, &a, DIM, &x, &mut y).unwrap());
        costs(device, "propagate_add", 3, || propagate_add(device, &a, DIM, &x, &rows, &some, &mut y).unwrap());
        costs(device, "propagate_from_rows_add", 4, || {
            propagate_from_rows_add(device, &a, DIM, &rows, &some, &some, &mut y).unwrap();
        });
        costs(device, "propagate_rows", 1, || propagate_rows(device, &a, DIM, &x, &rows, &mut y).unwrap());
        costs(device, "gather_rows", 1, || gather_rows(device, DIM, &x, &rows, &mut y).unwrap());
        let (config, mut m, mut v, mut base) = (AdamConfig::default(), table(5), table(6), table(7));
        costs(device, "adam_step", 1, || adam_step(device, &config, 1, &x, &mut m, &mut v, &mut base).unwrap());

        let (left, right) = (device.upload(&indices(8, 500, N)), device.upload(&indices(9, 500, N)));
        let (mut scores, mut loss, mut slope) = Default::default();
        costs(device, "pair_dots", 1, || pair_dots(device, DIM, &x, &left, &right, &mut scores).unwrap());
        costs(device, "bpr_forward", 1, || bpr_forward(device, &scores, &scores, &mut loss, &mut slope).unwrap());
        let mut segments = Segments::new();
        segments.assign(device, N, &indices(9, 500, N)).unwrap();
        costs(device, "segment_weighted_rows", 1, || {
            segment_weighted_rows(device, DIM, &segments, &left, &slope, &x, &mut y).unwrap();
        });
        let mut sums = LossSums::default();
        costs(device, "the sum of a step's losses", 1, || assert_eq!(sums.push(device, &loss), Ok(None)));
        let (mut unit, mut norms) = Default::default();
        costs(device, "normalize_rows", 1, || normalize_rows(device, DIM, &x, &mut unit, &mut norms).unwrap());
        costs(device, "normalize_rows_backward", 1, || {
            normalize_rows_backward(device, DIM, &unit, &norms, &x, &mut y).unwrap();
        });
        let (config, mut work) = (SoftmaxConfig { tau: 0.25, t2: 1.0 }, SoftmaxWorkspace::default());
        let (list_ptr, q) = ((0..=50).map(|q| q * 10).collect::<Vec<u32>>(), device.upload(&numbers(10, 50 * DIM)));
        let (list_ptr, weights) = (device.upload(&list_ptr), device.upload(&numbers(11, 500)));
        let (list_ptr, positive) = (&list_ptr, &left);
        let input = SoftmaxInput { dim: DIM, config, q: &q, c: &x, candidate_bias: None, list_ptr, positive };
        costs(device, "softmax_forward", 3, || {
            softmax_forward(device, &input, &mut work, &mut loss).unwrap();
        });
        let (mut d_q, mut d_c) = Default::default();
        costs(device, "softmax_backward", 5, || {
            let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
            softmax_backward(device, &input, &weights, &mut work, gradients).unwrap();
        });
    });
}

#[test]
fn a_layer_combination_copies_nothing_and_never_waits() {
    on_each(|device| {
        let device = &Device::open(&device.name()).unwrap();
        let hops: Vec<Buffer<f32>> = (0..HOPS as u64).map(|k| device.upload(&numbers(k, N * DIM))).collect();
        let layers = Layers { dim: DIM, hops: &hops, range: 0..N };
        let (g, mut pooled, mut weights) =
            (device.upload(&numbers(9, N * DIM)), device.zeros(N * DIM), device.zeros(N * HOPS));
        let mut direct: Vec<Buffer<f32>> = (0..HOPS).map(|_| device.zeros(N * DIM)).collect();
        // One launch for the weights, then one for each layer.
        let (theta, mut d_theta) = (device.upload(&numbers(1, HOPS)), device.zeros(HOPS));
        costs(device, "global_forward", 5, || {
            global_forward(device, &theta, &layers, &mut pooled).unwrap();
        });
        costs(device, "global_backward", 9, || {
            let gradients = Gradients { direct: &mut direct, parameters: &mut d_theta };
            global_backward(device, &theta, &layers, &g, gradients).unwrap();
        });
        let shape = AdditiveShape { dim: DIM, hidden: DIM, layers: HOPS - 1, temperature: 1.0, bound: 0.0 };
        let (now, mut d_now) = (device.upload(&numbers(2, shape.n_parameters())), device.zeros(shape.n_parameters()));
        let mut work = Workspace::default();
        costs(device, "additive_forward", 8, || {
            let out = Pooled { pooled: &mut pooled, attention: &mut weights };
            attention::forward(device, &shape, &now, &layers, out, &mut work).unwrap();
        });
        costs(device, "additive_backward", 17, || {
            let reached = Reached { attention: &weights, g: &g };
            let gradients = Gradients { direct: &mut direct, parameters: &mut d_now };
            attention::backward(device, &shape, &now, &layers, reached, gradients, &mut work).unwrap();
        });
        let shape = DotShape { dim: DIM, key_dim: DIM, layers: HOPS - 1, bound: 0.0 };
        let (now, mut d_now) = (device.upload(&numbers(2, shape.n_parameters())), device.zeros(shape.n_parameters()));
        let mut work = Workspace::default();
        costs(device, "dot_forward", 11, || {
            let out = Pooled { pooled: &mut pooled, attention: &mut weights };
            attention::forward(device, &shape, &now, &layers, out, &mut work).unwrap();
        });
        costs(device, "dot_backward", 27, || {
            let reached = Reached { attention: &weights, g: &g };
            let gradients = Gradients { direct: &mut direct, parameters: &mut d_now };
            attention::backward(device, &shape, &now, &layers, reached, gradients, &mut work).unwrap();
        });
    });
}

/// 70 queries and what is excluded for them go up, 9 places of 8 bytes and a mark for each come
/// back, in one read.
#[test]
fn lists_are_made_in_two_kernels_and_one_read() {
    on_each(|device| {
        let device = &Device::open(&device.name()).unwrap();
        let (queries, items) = (device.upload(&numbers(1, 70 * DIM)), device.upload(&numbers(2, N * DIM)));
        let before = device.counts().unwrap();
        top_k(device, DIM, &queries, &items, &[&[1, 2][..]; 70], 9).unwrap();
        let after = device.counts().unwrap();
        // One more launch copies the block of queries; 71 ends and 140 ids, and the one that stands
        // for none.
        assert_eq!(after.launches - before.launches, 3);
        assert_eq!((after.bytes_up - before.bytes_up, after.host_reads - before.host_reads), (4 * (71 + 141), 1));
        assert_eq!(after.bytes_down - before.bytes_down, 70 * (9 * 8 + 4));
    });
}
