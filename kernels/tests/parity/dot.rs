//! Dot attention and learned weights per layer.

use std::ops::Range;

use gcnrec_kernels::ops::combine::dot::{dot_backward_reference, dot_reference, dot_tangent_reference};
use gcnrec_kernels::ops::combine::global::{global_backward_reference, global_reference, global_tangent_reference};
use gcnrec_kernels::ops::combine::{
    DotShape, DotWorkspace, dot_backward, dot_forward, dot_tangent, global_backward, global_forward, global_tangent,
};
use gcnrec_kernels::{Buffer, Device};

use crate::attention::{cut, hops};
use crate::{assert_close, assert_same_bits, numbers, on_each, upload_all, wide, wide_all};

/// (rows, range, dim, key_dim, layers, bound): one row, an empty range, more rows than a part of a long sum, widths around a tile.
fn shapes() -> Vec<(usize, Range<usize>, usize, usize, usize, f32)> {
    vec![
        (7, 2..7, 1, 3, 0, 0.0),
        (131, 0..129, 7, 17, 3, 0.0),
        (700, 13..700, 64, 64, 3, 0.2),
        (131, 3..130, 63, 65, 2, 0.0),
        (67, 0..67, 65, 13, 8, 0.5),
        (5, 3..3, 4, 8, 2, 0.0),
        (5, 4..5, 128, 1, 1, 0.0),
    ]
}

/// What the three passes of a combination read and write on a device.
struct Passes {
    e: Vec<Buffer<f32>>,
    e_dot: Vec<Buffer<f32>>,
    g: Buffer<f32>,
    pooled: Buffer<f32>,
    attention: Buffer<f32>,
    d_parameters: Buffer<f32>,
    d_pooled: Buffer<f32>,
    direct: Vec<Buffer<f32>>,
}

impl Passes {
    /// What is to be written holds nines.
    fn new(device: &Device, n_rows: usize, dim: usize, n_hops: usize, n_parameters: usize) -> Passes {
        let (len, nines) = (n_rows * dim, |len: usize| device.upload(&vec![9.0; len]));
        Passes {
            e: upload_all(device, &hops(1, n_hops, len)),
            e_dot: upload_all(device, &hops(2, n_hops, len)),
            g: device.upload(&numbers(8, len)),
            pooled: nines(len),
            attention: nines(n_rows * n_hops),
            d_parameters: nines(n_parameters),
            d_pooled: nines(len),
            direct: (0..n_hops).map(|_| nines(len)).collect(),
        }
    }

    fn read(&self, device: &Device) -> Vec<Vec<f32>> {
        let fixed = [&self.pooled, &self.attention, &self.d_parameters, &self.d_pooled];
        fixed.into_iter().chain(&self.direct).map(|values| device.read(values)).collect()
    }
}

/// Compares what [`Passes::read`] found with `(pooled, direct, d_parameters, d_pooled)` on the rows of `own`, and sees to it that the others kept their
/// nines.
#[track_caller]
fn compare(
    found: &[Vec<f32>],
    own: &Range<usize>,
    (pooled, direct, d_parameters, d_pooled): (Vec<f64>, Vec<Vec<f64>>, Vec<f64>, Vec<f64>),
    what: &str,
) {
    // Scores of up to 128 columns and activations to a few parts in a million.
    assert_close(&found[0][own.clone()], &pooled, 2e-5, &format!("{what} pooled"));
    // Sums over up to 687 rows of 4 layers.
    assert_close(&found[2], &d_parameters, 3e-4, &format!("{what} parameters"));
    assert_close(&found[3][own.clone()], &d_pooled, 1e-4, &format!("{what} moved"));
    for (found, expected) in found[4..].iter().zip(&direct) {
        assert_close(&found[own.clone()], expected, 5e-5, &format!("{what} direct"));
    }
    for written in [&found[0], &found[3]].into_iter().chain(&found[4..]) {
        assert!(written[..own.start].iter().chain(&written[own.end..]).all(|&x| x == 9.0), "{what}");
    }
}

