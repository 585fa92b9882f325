//! The layer combinations.

use std::ops::Range;

use gcnrec_kernels::ops::combine::additive::{
    additive_backward_reference, additive_reference, additive_tangent_reference,
};
use gcnrec_kernels::ops::combine::weighted::{layer_dots_reference, weighted_sum_reference};
use gcnrec_kernels::ops::combine::{
    AdditiveShape, AdditiveWorkspace, additive_backward, additive_forward, additive_tangent, layer_dots, weighted_sum,
    weighted_sum_direct,
};

use crate::passes::{Passes, compare, cut, hops};
use crate::{assert_close, assert_same_bits, numbers, on_each, upload_all, wide, wide_all};

/// (rows, range, dim, hidden, layers, bound): one row, an empty range, more rows than a chunk, widths around a tile.
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
        for (n_rows, range, dim, _, layers, _) in shapes() {
            let (alpha, e, g) = (numbers(7, layers + 1), hops(1, layers + 1, n_rows * dim), numbers(8, n_rows * dim));
            let (on_e, on_g, mut pooled) =
                (upload_all(device, &e), device.upload(&g), device.upload(&vec![9.0; g.len()]));
            weighted_sum(device, dim, &alpha, &on_e, range.clone(), &mut pooled).unwrap();
            let (found, own) = (device.read(&pooled), range.start * dim..range.end * dim);
            let expected = weighted_sum_reference(&wide(&alpha), &wide_all(&cut(&e, dim, &range)));
            assert_close(&found[own.clone()], &expected, 1e-6, "pooled");
            assert!(found[..own.start].iter().chain(&found[own.end..]).all(|&x| x == 9.0));
            weighted_sum_direct(device, dim, alpha[0], &on_g, range.clone(), &mut pooled).unwrap();
            let expected: Vec<f64> = g[own.clone()].iter().map(|&g| f64::from(g) * f64::from(alpha[0])).collect();
            assert_close(&device.read(&pooled)[own.clone()], &expected, 1e-6, "direct");
            let mut dots = Vec::new();
            layer_dots(device, dim, &on_e, &on_g, range.clone(), &mut dots).unwrap();
            let dots: Vec<f32> = dots.iter().map(|&dot| dot as f32).collect();
            let expected = layer_dots_reference(&wide_all(&cut(&e, dim, &range)), &wide(&g[own]));
            // Up to 44,000 products below 1 in partial sums of some hundred.
            assert_close(&dots, &expected, 1e-4, "dots");
        }
    });
}

#[test]
fn additive_attention_agrees_with_its_reference_in_all_three_passes() {
    on_each(|device| {
        for (n_rows, range, dim, hidden, layers, bound) in shapes() {
            let shape = AdditiveShape { dim, hidden, layers, temperature: 0.8, bound };
            let (n_hops, n_parameters) = (layers + 1, shape.n_parameters());
            let what = format!("{} {shape:?}", device.name());
            let scale = (1.0 / dim as f32).sqrt();
            let parameters: Vec<f32> = numbers(3, n_parameters).iter().map(|p| p * scale).collect();
            let (now, moved) = (device.upload(&parameters), device.upload(&numbers(9, n_parameters)));
            let run = || {
                let mut passes = Passes::new(device, n_rows, dim, n_hops, n_parameters);
                let Passes { e, e_dot, g, pooled, attention, d_parameters, d_pooled, direct } = &mut passes;
                let (work, own) = (&mut AdditiveWorkspace::default(), || range.clone());
                additive_forward(device, &shape, &now, e, own(), pooled, attention, work).unwrap();
                additive_backward(device, &shape, &now, e, own(), attention, g, direct, d_parameters, work).unwrap();
                additive_tangent(device, &shape, &now, e, own(), e_dot, &moved, d_pooled, work).unwrap();
                passes.read(device)
            };
            let found = run();
            assert_same_bits(|| run().concat(), &what);
            let inside = |seed| wide_all(&cut(&hops(seed, n_hops, n_rows * dim), dim, &range));
            let own = range.start * dim..range.end * dim;
            let (e, g) = (inside(1), wide(&numbers(8, n_rows * dim)[own.clone()]));
            let (now, moved) = (wide(&parameters), wide(&numbers(9, n_parameters)));
            let (pooled, attention) = additive_reference(&shape, &now, &e);
            assert_close(&found[1][range.start * n_hops..range.end * n_hops], &attention, 2e-5, &what);
            let (direct, d_parameters) = additive_backward_reference(&shape, &now, &e, &g);
            let d_pooled = additive_tangent_reference(&shape, &now, &e, &inside(2), &moved);
            compare(&found, &own, (pooled, direct, d_parameters, d_pooled), &what);
        }
    });
}
