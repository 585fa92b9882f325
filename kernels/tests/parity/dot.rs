//! Dot attention and learned weights per layer.

use std::ops::Range;

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::combine::dot::{dot_backward_reference, dot_reference, dot_tangent_reference};
use gcnrec_kernels::ops::combine::global::{global_backward_reference, global_reference, global_tangent_reference};
use gcnrec_kernels::ops::combine::{
    DotShape, DotWorkspace, dot_backward, dot_forward, dot_tangent, global_backward, global_forward, global_tangent,
};

use crate::passes::{Passes, compare, cut, hops};
use crate::{assert_close, assert_same_bits, numbers, on_each, wide, wide_all};

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