#[test]
fn dot_attention_agrees_with_its_reference_in_all_three_passes() {
    on_each(|device| {
        for (n_rows, range, dim, key_dim, layers, bound) in shapes() {
            let shape = DotShape { dim, key_dim, layers, bound };
            let (n_hops, n_parameters) = (layers + 1, shape.n_parameters());
            let what = format!("{} {shape:?}", device.name());
            let scale = 1.5 / (dim as f32).sqrt();
            let parameters: Vec<f32> = numbers(3, n_parameters).iter().map(|p| p * scale).collect();
            let (now, moved) = (device.upload(&parameters), device.upload(&numbers(9, n_parameters)));
            let run = || {
                let mut passes = Passes::new(device, n_rows, dim, n_hops, n_parameters);
                let Passes { e, e_dot, g, pooled, attention, d_parameters, d_pooled, direct } = &mut passes;
                let (work, own) = (&mut DotWorkspace::default(), || range.clone());
                dot_forward(device, &shape, &now, e, own(), pooled, attention, work).unwrap();
                dot_backward(device, &shape, &now, e, own(), attention, g, direct, d_parameters, work).unwrap();
                dot_tangent(device, &shape, &now, e, own(), e_dot, &moved, d_pooled, work).unwrap();
                passes.read(device)
            };
            let found = run();
            assert_same_bits(|| run().concat(), &what);
            let inside = |seed| wide_all(&cut(&hops(seed, n_hops, n_rows * dim), dim, &range));
            let own = range.start * dim..range.end * dim;
            let (e, g) = (inside(1), wide(&numbers(8, n_rows * dim)[own.clone()]));
            let (now, moved) = (wide(&parameters), wide(&numbers(9, n_parameters)));
            let (pooled, attention) = dot_reference(&shape, &now, &e);
            assert_close(&found[1][range.start * n_hops..range.end * n_hops], &attention, 2e-5, &what);
            let (direct, d_parameters) = dot_backward_reference(&shape, &now, &e, &g);
            let d_pooled = dot_tangent_reference(&shape, &now, &e, &inside(2), &moved);
            compare(&found, &own, (pooled, direct, d_parameters, d_pooled), &what);
        }
    });
}

#[test]
fn learned_weights_per_layer_agree_with_their_reference_and_never_wait_for_the_host() {
    on_each(|device| {
        for (n_rows, range, dim, _, layers, _) in shapes() {
            // Other tests count on the same device: this one opens its own.
            let device = &Device::open(&device.name()).unwrap();
            let (n_hops, what) = (layers + 1, format!("{} global, {n_rows} rows, dim {dim}", device.name()));
            let (theta, theta_dot) = (numbers(3, n_hops), numbers(9, n_hops));
            let (now, moved) = (device.upload(&theta), device.upload(&theta_dot));
            let run = || {
                let mut passes = Passes::new(device, n_rows, dim, n_hops, n_hops);
                let Passes { e, e_dot, g, pooled, d_parameters, d_pooled, direct, .. } = &mut passes;
                let (before, own) = (device.counts().unwrap(), || range.clone());
                global_forward(device, dim, &now, e, own(), pooled).unwrap();
                global_backward(device, dim, &now, e, own(), g, direct, d_parameters).unwrap();
                global_tangent(device, dim, &now, e, own(), e_dot, &moved, d_pooled).unwrap();
                let after = device.counts().unwrap();
                assert_eq!((after.host_reads, after.bytes_up), (before.host_reads, before.bytes_up), "{what}");
                passes.read(device)
            };
            let found = run();
            assert_same_bits(|| run().concat(), &what);
            let inside = |seed| wide_all(&cut(&hops(seed, n_hops, n_rows * dim), dim, &range));
            let own = range.start * dim..range.end * dim;
            let (e, g) = (inside(1), wide(&numbers(8, n_rows * dim)[own.clone()]));
            let pooled = global_reference(&wide(&theta), &e);
            let (direct, d_theta) = global_backward_reference(&wide(&theta), &e, &g);
            let d_pooled = global_tangent_reference(&wide(&theta), &e, &inside(2), &wide(&theta_dot));
            compare(&found, &own, (pooled, direct, d_theta, d_pooled), &what);
        }
    });
}
