//! The layer combinations: weights that are given, learned per layer, and learned per row.

use std::ops::Range;

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::combine::global::{global_backward_reference, global_reference, global_tangent_reference};
use gcnrec_kernels::ops::combine::weighted::{layer_dots_reference, weighted_sum_reference};
use gcnrec_kernels::ops::combine::{
    AdditiveShape, Attention, DotShape, Gradients, Layers, Motion, Pooled, Reached, Workspace, attention,
    global_backward, global_forward, global_tangent, layer_dots, weighted_sum, weighted_sum_direct,
};

use crate::passes::{Passes, compare, cut, hops};
use crate::{assert_close, assert_same_bits, numbers, on_each, upload_all, wide, wide_all};

/// (rows, range, dim, hidden units or columns of a key, layers, bound): one row, an empty range,
/// more rows than a chunk, widths around a tile.
fn shapes() -> Vec<(usize, Range<usize>, usize, usize, usize, f32)> {
    vec![
        (7, 2..7, 1, 3, 0, 0.0),
        (131, 0..129, 7, 17, 3, 0.0),
        (700, 13..700, 64, 64, 3, 0.2),
        (131, 3..130, 63, 65, 2, 0.0),
        (67, 0..67, 65, 130, 8, 0.5),
        (5, 3..3, 4, 8, 2, 0.0),
        (5, 4..5, 128, 8, 1, 0.0),
    ]
}

#[test]
fn one_weight_per_layer_pools_and_hands_back() {
    on_each(|device| {
        for (n_rows, range, dim, _, n_layers, _) in shapes() {
            let n_hops = n_layers + 1;
            let (alpha, e, g) = (numbers(7, n_hops), hops(1, n_hops, n_rows * dim), numbers(8, n_rows * dim));
            let (on_e, on_g, mut pooled) =
                (upload_all(device, &e), device.upload(&g), device.upload(&vec![9.0; g.len()]));
            let layers = Layers { dim, hops: &on_e, range: range.clone() };
            weighted_sum(device, &alpha, &layers, &mut pooled).unwrap();
            let (found, own) = (device.read(&pooled), range.start * dim..range.end * dim);
            let expected = weighted_sum_reference(&wide(&alpha), &wide_all(&cut(&e, dim, &range)));
            assert_close(&found[own.clone()], &expected, 1e-6, "pooled");
            assert!(found[..own.start].iter().chain(&found[own.end..]).all(|&x| x == 9.0));
            weighted_sum_direct(device, dim, alpha[0], &on_g, range.clone(), &mut pooled).unwrap();
            let expected: Vec<f64> = g[own.clone()].iter().map(|&g| f64::from(g) * f64::from(alpha[0])).collect();
            assert_close(&device.read(&pooled)[own.clone()], &expected, 1e-6, "direct");
            let mut dots = Vec::new();
            layer_dots(device, &layers, &on_g, &mut dots).unwrap();
            let dots: Vec<f32> = dots.iter().map(|&dot| dot as f32).collect();
            let expected = layer_dots_reference(&wide_all(&cut(&e, dim, &range)), &wide(&g[own]));
            // Up to 44,000 products below 1 in partial sums of some hundred.
            assert_close(&dots, &expected, 1e-4, "dots");
        }
    });
}

/// All three passes against the definition. Parameters are `scale` wide, so that tanh and softmax
/// stay off their flat ends.
fn agrees_with_its_reference<A: Attention>(
    device: &Device,
    shape: &A,
    scale: f32,
    n_rows: usize,
    range: &Range<usize>,
) {
    let dim = shape.dim();
    let (n_hops, n_parameters) = (shape.layers() + 1, shape.n_parameters());
    let what = format!("{} {shape:?}", device.name());
    let parameters: Vec<f32> = numbers(3, n_parameters).iter().map(|p| p * scale).collect();
    let (now, moved) = (device.upload(&parameters), device.upload(&numbers(9, n_parameters)));
    let run = || {
        let mut passes = Passes::new(device, n_rows, dim, n_hops, n_parameters);
        let Passes { e, e_dot, g, pooled, attention, d_parameters, d_pooled, direct } = &mut passes;
        let (work, layers) = (&mut Workspace::default(), Layers { dim, hops: e, range: range.clone() });
        let out = Pooled { pooled, attention };
        attention::forward(device, shape, &now, &layers, out, work).unwrap();
        let gradients = Gradients { direct, parameters: d_parameters };
        attention::backward(device, shape, &now, &layers, Reached { attention, g }, gradients, work).unwrap();
        let motion = Motion { hops: e_dot, parameters: &moved };
        attention::tangent(device, shape, &now, &layers, motion, d_pooled, work).unwrap();
        passes.read(device)
    };
    let found = run();
    assert_same_bits(|| run().concat(), &what);
    let inside = |seed| wide_all(&cut(&hops(seed, n_hops, n_rows * dim), dim, range));
    let own = range.start * dim..range.end * dim;
    let (e, g) = (inside(1), wide(&numbers(8, n_rows * dim)[own.clone()]));
    let (now, moved) = (wide(&parameters), wide(&numbers(9, n_parameters)));
    let (pooled, attention) = shape.reference(&now, &e);
    assert_close(&found[1][range.start * n_hops..range.end * n_hops], &attention, 2e-5, &what);
    let (direct, d_parameters) = shape.backward_reference(&now, &e, &g);
    let d_pooled = shape.tangent_reference(&now, &e, &inside(2), &moved);
    compare(&found, &own, (pooled, direct, d_parameters, d_pooled), &what);
}

#[test]
fn attention_agrees_with_its_reference_in_all_three_passes() {
    on_each(|device| {
        for (n_rows, range, dim, width, layers, bound) in shapes() {
            let scale = (1.0 / dim as f32).sqrt();
            let additive = AdditiveShape { dim, hidden: width, layers, temperature: 0.8, bound };
            agrees_with_its_reference(device, &additive, scale, n_rows, &range);
            let dot = DotShape { dim, key_dim: width, layers, bound };
            agrees_with_its_reference(device, &dot, 1.5 * scale, n_rows, &range);
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
                let layers = Layers { dim, hops: e, range: range.clone() };
                let before = device.counts().unwrap();
                global_forward(device, &now, &layers, pooled).unwrap();
                global_backward(device, &now, &layers, g, Gradients { direct, parameters: d_parameters }).unwrap();
                let motion = Motion { hops: e_dot, parameters: &moved };
                global_tangent(device, &now, &layers, motion, d_pooled).unwrap();
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
